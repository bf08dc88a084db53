"""From verified rollouts to the rows that are trained on: small pure functions, put together in `curate`.

A row is one Example in trl's prompt-completion format with its provenance: which policy, strategy, seed and round it
came from and what its verifier said. What earlier rounds found is taken from their rollouts and verdicts, not from
their datasets, so that whatever a round chose to train on, nothing is lost to those after it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from byheart import recipe
from byheart.contamination import overlapping
from byheart.curation.backtrack import backtracking, slips
from byheart.curation.choice import chosen
from byheart.curation.dataset import read_dataset, read_pairs, read_rows, read_steps, write_dataset
from byheart.curation.distinct import by_equations, by_text
from byheart.curation.pairs import pairs, siblings
from byheart.curation.quotas import fail_rates, few_hinted, newest, proportional, uniform
from byheart.curation.rows import Found, by_problem, earlier, example, text
from byheart.curation.steps import Options as Steps
from byheart.curation.steps import valued
from byheart.curation.target import answers, proved
from byheart.errors import RecipeError
from byheart.files import read_records
from byheart.run import Stage, stage
from byheart.steps import Kind
from byheart.types import Attempts, Dataset, Example, Problem, Problems, Rollout, Verdict
from byheart.verifiers.judge import Judge, asks, together

__all__ = ["Options", "check", "curate", "read_dataset", "read_pairs", "read_rows", "read_steps", "text"]


class Options(recipe.Options):
    """Which right solutions become rows. None under `min_tokens` (its end token counted), which are often guesses.

    `target` is what a row teaches: a solution as it is (`full`), the most concise one of each problem (`shortest`), or
    nothing but the answer that the verifier read in that one, if it proves it right by itself (`answer`).

    Of those that are `distinct` by their text, or by their equations with none of them false, at most `keep` a problem:
    the shortest, the most diverse, those with the highest value, or random ones, for which it doesn't matter what the
    strategy chose: the control that says whether its choice helps. With a proportional `quota` only the hardest problem
    has so many, and others in proportion to their fail rates.

    With `accumulate`, the rows of earlier rounds as well, up to `max_age` rounds old; of all at most `max_rows`, the
    newest, and at most `max_hinted` (0..1) of them found with a hint: where these are more, they go first.

    `pairs` of a right and a wrong solution a problem are for preference training, and always from all rounds up to
    `max_age` old, whatever the strategy chose; in none did a hint help. They are drawn by lot, or are `siblings`, which
    part at one step that decides.

    `steps` says what every step of the solutions of these rounds was worth, for a value model. Besides its rows, a
    problem has up to `backtracks` in which a right solution goes wrong first and comes back. A `step` is the same in
    both, and in a search; none is trained on that is taken back.

    With `decontaminate`, no row that overlaps with a measured problem: by `overlap` (0..1) of its words, in runs of
    `ngram`. Without it such rows are counted all the same, and the card says that they were trained on."""

    target: Literal["full", "shortest", "answer"] = "full"
    distinct: Literal["text", "equations"] = "text"
    choose: Literal["shortest", "diverse", "value", "random"] = "shortest"
    keep: int = Field(default=4, ge=1)
    quota: Literal["uniform", "proportional"] = "uniform"
    min_tokens: int = Field(default=2, ge=1)
    accumulate: bool = True
    max_age: int | None = Field(default=None, ge=0)
    max_rows: int | None = Field(default=None, ge=1)
    max_hinted: float = Field(default=0.5, ge=0, le=1)
    pairs: int = Field(default=0, ge=0)
    pair_by: Literal["lot", "siblings"] = "lot"
    step: Kind = "line"
    steps: Steps | None = None
    backtracks: int = Field(default=0, ge=0)
    decontaminate: bool = True
    ngram: int = Field(default=5, ge=1)
    overlap: float = Field(default=0.8, gt=0, le=1)


def check(recipe: recipe.Recipe) -> None:
    """Raises RecipeError where bare answers are wanted of a verifier that can't judge one by itself, or where the
    target leaves nothing to choose."""
    target, choose, step = recipe.curation.target, recipe.curation.choose, recipe.curation.step
    if recipe.curation.backtracks and step not in ("line", "sentence"):
        raise RecipeError(
            f"curation.backtracks: the words that take a step back are no step by {step}; say curation.step: line, "
            "or sentence"
        )
    if recipe.curation.backtracks and (target == "answer" or asks(recipe.judge) or together(recipe.judge)):
        raise RecipeError(
            "curation.backtracks: solutions that go back are made of whole ones and proved right again: that wants "
            "target: full or shortest, and a verifier that neither asks a model nor goes by agreement"
        )
    if target != "full" and choose != "shortest":
        raise RecipeError(
            f"curation.choose: {choose}: there is nothing to choose where curation.target: {target} learns from the "
            "most concise solution of each problem; take choose: shortest, or target: full (a schedule can set both)"
        )
    if target == "answer" and (asks(recipe.judge) or together(recipe.judge)):
        raise RecipeError(
            f"curation.target: answer: the verifier {recipe.judge.name!r} asks a model or goes by agreement, so it "
            "can't prove a bare answer right by itself; take the target shortest, or another verifier"
        )


@stage(read_dataset)
def curate(
    work: Stage,
    problems: Problems,
    rollouts: Sequence[Attempts],
    verdicts: Sequence[Verdict],
    options: Options,
    judge: Judge,
) -> Dataset:
    """Write the rows and pairs of this round, and of those before it where they accumulate, with a card that says so.

    What another verifier let in in an earlier round is left out.
    """
    found = [Found(work.round, [rollout for attempts in rollouts for rollout in attempts.rollouts], verdicts)]
    if options.accumulate or options.pairs or options.steps or options.backtracks:
        found = [*earlier(work, judge.identity, options.max_age), *found]
    every = options.choose == "random"
    clean, num_overlapping = _clean([row for one in found for row in one.right(every)], problems, options)
    rows = _distinct([row for row in clean if options.accumulate or row["round"] == work.round], options)
    num_distinct = len(rows)
    if options.target == "answer":
        rows = answers(rows, _asked(work, rows, problems), judge)
    num_readable = len(rows)
    rows = chosen(rows, options.choose, _quotas(rows, found, options), work.seed)
    mended: list[Example] = []
    if options.backtracks:
        mended = backtracking(rows, _tried(found), options.step, options.backtracks, work.seed)
        mended = proved(mended, _asked(work, mended, problems), judge)
    rows = few_hinted(newest(rows + mended, options.max_rows, options.max_hinted), options.max_hinted)
    rows = [row | {"untrained": slips(text(row), options.step)} for row in rows]
    preferred: list[Example] = []
    if options.pairs:
        unaided = [row for one in found for row in one.right(every=True) if not row["hinted"]]
        better, _ = _clean(unaided, problems, options)
        worse, _ = _clean([row for one in found for row in one.wrong()], problems, options)
        better = _distinct(better, options)
        if options.pair_by == "siblings":
            preferred = siblings(better, worse, _tried(found), options.step, options.pairs, work.seed)
        else:
            preferred = pairs(better, worse, options.pairs, work.seed)
    stepwise: list[Example] = []
    if options.steps:
        tried = {(n, rollout.id): (n, rollout, verdict) for one in found for n, rollout, verdict in one.tried()}
        clean, _ = _clean([example(rollout, verdict, n) for n, rollout, verdict in tried.values()], problems, options)
        stepwise = valued(
            [tried[row["round"], row["rollout_id"]] for row in clean], options.step, options.steps, work.seed
        )
    work.notes |= {
        **_counts(found[-1]),
        "num_overlapping": num_overlapping,
        "num_unproved": num_distinct - num_readable,
        "num_rows": len(rows),
        "num_rows_new": sum(row["round"] == work.round for row in rows),
        "num_hinted": (num_hinted := sum(row["hinted"] for row in rows)),
        "hint_share": num_hinted / len(rows) if rows else 0.0,
        "num_pairs": len(preferred),
        "num_stepwise": len(stepwise),
        "num_backtracking": sum(bool(row["untrained"]) for row in rows),
        "caveats": judge.caveats,
    }
    if not options.decontaminate:
        work.notes["caveats"] += [
            f"Not decontaminated, as the recipe asks: {num_overlapping} right solutions overlap with measured problems "
            "and were not left out."
        ]
    return write_dataset(work, rows, preferred, stepwise, options, judge)


def _clean(rows: list[Example], problems: Problems, options: Options) -> tuple[list[Example], int]:
    """The rows that may be trained on, and how many overlap with a measured problem."""
    overlap = overlapping(rows, problems.dev + problems.held_out, options.ngram, options.overlap)
    kept = [row for row, overlaps in zip(rows, overlap, strict=True) if not (overlaps and options.decontaminate)]
    return kept, sum(overlap)


def _distinct(rows: list[Example], options: Options) -> list[Example]:
    """Those long enough, each once: where two say the same, rather the one without a hint, and the newer one."""
    long = [row for row in rows if row["num_tokens"] >= options.min_tokens]
    ordered = sorted(long, key=lambda row: (row["hinted"], -row["round"]))
    if options.distinct == "text":
        return by_text(ordered)
    return by_equations(ordered, concise=options.target != "full")


def _asked(work: Stage, rows: list[Example], problems: Problems) -> dict[str, Problem]:
    """By id the problems that `rows` solve, whatever round put them."""
    rounds = {row["round"] for row in rows} - {work.round}
    past = [read_records(work.round_dir(n) / "problems.jsonl", Problems)[0] for n in sorted(rounds)]
    return {problem.id: problem for one in (*past, problems) for problem in one.train}


def _tried(found: Sequence[Found]) -> dict[str, list[tuple[Rollout, Verdict]]]:
    """By problem id, what was judged and came to its end without a hint."""
    tried: dict[str, list[tuple[Rollout, Verdict]]] = defaultdict(list)
    for one in found:
        for _, rollout, verdict in one.tried():
            tried[rollout.problem_id].append((rollout, verdict))
    return tried


def _quotas(rows: list[Example], found: list[Found], options: Options) -> dict[str, int]:
    """How many rows each problem may have. How hard one is, the last round says that tried it."""
    keep = options.keep if options.target == "full" else 1
    if options.quota == "uniform":
        return uniform(rows, keep)
    rates = {name: rate for one in found for name, rate in fail_rates(one.rollouts, one.verdicts).items()}
    return proportional(rows, keep, rates)


def _counts(now: Found) -> dict[str, Any]:
    """What came of the samples of this round, whatever becomes of them."""
    right = now.right(every=True)
    num_unique = len(by_text(right))
    correct = {verdict.rollout_id for verdict in now.verdicts if verdict.correct}
    return {
        "num_right": len(correct),
        "num_cut_off": sum(one.id in correct and one.finish_reason == "length" for one in now.rollouts),
        "num_wrong": sum(verdict.score is not None and not verdict.correct for verdict in now.verdicts),
        "num_unjudged": sum(verdict.score is None for verdict in now.verdicts),
        "num_solved": len(by_problem(right)),
        "num_unique": num_unique,
        "unique_rate": num_unique / len(right) if right else None,
    }
