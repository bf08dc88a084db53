"""Sample many, then select one: best-of-N.

`concise` selects the rollout with the fewest tokens; of equally short programs, the one with the smallest syntax tree.
`majority` selects the most concise of those that give the most common answer (self-consistency, 2203.11171); answers
are equal where the task's verifier says so, which does not see the gold answer for that.
`score` selects the one that the policy's scorer rates highest. A scorer of whole solutions gives their log-likelihood
(V-STaR, 2402.06457: the log-likelihood itself, not the ratio that the scorer was trained by); of a scorer of steps, the
value of the last step counts, or the lowest, or the product of all. While there is no scorer, as in the first round,
the most concise is selected.

The shortest answers can be guesses, so none under `min_tokens` is selected.
"""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.contracts import AnswerTokens, Budget, Strategy, Verifier
from byheart.errors import RecipeError
from byheart.strategies.core.prompting import put, template
from byheart.strategies.core.search import check_step
from byheart.strategies.core.steps import AGGREGATE, Kind, split
from byheart.strategies.direct import Temperature
from byheart.text import normalised
from byheart.types import Generate, Part, Problem, Rollout, Score, Solver, Verdict, Verify, replace
from byheart.verifiers import code
from byheart.verifiers.consensus import comparing, grouped

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class BestOf(Strategy):
    """Best-of-N sampling. Where no sample is eligible, none is selected."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}", description="prompt for the teacher; never trained on"
    )
    samples: int = Field(default=8, ge=1, description="samples per problem, spread evenly over `temperatures`")
    temperatures: list[Temperature] = Field(
        default=[1.0], min_length=1, description="sampling temperatures, 0 is greedy"
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling: probability mass to sample from")
    max_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a sample")
    choose: Literal["concise", "majority", "score"] = Field(
        default="concise", description="what is selected: the shortest, the majority's shortest, or the scorer's best"
    )
    step: Kind = Field(default="line", description="what a step is, for a scorer of steps; the same as curation.step")
    aggregate: Literal["last", "min", "product"] = Field(
        default="last", description="how the values of the steps make one number"
    )
    among: Literal["right", "all"] = Field(
        default="right",
        description="samples to select from: those that verify, or all, as where there is no gold answer",
    )
    min_tokens: int = Field(
        default=2, ge=1, description="fewest tokens, the end token included, of a sample that may be selected"
    )

    @model_validator(mode="after")
    def _sound(self) -> BestOf:
        if self.samples < len(self.temperatures):
            raise ValueError(f"samples: {self.samples} can't be spread over {len(self.temperatures)} temperatures")
        return self

    @override
    def budget(self) -> Budget:
        return Budget(self.samples, self.samples, self.max_tokens)

    @override
    def check(self, recipe: Recipe) -> None:
        if self.choose != "score":
            return
        scores, objective = recipe.objective.trains_scorer, recipe.objective.name
        if scores is None:
            raise RecipeError(
                f"strategy: {self.name}: choose: score goes by a scorer, and the objective {objective!r} trains none; "
                "say objective: vstar or step_value, or choose: concise"
            )
        if scores == "solutions" and self.aggregate != "last":
            raise RecipeError(
                f"strategy: {self.name}: aggregate: {self.aggregate}: the objective {objective!r} trains a scorer of "
                "whole solutions, not of steps; say objective: step_value, or aggregate: last"
            )
        if scores == "steps":
            check_step(self, self.step, recipe)

    @override
    def solve(self, problem: Problem) -> Solver:
        each, over = divmod(self.samples, len(self.temperatures))
        replies = yield [
            Generate(
                put(problem.prompt, self.prompt),
                n=each + (index < over),
                temperature=temperature,
                top_p=self.top_p,
                max_tokens=self.max_tokens,
            )
            for index, temperature in enumerate(self.temperatures)
        ]
        rollouts = [
            Rollout.of(problem, completion, self.name, selected=False)
            for completions in replies
            for completion in completions
        ]
        [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
        eligible = [
            (rollout, verdict)
            for rollout, verdict in zip(rollouts, verdicts, strict=True)
            if (verdict.correct or self.among == "all")
            and rollout.finish_reason == "stop"
            and rollout.num_tokens >= self.min_tokens
        ]
        best = [rollout for rollout, _ in eligible]
        values: Sequence[float | None] = [None] * len(best)
        if self.choose == "majority":
            best = yield from most_common(problem, eligible)
        elif self.choose == "score" and best:
            values = yield from valued(problem, best, self)
            best = most_valued(best, values)
        selected = most_concise(problem, best).id if best else None
        by_id = {rollout.id: value for (rollout, _), value in zip(eligible, values, strict=True)}
        return [replace(rollout, selected=rollout.id == selected, value=by_id.get(rollout.id)) for rollout in rollouts]


def most_common(problem: Problem, judged: Sequence[tuple[Rollout, Verdict]]) -> Part[list[Rollout]]:
    """The rollouts of the largest class, or of all the largest. Classes are made by the answer that the verifier read,
    or where it read none, by the text."""
    answers = [verdict.answer for _, verdict in judged if verdict.answer is not None]
    equal = yield from grouped(problem, answers, _equal(problem))
    keys = {answer: ("answer", members[0]) for members in equal for answer in members}
    classes: dict[tuple[str, str], list[Rollout]] = defaultdict(list)
    for rollout, verdict in judged:
        key = ("text", normalised(rollout.response)) if verdict.answer is None else keys[verdict.answer]
        classes[key].append(rollout)
    largest = max(map(len, classes.values()), default=0)
    return [rollout for members in classes.values() if len(members) == largest for rollout in members]


def _equal(problem: Problem) -> Verifier | None:
    """The task's verifier, where it can compare answers and needs no options."""
    try:
        return comparing(Verifier.parse(problem.verifier))
    except ValueError:
        return None


def valued(problem: Problem, rollouts: Sequence[Rollout], options: BestOf) -> Part[list[float | None]]:
    """The scorer's value of each rollout, its steps aggregated; None where the policy has no scorer."""
    by_rollout = yield from step_values(problem, rollouts, None if options.aggregate == "last" else options.step)
    return [AGGREGATE[options.aggregate](values) if values else None for values in by_rollout]


def step_values(problem: Problem, rollouts: Sequence[Rollout], step: Kind | None) -> Part[list[list[float]]]:
    """For each rollout, the scorer's value after each of its steps, or without a `step` that of the whole only; empty
    where the policy has no scorer. Each text is scored once."""
    responses = [rollout.response for rollout in rollouts]
    prefixes = [list(accumulate(split(text, step))) or [""] if step else [text] for text in responses]
    texts = list(dict.fromkeys(prefix for parts in prefixes for prefix in parts))
    [scores] = yield [Score(problem.prompt, texts)]
    known = {text: score for text, score in zip(texts, scores, strict=True) if score is not None}
    return [[known[prefix] for prefix in parts] if len(known) == len(texts) else [] for parts in prefixes]


def most_valued(rollouts: Sequence[Rollout], values: Sequence[float | None]) -> list[Rollout]:
    """The rollouts with the highest of `values`; all of them where every value is None."""
    highest = max((value for value in values if value is not None), default=None)
    return [rollout for rollout, value in zip(rollouts, values, strict=True) if value == highest]


def most_concise(problem: Problem, rollouts: Sequence[Rollout]) -> Rollout:
    """The rollout with the fewest tokens; of equals, that with the smallest syntax tree, then the first by text."""
    fewest = min(rollout.num_tokens for rollout in rollouts)
    short = [rollout for rollout in rollouts if rollout.num_tokens == fewest]
    return min(short, key=lambda rollout: (tree_size(problem, rollout.response), rollout.response))


def tree_size(problem: Problem, response: str) -> float:
    """Nodes in the syntax tree of the program in `response`: 0 where there is none, infinite where it is no Python. It
    is parsed, not run."""
    program = code.solution(problem, response)
    try:
        return sum(1 for _ in ast.walk(ast.parse(program))) if program else 0
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return math.inf
