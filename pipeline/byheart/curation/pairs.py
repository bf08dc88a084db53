"""Pairs of a right and a wrong solution of one problem, for preference training.

V-STaR (2402.06457) trains its verifier on the pairs of all rounds, every right solution with every wrong one. Siblings
diverge at one step, after which one mostly came out right and the other never (rStar-Math, 2501.04519): the preference
is for that step.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import lcm

from byheart.curation.choice import shuffled
from byheart.curation.distinct import by_text
from byheart.curation.rows import text
from byheart.strategies.core.steps import Kind
from byheart.strategies.core.tree import Node, nodes
from byheart.strategies.core.value_targets import grown, hard
from byheart.types import Pair, Rollout, Row, Verdict, digest


def random_pairs(right: Iterable[Row], wrong: Iterable[Row], keep: int, seed: int) -> list[Pair]:
    """At most `keep` different pairs of a problem. The i-th pair takes the i-th right and the i-th wrong row in an
    order drawn by `seed`, cyclically, so that the rows are used equally often."""
    chosen = shuffled(by_text(right), seed)
    texts = {text(row) for row in chosen}
    rejected = shuffled([row for row in by_text(wrong) if text(row) not in texts], seed)
    if not (chosen and rejected):
        return []
    period = lcm(len(chosen), len(rejected))
    return [
        _pair(chosen[i % len(chosen)], rejected[(i + i // period) % len(rejected)])
        for i in range(min(keep, len(chosen) * len(rejected)))
    ]


def sibling_pairs(
    right: list[Row],
    wrong: list[Row],
    judged: Iterable[tuple[Rollout, Verdict]],
    kind: Kind,
    keep: int,
    seed: int,
) -> list[Pair]:
    """At most `keep` pairs of a problem's solutions that begin alike: after the step at which they diverge at least
    half of the `judged` rollouts through the right one's step are right, and none through the wrong one's. No two pairs
    diverge at the same two steps."""
    root, ends = grown(judged, kind)
    possible = hard(root)
    chosen, rejected = (_through(rows, ends, seed) for rows in (right, wrong))
    candidates = [
        (chosen[good], rejected[bad])
        for parent in nodes(root)
        for good in parent.children
        for bad in parent.children
        if good in chosen and good.mean >= 0.5 and bad in rejected and not possible[bad]
    ]
    candidates.sort(key=lambda rows: digest(seed, rows[0].rollout_id, rows[1].rollout_id))
    return [_pair(*rows) for rows in candidates[:keep]]


def _through(rows: list[Row], ends: dict[str, Node], seed: int) -> dict[Node, Row]:
    """By node of the tree, one of the `rows` whose solution goes through it. `ends`: the last node of each solution, by
    rollout id."""
    result: dict[Node, Row] = {}
    for row in shuffled(rows, seed):
        for node in ends[row.rollout_id].path if row.rollout_id in ends else []:
            result.setdefault(node, row)
    return result


def _pair(right: Row, wrong: Row) -> Pair:
    return Pair(
        prompt=right.prompt,
        chosen=right.completion,
        rejected=wrong.completion,
        problem_id=right.problem_id,
        chosen_id=right.rollout_id,
        rejected_id=wrong.rollout_id,
        round=max(right.round, wrong.round),
    )
