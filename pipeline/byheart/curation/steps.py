"""What a value model learns from: what the steps of solutions were worth, by the run's own rollouts and nobody's
labels.

How steps are valued is in strategies/outcomes.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Literal

from pydantic import Field

from byheart import recipe
from byheart.steps import Kind, split
from byheart.strategies.outcomes import TARGETS, grown, hard
from byheart.types import Example, Rollout, Verdict, digest


class Options(recipe.Options):
    """How steps are valued, and how many solutions a problem are kept, right and wrong in turn."""

    target: Literal["monte_carlo", "hard", "best", "fitted_q", "rest_mcts"] = "monte_carlo"
    keep: int = Field(default=8, ge=2)


Tried = tuple[int, Rollout, Verdict]
"""The round, a rollout of it that was judged and came to its end, and the verdict."""


def valued(tried: Iterable[Tried], kind: Kind, options: Options, seed: int) -> list[Example]:
    """One row a solution, in trl's stepwise-supervision format with `values` (0..1) beside the `labels`, which are
    those of `hard`."""
    by_problem: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        by_problem[one[1].problem_id].append(one)
    rows: list[Example] = []
    for group in by_problem.values():
        root, ends = grown([(rollout, verdict) for _, rollout, verdict in group], kind)
        values, possible = TARGETS[options.target](root), hard(root)
        for n, rollout, _ in _kept(group, options.keep, seed):
            path = ends[rollout.id].path
            rows.append(
                {
                    "prompt": rollout.prompt,
                    "completions": split(rollout.response, kind),
                    "labels": [bool(possible[node]) for node in path],
                    "values": [values[node] for node in path],
                    "problem_id": rollout.problem_id,
                    "rollout_id": rollout.id,
                    "round": n,
                }
            )
    return rows


def _kept(group: Sequence[Tried], keep: int, seed: int) -> list[Tried]:
    """So many, right and wrong in turn while there are both, as `seed` draws them."""
    drawn = sorted(group, key=lambda one: digest(seed, one[1].id))
    sides = [[one for one in drawn if one[2].correct == side] for side in (True, False)]
    in_turn = [one for pair in zip_longest(*sides) for one in pair if one]
    return in_turn[:keep]
