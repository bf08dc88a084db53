"""What a value model learns from: steps of solutions, valued by what the run's own rollouts through them came to.

How steps are valued is in strategies/core/value_targets.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal

from pydantic import Field

from byheart.curation.attempts import Attempt
from byheart.plugins.plugin import Options
from byheart.strategies.core.steps import Kind, split
from byheart.strategies.core.value_targets import TARGETS, grown, hard
from byheart.types import StepwiseRow, digest


class StepOptions(Options):
    """How the steps of solutions are valued, for a value model."""

    target: Literal["monte_carlo", "hard", "best", "fitted_q", "rest_mcts"] = Field(
        default="monte_carlo",
        description="the value of a step: the share of rollouts through it that are right (monte_carlo), whether any "
        "is (hard), the best score of any (best), the greatest value of a next step (fitted_q), or its progress to a "
        "right end (rest_mcts)",
    )
    keep: int = Field(default=8, ge=2, description="most solutions per problem, right and wrong ones alternating")


def stepwise_rows(attempts: Sequence[Attempt], kind: Kind, options: StepOptions, seed: int) -> list[StepwiseRow]:
    """One row for each solution of a problem that is kept. Its `labels` are those of the target `hard`, whatever the
    target is."""
    root, ends = grown([attempt.judged for attempt in attempts], kind)
    values, possible = TARGETS[options.target](root), hard(root)
    rows = []
    for n, rollout, _ in _alternating(attempts, options.keep, seed):
        path = ends[rollout.id].path
        rows.append(
            StepwiseRow(
                prompt=rollout.prompt,
                completions=split(rollout.response, kind),
                labels=[bool(possible[node]) for node in path],
                values=[values[node] for node in path],
                problem_id=rollout.problem_id,
                rollout_id=rollout.id,
                round=n,
            )
        )
    return rows


def _alternating(group: Sequence[Attempt], keep: int, seed: int) -> list[Attempt]:
    """At most `keep` of the group, in an order drawn by `seed`; right and wrong alternate while there are both."""
    shuffled = sorted(group, key=lambda attempt: digest(seed, attempt.rollout.id))
    sides = [[attempt for attempt in shuffled if attempt.verdict.correct == side] for side in (True, False)]
    alternating = [attempt for pair in zip_longest(*sides) for attempt in pair if attempt]
    return alternating[:keep]
