"""The curate stage: from judged rollouts to the rows, pairs and valued steps that are trained on.

Earlier rounds contribute through their rollouts and verdicts, not their datasets, so that nothing is lost to a later
round by what an earlier one chose to train on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

from byheart.curation.backtrack import Judged, backtracking, slips
from byheart.curation.choice import choose
from byheart.curation.contamination import overlapping
from byheart.curation.dataset import read_dataset, write_dataset
from byheart.curation.distinct import by_equations, by_text
from byheart.curation.options import CurationOptions
from byheart.curation.pairs import random_pairs, sibling_pairs
from byheart.curation.quotas import fail_rates, few_hinted, newest, proportional, uniform
from byheart.curation.rows import JudgedRound, judged_rounds, text
from byheart.curation.stats import count
from byheart.curation.steps import stepwise_rows
from byheart.curation.target import answers, proved
from byheart.runs.stages import Earlier, Stage, stage
from byheart.text import text_of
from byheart.types import Dataset, Pair, Problem, Problems, Rollout, RolloutGroup, Row, StepwiseRow, Verdict, replace
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
    now = JudgedRound(work.round, [rollout for group in rollouts for rollout in group.rollouts], verdicts)
    looks_back = options.accumulate or options.pairs or options.steps or options.backtracks
    rounds = [*(judged_rounds(earlier, verifier.identity, options.max_age) if looks_back else []), now]
    measured = problems.dev + problems.held_out

    candidates, num_overlapping = right_rows(rounds, measured, options)
    bare = options.target == "answer"
    provable = answers(candidates, _asked(candidates, problems, earlier), verifier) if bare else candidates
    selected = select_rows(provable, rounds, options, work.seed)
    backtracks = make_backtracks(selected, rounds, options, work.seed)
    backtracks = proved(backtracks, _asked(backtracks, problems, earlier), verifier)
    rows = limit_rows([*selected, *backtracks], options)
    pairs = make_pairs(rounds, measured, options, work.seed)
    stepwise = value_steps(rounds, measured, options, work.seed)

    caveats = verifier.caveats + _contaminated(num_overlapping, options)
    stats = count(now, rows, pairs, stepwise, num_overlapping, len(candidates) - len(provable), caveats)
    work.stats = stats
    return write_dataset(work, rows, pairs, stepwise, stats, options, verifier)


def right_rows(
    rounds: Sequence[JudgedRound], measured: Sequence[Problem], options: CurationOptions
) -> tuple[list[Row], int]:
    """The different right solutions of `rounds` that may become rows, and the number of right solutions that overlap
    with a `measured` problem. Without options.accumulate only the last round has rows."""
    every = options.choose == "random"
    right = [row for judged in rounds for row in judged.right(every)]
    clean, num_overlapping = _decontaminated(right, measured, options)
    return _distinct(
        [row for row in clean if options.accumulate or row.round == rounds[-1].round], options
    ), num_overlapping


def select_rows(rows: Sequence[Row], rounds: Sequence[JudgedRound], options: CurationOptions, seed: int) -> list[Row]:
    """As many of `rows` per problem as its quota allows. How hard a problem is, the last of `rounds` that tried it
    decides."""
    keep = options.keep if options.target == "full" else 1
    quotas = uniform(rows, keep)
    if options.quota == "proportional":
        rates: dict[str, Fraction] = {}
        for judged in rounds:
            rates |= fail_rates(judged.rollouts, judged.verdicts)
        quotas = proportional(rows, keep, rates)
    return choose(rows, options.choose, quotas, seed)


def make_backtracks(
    rows: Sequence[Row], rounds: Sequence[JudgedRound], options: CurationOptions, seed: int
) -> list[Row]:
    """Rows in which one of `rows` first makes a wrong step of `rounds` and retracts it; they are yet to be proved."""
    if not options.backtracks:
        return []
    return backtracking(rows, _unaided(rounds), options.step, options.backtracks, seed)


def limit_rows(rows: Sequence[Row], options: CurationOptions) -> list[Row]:
    """`rows` up to the caps on all of them and on hinted ones, with the spans that are not trained."""
    capped = few_hinted(newest(rows, options.max_rows, options.max_hinted), options.max_hinted)
    return [replace(row, untrained=slips(text(row), options.step)) for row in capped]


def make_pairs(
    rounds: Sequence[JudgedRound], measured: Sequence[Problem], options: CurationOptions, seed: int
) -> list[Pair]:
    """Pairs of right and wrong solutions of `rounds` that needed no hint and overlap with no `measured` problem."""
    if not options.pairs:
        return []
    right = [row for judged in rounds for row in judged.right(every=True) if not row.hinted]
    wrong = [row for judged in rounds for row in judged.wrong()]
    (right, _), (wrong, _) = (_decontaminated(rows, measured, options) for rows in (right, wrong))
    right = _distinct(right, options)
    if options.pair_by == "siblings":
        return sibling_pairs(right, wrong, _unaided(rounds), options.step, options.pairs, seed)
    return random_pairs(right, wrong, options.pairs, seed)


def value_steps(
    rounds: Sequence[JudgedRound], measured: Sequence[Problem], options: CurationOptions, seed: int
) -> list[StepwiseRow]:
    """Solutions of `rounds` with valued steps, none of which overlaps with a `measured` problem."""
    if not options.steps:
        return []
    attempts = {(attempt.round, attempt.rollout.id): attempt for judged in rounds for attempt in judged.unaided()}
    clean, _ = _decontaminated([attempt.row for attempt in attempts.values()], measured, options)
    return stepwise_rows([attempts[row.round, row.rollout_id] for row in clean], options.step, options.steps, seed)


def _decontaminated(rows: list[Row], measured: Sequence[Problem], options: CurationOptions) -> tuple[list[Row], int]:
    """The rows that may be trained on, and how many overlap with a measured problem."""
    texts = [(text_of(row.prompt), text(row)) for row in rows]
    overlaps = overlapping(texts, measured, options.ngram, options.overlap)
    clean = [row for row, overlap in zip(rows, overlaps, strict=True) if not (overlap and options.decontaminate)]
    return clean, sum(overlaps)


def _distinct(rows: list[Row], options: CurationOptions) -> list[Row]:
    """The rows that are long enough, without duplicates: unhinted ones are preferred, then newer ones."""
    long = [row for row in rows if row.num_tokens >= options.min_tokens]
    ordered = sorted(long, key=lambda row: (row.hinted, -row.round))
    if options.distinct == "text":
        return by_text(ordered)
    return by_equations(ordered, concise=options.target != "full")


def _asked(rows: Sequence[Row], problems: Problems, earlier: Sequence[Earlier]) -> dict[str, Problem]:
    """By id, the problems that `rows` solve, of this round and of `earlier` ones."""
    rounds = {row.round for row in rows}
    past = [before.problems.value for before in earlier if before.round in rounds]
    return {problem.id: problem for splits in (*past, problems) for problem in splits.train}


def _unaided(rounds: Sequence[JudgedRound]) -> Judged:
    """By problem id, the judged rollouts that are neither cut off, blank nor hinted."""
    judged: dict[str, list[tuple[Rollout, Verdict]]] = defaultdict(list)
    for judged_round in rounds:
        for attempt in judged_round.unaided():
            judged[attempt.rollout.problem_id].append(attempt.judged)
    return judged


def _contaminated(num_overlapping: int, options: CurationOptions) -> list[str]:
    """The caveat of a dataset that is not decontaminated."""
    if options.decontaminate:
        return []
    return [
        f"Not decontaminated, as the recipe asks: {num_overlapping} right solutions overlap with measured problems and "
        "were not left out."
    ]
