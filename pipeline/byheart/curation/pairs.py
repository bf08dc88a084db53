"""Pairs of a right and a wrong solution of one problem, for preference training, in trl's preference format.

V-STaR (2402.06457) trains its verifier on those of all rounds, every right solution with every wrong one. Siblings part
at one step, after which the one mostly came out right and the other never (rStar-Math, 2501.04519): what is preferred
is that step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import lcm

from byheart.curation.choice import drawn
from byheart.curation.distinct import by_text
from byheart.curation.rows import by_problem, text
from byheart.steps import Kind
from byheart.strategies.outcomes import grown, hard
from byheart.strategies.tree import Node, nodes
from byheart.types import Example, Rollout, Verdict, digest


def pairs(right: Iterable[Example], wrong: Iterable[Example], most: int, seed: int) -> list[Example]:
    """At most so many pairs of each problem, no two alike. The i-th pair takes the i-th right and the i-th wrong row in
    an order that `seed` draws, round and round, so none is in more pairs than it has to be."""
    worse = by_problem(by_text(wrong))
    found: list[Example] = []
    for problem, group in by_problem(by_text(right)).items():
        said = {text(row) for row in group}
        better = drawn(group, seed)
        others = drawn([row for row in worse.get(problem, []) if text(row) not in said], seed)
        if others:
            around = lcm(len(better), len(others))
            found += [
                _pair(better[i % len(better)], others[(i + i // around) % len(others)])
                for i in range(min(most, len(better) * len(others)))
            ]
    return found


def siblings(
    right: Iterable[Example],
    wrong: Iterable[Example],
    tried: Mapping[str, Iterable[tuple[Rollout, Verdict]]],
    kind: Kind,
    most: int,
    seed: int,
) -> list[Example]:
    """At most so many pairs of each problem, of solutions that begin alike: after the step at which they part at least
    half of the rollouts `tried` with the right one's are right, and none with the wrong one's. No two pairs part at the
    same two steps."""
    better, worse = by_problem(right), by_problem(wrong)
    found: list[Example] = []
    for problem, group in better.items():
        root, ends = grown(tried.get(problem, []), kind)
        possible = hard(root)
        ways: list[dict[Node, Example]] = [{}, {}]  # a right solution through each node, and a wrong one
        for some, way in zip((group, worse.get(problem, [])), ways, strict=True):
            for row in drawn(some, seed):
                for node in ends[row["rollout_id"]].path if row["rollout_id"] in ends else []:
                    way.setdefault(node, row)
        parted = [
            (ways[0][good], ways[1][bad])
            for parent in nodes(root)
            for good in parent.children
            for bad in parent.children
            if good in ways[0] and good.mean >= 0.5 and bad in ways[1] and not possible[bad]
        ]
        parted.sort(key=lambda two: digest(seed, two[0]["rollout_id"], two[1]["rollout_id"]))
        found += [_pair(one, other) for one, other in parted[:most]]
    return found


def _pair(right: Example, wrong: Example) -> Example:
    return {
        "prompt": right["prompt"],
        "chosen": right["completion"],
        "rejected": wrong["completion"],
        "problem_id": right["problem_id"],
        "chosen_id": right["rollout_id"],
        "rejected_id": wrong["rollout_id"],
        "round": max(right["round"], wrong["round"]),
    }
