"""Pairs of a right and a wrong solution of one problem, for preference training.

V-STaR (2402.06457) trains its verifier on the pairs of all rounds, every right solution with every wrong one. Siblings
diverge at one step, after which one mostly came out right and the other never (rStar-Math, 2501.04519): the preference
is for that step.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import lcm

from byheart.curation.backtrack import Judged
from byheart.curation.choice import shuffled
from byheart.curation.distinct import by_text
from byheart.curation.rows import by_problem, text
from byheart.strategies.core.steps import Kind
from byheart.strategies.core.tree import Node, nodes
from byheart.strategies.core.value_targets import grown, hard
from byheart.types import Pair, Row, digest


def random_pairs(right: Iterable[Row], wrong: Iterable[Row], keep: int, seed: int) -> list[Pair]:
    """At most `keep` different pairs a problem. The i-th pair takes the i-th right and the i-th wrong row in an order
    drawn by `seed`, cyclically, so that the rows are used equally often."""
    wrong_rows = by_problem(by_text(wrong))
    result: list[Pair] = []
    for problem, group in by_problem(by_text(right)).items():
        texts = {text(row) for row in group}
        chosen = shuffled(group, seed)
        rejected = shuffled([row for row in wrong_rows.get(problem, []) if text(row) not in texts], seed)
        if rejected:
            period = lcm(len(chosen), len(rejected))
            result += [
                _pair(chosen[i % len(chosen)], rejected[(i + i // period) % len(rejected)])
                for i in range(min(keep, len(chosen) * len(rejected)))
            ]
    return result


def sibling_pairs(
    right: Iterable[Row], wrong: Iterable[Row], judged: Judged, kind: Kind, keep: int, seed: int
) -> list[Pair]:
    """At most `keep` pairs a problem of solutions that begin alike: after the step at which they diverge at least half
    of the `judged` rollouts through the right one's step are right, and none through the wrong one's. No two pairs
    diverge at the same two steps."""
    right_rows, wrong_rows = by_problem(right), by_problem(wrong)
    result: list[Pair] = []
    for problem, group in right_rows.items():
        root, ends = grown(judged.get(problem, []), kind)
        possible = hard(root)
        chosen, rejected = (_through(rows, ends, seed) for rows in (group, wrong_rows.get(problem, [])))
        candidates = [
            (chosen[good], rejected[bad])
            for parent in nodes(root)
            for good in parent.children
            for bad in parent.children
            if good in chosen and good.mean >= 0.5 and bad in rejected and not possible[bad]
        ]
        candidates.sort(key=lambda rows: digest(seed, rows[0].rollout_id, rows[1].rollout_id))
        result += [_pair(*rows) for rows in candidates[:keep]]
    return result


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
