"""Several strategies for one task: in stages, cheap ones first, or in proportions.

In stages a problem goes on to the next, more expensive part only while no part has solved it: no rollout that was
selected, unhinted and finished is right. In proportions each problem is given to one part, drawn by the problem's id,
so it meets the same part in every round. A rollout names the part that made it.
"""

from __future__ import annotations

import random
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.contracts import Strategy
from byheart.errors import PromptError
from byheart.plugins.plugin import Member
from byheart.types import Problem, Rollout, Solver, Verify


class Mixture(Strategy):
    """Other strategies, in stages or in proportions."""

    parts: list[Member[Strategy]] = Field(min_length=2, description="the strategies, each with its options")
    how: Literal["stages", "proportions"] = Field(
        default="stages",
        description="stages: each part gets what those before it left unsolved; proportions: by weights",
    )
    weights: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=list, description="for proportions, the share of each part; they need not add up to 1"
    )

    @model_validator(mode="after")
    def _sound(self) -> Mixture:
        if self.how == "stages" and self.weights:
            raise ValueError("weights are for how: proportions; in stages every part has its turn")
        if self.how == "proportions" and len(self.weights) != len(self.parts):
            raise ValueError(f"weights: {len(self.weights)} of them for {len(self.parts)} parts; give each part one")
        return self

    @override
    def solve(self, problem: Problem) -> Solver:
        if self.how == "proportions":
            [part] = random.Random(problem.id).choices(self.parts, self.weights)
            return (yield from part.solve(problem))
        rollouts: list[Rollout] = []
        refused: PromptError | None = None
        for part in self.parts:
            try:
                rollouts += yield from part.solve(problem)
            except PromptError as error:  # the next part may have a shorter prompt
                refused = error
                continue
            [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
            if any(
                rollout.selected and not rollout.hinted and rollout.finish_reason == "stop" and verdict.correct
                for rollout, verdict in zip(rollouts, verdicts, strict=True)
            ):
                break
        if refused and not rollouts:
            raise refused
        return rollouts
