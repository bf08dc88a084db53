"""The curate stage: from judged rollouts to the rows, pairs and valued steps that are trained on.

Each pass takes a stream and gives a stream, a problem at a time, so that memory does not grow with what was sampled.
What is decided across problems, such as their order and the caps, is decided by a few numbers of each, while the rest
waits on disk.

Earlier rounds contribute through their rollouts and verdicts, not their datasets, so that nothing is lost to a later
round by what an earlier one chose to train on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, groupby

from byheart.curation.attempts import History, JudgedRound, Order, judged_rounds
from byheart.curation.backtrack import backtracking, slips
from byheart.curation.choice import choose
from byheart.curation.contamination import MeasuredProblems
from byheart.curation.dataset import read_dataset, write_card, write_tables
from byheart.curation.distinct import by_equations, by_text
from byheart.curation.options import CurationOptions
from byheart.curation.pairs import random_pairs, sibling_pairs
from byheart.curation.quotas import fail_rate, few_hinted, newest, quota
from byheart.curation.rows import Candidates, text
from byheart.curation.spool import Spool, in_order
from byheart.curation.stats import Tally
from byheart.curation.steps import stepwise_rows
from byheart.curation.target import answers, proved
from byheart.runs.stages import Earlier, Stage, stage
from byheart.text import text_of
from byheart.types import Dataset, Pair, Problem, Problems, RolloutGroup, Row, StepwiseRow, Verdict, replace
from byheart.verifiers.core.service import VerifierService


@stage(read_dataset)
def curate(
    work: Stage,
    problems: Problems,
    rollouts: Sequence[RolloutGroup],
    verdicts: Sequence[Verdict],
    options: CurationOptions,
    verifier: VerifierService,
    earlier: Sequence[Earlier],
) -> Dataset:
    """Write the dataset of this round, with a card that explains it.

    Rows of earlier rounds that another verifier judged are left out. Raises RunError where the target is the answer and
    the verifier read none.
    """
    looks_back = options.accumulate or options.pairs or options.steps or options.backtracks
    before = judged_rounds(earlier, verifier.identity, options.max_age) if looks_back else []
    history = History([*before, JudgedRound(work.round, rollouts, verdicts)])
    measured = MeasuredProblems(
        problems.dev + problems.held_out, options.ngram, options.overlap, problems.also.values()
    )
    asked = _asked(problems, earlier, history, options)
    tally = Tally(work.round)

    candidates = right_rows(history, measured, options, tally)
    if options.target == "answer":
        candidates = answers(candidates, asked, verifier, tally)
    rows = Spool(work.dir, select_rows(candidates, history, options, work))
    if options.backtracks:
        backtracks = make_backtracks(rows, history, options, work.seed)
        rows = Spool(work.dir, chain(rows, proved(backtracks, asked, verifier)))
    limited = limit_rows(rows, options)
    pairs = in_order(make_pairs(history, measured, options, work.seed), work.dir)
    stepwise = in_order(value_steps(history, measured, options, work.seed), work.dir)

    dataset = write_tables(work.dir, tally.rows(limited), pairs, stepwise)
    work.stats = tally.stats(dataset, verifier.caveats + _contaminated(tally.num_overlapping, options))
    write_card(work, tally.examples, work.stats, options, verifier)
    return dataset


def right_rows(
    history: History, measured: MeasuredProblems, options: CurationOptions, tally: Tally
) -> Iterator[Candidates]:
    """The different right solutions of each problem that may become rows; those of the last round only, unless rows
    accumulate."""
    for attempts in history:
        tally.count(attempts)
        right = [attempt.row for attempt in attempts if attempt.right(every=options.choose == "random")]
        overlapping = [_overlaps(row, measured) for row in right]
        tally.num_overlapping += sum(overlapping)
        usable = [
            row
            for row, overlaps in zip(right, overlapping, strict=True)
            if not (overlaps and options.decontaminate) and (options.accumulate or row.round == tally.round)
        ]
        ranked = _ranked(usable, options)
        if rows := _distinct(ranked, options):
            yield Candidates(rows, ranked[0], fail_rate(attempts))


def select_rows(
    candidates: Iterable[Candidates], history: History, options: CurationOptions, work: Stage
) -> Iterator[Row]:
    """As many rows of each problem as its quota allows, those of the newest solutions without a hint first."""

    def order(problem: Candidates) -> Order:
        return history.newest_first(problem.rows[0] if options.distinct == "text" else problem.first)

    ordered = Spool(work.dir, candidates, order)
    keep = options.keep if options.target == "full" else 1
    hardest = Fraction(0)
    if options.quota == "proportional":
        hardest = max((problem.fail_rate for problem in ordered), default=hardest)
    for problem in ordered:
        yield from choose(problem.rows, options.choose, quota(keep, problem.fail_rate, hardest), work.seed)


def make_backtracks(rows: Iterable[Row], history: History, options: CurationOptions, seed: int) -> Iterator[Row]:
    """Rows in which one of `rows` first makes a wrong step of another rollout and retracts it; they are yet to be
    proved."""
    for problem, group in groupby(rows, key=lambda row: row.problem_id):
        judged = [attempt.judged for attempt in history.attempts(problem) if attempt.unaided]
        yield from backtracking(group, judged, options.step, options.backtracks, seed)


def limit_rows(rows: Spool[Row], options: CurationOptions) -> Iterator[Row]:
    """`rows` up to the caps on all of them and on hinted ones, with the spans that are not trained."""
    is_new = newest(rows, options.max_rows, options.max_hinted)
    is_one_of_few = few_hinted(filter(is_new, rows), options.max_hinted)
    for row in rows:
        if is_new(row) and is_one_of_few(row):
            yield replace(row, untrained=slips(text(row), options.step))


def make_pairs(
    history: History, measured: MeasuredProblems, options: CurationOptions, seed: int
) -> Iterator[tuple[Order, list[Pair]]]:
    """Pairs of right and wrong solutions of each problem that needed no hint and overlap with no `measured` problem. A
    pair is text, so those that were sampled as other tokens than their texts are encoded as are in none."""
    if not options.pairs:
        return
    for attempts in history:
        whole = [attempt for attempt in attempts if not attempt.rollout.token_ids]
        right = [attempt.row for attempt in whole if attempt.right(every=True) and not attempt.rollout.hinted]
        wrong = [attempt.row for attempt in whole if attempt.unaided and not attempt.verdict.correct]
        ranked = _ranked(_clean(right, measured, options), options)
        right, wrong = _distinct(ranked, options), _clean(wrong, measured, options)
        if options.pair_by == "siblings":
            judged = [attempt.judged for attempt in attempts if attempt.unaided]
            pairs = sibling_pairs(right, wrong, judged, options.step, options.pairs, seed)
        else:
            pairs = random_pairs(right, wrong, options.pairs, seed)
        if pairs:
            yield history.newest_first(ranked[0]), pairs


def value_steps(
    history: History, measured: MeasuredProblems, options: CurationOptions, seed: int
) -> Iterator[tuple[Order, list[StepwiseRow]]]:
    """Solutions of each problem with valued steps, none of which overlaps with a `measured` problem."""
    if not options.steps:
        return
    for attempts in history:
        unaided = {attempt.rollout.id: attempt for attempt in attempts if attempt.unaided}
        clean = _clean([attempt.row for attempt in unaided.values()], measured, options)
        if clean:
            solutions = [unaided[row.rollout_id] for row in clean]
            yield history.oldest_first(clean[0]), stepwise_rows(solutions, options.step, options.steps, seed)


def _overlaps(row: Row, measured: MeasuredProblems) -> bool:
    return measured.overlap(text_of(row.prompt), text(row))


def _clean(rows: list[Row], measured: MeasuredProblems, options: CurationOptions) -> list[Row]:
    """The rows that may be trained on."""
    return [row for row in rows if not (options.decontaminate and _overlaps(row, measured))]


def _ranked(rows: list[Row], options: CurationOptions) -> list[Row]:
    """The rows of a problem that are long enough, in the order in which they are preferred to equal ones: unhinted ones
    first, then newer ones."""
    long = [row for row in rows if row.num_tokens >= options.min_tokens]
    return sorted(long, key=lambda row: (row.hinted, -row.round))


def _distinct(rows: list[Row], options: CurationOptions) -> list[Row]:
    """The rows of a problem without duplicates."""
    return by_text(rows) if options.distinct == "text" else by_equations(rows, concise=options.target != "full")


def _asked(
    problems: Problems, earlier: Sequence[Earlier], history: History, options: CurationOptions
) -> dict[str, Problem]:
    """By id, the problems of all rounds that have rows, where any of these are to be proved."""
    if options.target != "answer" and not options.backtracks:
        return {}
    past = [before.problems.value for before in earlier if options.accumulate and before.round in history.rounds]
    return {problem.id: problem for splits in (*past, problems) for problem in splits.train}


def _contaminated(num_overlapping: int, options: CurationOptions) -> list[str]:
    """The caveat of a dataset that is not decontaminated."""
    if options.decontaminate:
        return []
    return [
        f"Not decontaminated, as the recipe asks: {num_overlapping} right solutions overlap with measured problems and "
        "were not left out."
    ]
