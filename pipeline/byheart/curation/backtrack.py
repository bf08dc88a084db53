"""Solutions that make a wrong step, retract it and go on from the right one, which teach a model to notice mistakes.

They are built from the tree of all solutions tried for a problem (strategies/core/value_targets.py). Where a right and
a wrong solution diverge, and no solution through the wrong step was right, the wrong step is written first; then the
mark (text.BACK); then the right solution goes on. The wrong step has no loss, so that the model learns only to leave it
(Self-Backtracking, 2502.04404; Physics of Language Models 2.2, 2408.16293). Nor have steps that the model retracted by
itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from byheart.curation.rows import completion, text
from byheart.strategies.core.steps import Kind, alike, split
from byheart.strategies.core.tree import Node
from byheart.strategies.core.value_targets import grown, hard
from byheart.text import BACK, goes_back
from byheart.types import Rollout, Row, Verdict, digest, replace


def backtracking(
    rows: Iterable[Row], judged: Iterable[tuple[Rollout, Verdict]], kind: Kind, keep: int, seed: int
) -> list[Row]:
    """At most `keep` rows of a problem that go back, made of its right `rows` and of wrong steps in its `judged`
    rollouts. Each has a rollout id of its own, which no rollout has."""
    root, ends = grown(judged, kind)
    possible = hard(root)
    candidates = [
        _with_slip(row, depth, wrong, kind)
        for row in rows
        if row.rollout_id in ends
        for depth, right in enumerate(ends[row.rollout_id].path)
        for wrong in (right.parent.children if right.parent else [])
        if not (possible[wrong] or _same(wrong, right, kind) or goes_back(wrong.step))
    ]
    return sorted(candidates, key=lambda row: digest(seed, row.rollout_id))[:keep]


def slips(response: str, kind: Kind) -> list[tuple[int, int]]:
    """The steps of `response` that are retracted, as spans of characters (first, end)."""
    steps = split(response, kind)
    bounds = [0, *accumulate(map(len, steps))]
    return [(bounds[i - 1], bounds[i]) for i, step in enumerate(steps) if i and goes_back(step)]


def _same(wrong: Node, right: Node, kind: Kind) -> bool:
    """Whether both steps have the same text, and the wrong solution only ended too early."""
    return alike(wrong.step, kind) == alike(right.step, kind)


def _with_slip(row: Row, depth: int, wrong: Node, kind: Kind) -> Row:
    """`row` with the step of `wrong` and the mark after its first `depth` steps."""
    whole = text(row)
    before = "".join(split(whole, kind)[:depth])
    slip = wrong.step + ("" if wrong.step[-1:].isspace() else "\n")
    response = before + slip + BACK + whole[len(before) :]
    return replace(
        row,
        completion=completion(response, row.completion),
        rollout_id=digest(row.rollout_id, response),
        num_tokens=round(row.num_tokens * len(response) / len(whole)),
        token_ids=[],
    )
