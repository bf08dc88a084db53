"""Sample many, then choose one: best-of-N.

`concise` takes the one with the fewest tokens; of programs as short as each other, the one with the smallest syntax
tree. `majority` takes the most concise one of those that give the most common answer (self-consistency, 2203.11171);
answers are equal where the task's verifier says so, to which the gold answer is not shown for that.
`score` takes the one that the policy's scorer finds best. One that scores whole solutions says how likely they are
(V-STaR, 2402.06457: the log-likelihood itself, not the ratio that the scorer was trained by); of one that values steps,
the value of the last of them is taken, or the lowest, or the product of all. While there is no scorer, as in the first
round, the most concise is taken.

The shortest answers can be guesses, so none under `min_tokens` is chosen.
"""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from pydantic import Field, model_validator

from byheart import recipe
from byheart.errors import RecipeError
from byheart.recipe import Recipe
from byheart.steps import AGGREGATE, Kind, split
from byheart.strategies.asking import put, template
from byheart.strategies.direct import Temperature
from byheart.strategies.searching import check_step
from byheart.strategies.several import Work
from byheart.types import Generate, Problem, Rollout, Score, Solver, Verdict, Verify, replace
from byheart.verifiers import code
from byheart.verifiers.consensus import comparing, grouped
from byheart.wording import normalised


class Options(recipe.Choice):
    """`samples` in all, spread evenly over `temperatures`. One is chosen `among` those that verify, or among `all` that
    came to their end, as where no gold answer is at hand; where there is none of these, none is chosen. `min_tokens`
    counts the end token. `aggregate` makes one number of the values of all steps, each a `step`."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    samples: int = Field(default=8, ge=1)
    temperatures: list[Temperature] = Field(default=[1.0], min_length=1)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1)
    choose: Literal["concise", "majority", "score"] = "concise"
    step: Kind = "line"
    aggregate: Literal["last", "min", "product"] = "last"
    among: Literal["right", "all"] = "right"
    min_tokens: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if self.samples < len(self.temperatures):
            raise ValueError(f"samples: {self.samples} can't be spread over {len(self.temperatures)} temperatures")
        return self

    @property
    def max_samples(self) -> int:
        return self.samples


def check(recipe: Recipe) -> None:
    """Raises RecipeError where there would never be a scorer to choose by."""
    strategy, objective = recipe.strategy, recipe.objective.name
    if strategy.choose == "score" and objective not in ("vstar", "step_value"):
        raise RecipeError(
            f"strategy: best_of: choose: score goes by a scorer, and the objective {objective!r} trains none; say "
            "objective: vstar or step_value, or choose: concise"
        )
    if strategy.choose == "score" and strategy.aggregate != "last" and objective != "step_value":
        raise RecipeError(
            f"strategy: best_of: aggregate: {strategy.aggregate}: the objective {objective!r} trains a scorer of whole "
            "solutions, not of steps; say objective: step_value, or aggregate: last"
        )
    if strategy.choose == "score" and objective == "step_value":
        check_step(recipe)


def solve(problem: Problem, options: Options) -> Solver:
    each, over = divmod(options.samples, len(options.temperatures))
    replies = yield [
        Generate(
            put(problem.prompt, options.prompt),
            n=each + (place < over),
            temperature=temperature,
            top_p=options.top_p,
            max_tokens=options.max_tokens,
        )
        for place, temperature in enumerate(options.temperatures)
    ]
    rollouts = [
        Rollout.of(problem, completion, options.name, chosen=False)
        for completions in replies
        for completion in completions
    ]
    [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
    eligible = [
        (rollout, verdict)
        for rollout, verdict in zip(rollouts, verdicts, strict=True)
        if (verdict.correct or options.among == "all")
        and rollout.finish_reason == "stop"
        and rollout.num_tokens >= options.min_tokens
    ]
    best = [rollout for rollout, _ in eligible]
    values: Sequence[float | None] = [None] * len(best)
    if options.choose == "majority":
        best = yield from most_common(problem, eligible)
    elif options.choose == "score" and best:
        values = yield from valued(problem, best, options)
        best = most_valued(best, values)
    chosen = most_concise(problem, best).id if best else None
    by_id = {rollout.id: value for (rollout, _), value in zip(eligible, values, strict=True)}
    return [replace(one, chosen=one.id == chosen, value=by_id.get(one.id)) for one in rollouts]


def most_common(problem: Problem, judged: Sequence[tuple[Rollout, Verdict]]) -> Work[list[Rollout]]:
    """The rollouts of the largest class by the answer that the verifier read, or where it read none, by their text; of
    all the largest classes where some are as large as each other."""
    answers = [verdict.answer for _, verdict in judged if verdict.answer is not None]
    same = yield from grouped(problem, answers, _equal(problem))
    named = {answer: ("answer", one[0]) for one in same for answer in one}
    classes: dict[tuple[str, str], list[Rollout]] = defaultdict(list)
    for rollout, verdict in judged:
        said = ("text", normalised(rollout.response)) if verdict.answer is None else named[verdict.answer]
        classes[said].append(rollout)
    most = max(map(len, classes.values()), default=0)
    return [rollout for one in classes.values() if len(one) == most for rollout in one]


def _equal(problem: Problem) -> recipe.Choice | None:
    """The task's verifier, where it can tell which answers are equal and needs no options."""
    try:
        return comparing(recipe.chosen("verifiers", problem.verifier))
    except ValueError:
        return None


def valued(problem: Problem, rollouts: Sequence[Rollout], options: Options) -> Work[list[float | None]]:
    """What the policy's scorer makes of each, where there is one."""
    after = yield from step_values(problem, rollouts, None if options.aggregate == "last" else options.step)
    return [AGGREGATE[options.aggregate](values) if values else None for values in after]


def step_values(problem: Problem, rollouts: Sequence[Rollout], step: Kind | None) -> Work[list[list[float]]]:
    """What the policy's scorer makes of each after each of its steps, or with no `step` of the whole alone; nothing
    where there is no scorer. Each text is asked about once."""
    responses = [one.response for one in rollouts]
    begun = [list(accumulate(split(one, step))) or [""] for one in responses] if step else [[one] for one in responses]
    texts = list(dict.fromkeys(text for one in begun for text in one))
    [scores] = yield [Score(problem.prompt, texts)]
    known = {text: score for text, score in zip(texts, scores, strict=True) if score is not None}
    return [[known[text] for text in one] if len(known) == len(texts) else [] for one in begun]


def most_valued(rollouts: Sequence[Rollout], values: Sequence[float | None]) -> list[Rollout]:
    """The rollouts with the highest of `values`; all of them where there are no values."""
    highest = max((value for value in values if value is not None), default=None)
    return [rollout for rollout, value in zip(rollouts, values, strict=True) if value == highest]


def most_concise(problem: Problem, rollouts: Sequence[Rollout]) -> Rollout:
    """The one with the fewest tokens; of equals, with the smallest syntax tree where it holds Python; then by text."""
    fewest = min(rollout.num_tokens for rollout in rollouts)
    short = [rollout for rollout in rollouts if rollout.num_tokens == fewest]
    return min(short, key=lambda one: (tree_size(problem, one.response), one.response))


def tree_size(problem: Problem, response: str) -> float:
    """Nodes in the syntax tree of the program that `response` gives: 0 where it gives none, infinite where it is no
    Python. It is parsed and not run."""
    program = code.solution(problem, response)
    try:
        return sum(1 for _ in ast.walk(ast.parse(program))) if program else 0
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return math.inf
