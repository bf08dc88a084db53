"""Several strategies for one task: in stages, cheap ones first, or in proportions.

In stages a problem goes on to the next, dearer part only while no part has solved it: no rollout that its strategy
chose, and that was not given the answer, is right and came to its end. In proportions each problem is given to one
part, drawn by the problem's id, so that it meets the same one in every round. A rollout says which part made it.
"""

from __future__ import annotations

import random
from typing import Annotated, Literal

from pydantic import Field, model_validator

from byheart import recipe
from byheart.errors import PromptError
from byheart.strategies.asking import begin
from byheart.types import Problem, Rollout, Solver, Verify


class Options(recipe.Choice):
    """`parts` are strategies with their options. `weights`, for proportions, says one number for each; they need not
    add up to 1."""

    parts: list[recipe.choice("strategies")] = Field(min_length=2)  # type: ignore[valid-type]
    how: Literal["stages", "proportions"] = "stages"
    weights: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if self.how == "stages" and self.weights:
            raise ValueError("weights are for how: proportions; in stages every part has its turn")
        if self.how == "proportions" and len(self.weights) != len(self.parts):
            raise ValueError(f"weights: {len(self.weights)} of them for {len(self.parts)} parts; give each part one")
        return self


def solve(problem: Problem, options: Options) -> Solver:
    if options.how == "proportions":
        [part] = random.Random(problem.id).choices(options.parts, options.weights)
        return (yield from begin(problem, part))
    rollouts: list[Rollout] = []
    refused: PromptError | None = None
    for part in options.parts:
        try:
            rollouts += yield from begin(problem, part)
        except PromptError as error:  # the next part may ask for less
            refused = error
            continue
        [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
        if any(
            rollout.chosen and not rollout.hinted and rollout.finish_reason == "stop" and verdict.correct
            for rollout, verdict in zip(rollouts, verdicts, strict=True)
        ):
            break
    if refused and not rollouts:
        raise refused
    return rollouts
