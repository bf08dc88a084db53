"""Pairs of a right and a wrong solution of one problem, for preference training, in trl's preference format.

V-STaR (2402.06457) trains its verifier on those of all rounds, every right solution with every wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import lcm

from pipeline.curation.choice import drawn
from pipeline.curation.distinct import by_text
from pipeline.curation.rows import by_problem, text
from pipeline.types import Example


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
