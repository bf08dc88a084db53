"""Q* (2406.14283): A* over the steps of a solution, led by what they are worth so far and by what may still come.

    f(s) = g(s) + lambda * h(s)        g: the rewards of the steps so far, aggregated
                                       h: the value of the best of its own next steps, dead ends aside

The unfinished solution with the greatest f is taken up; of each of its next steps the next steps are written in turn,
since their values are its h; and so on, until enough solutions are whole. The one with the greatest f is chosen.
A step's value is the chance of a right answer after it (objectives/step_value.py), so the value of a next step is the
paper's Q of the step before. Nothing follows on a whole solution: its h is its own value. The reward of a step is its
value too, or how sure the policy was of it.
"""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import Literal

from pydantic import Field

from byheart.steps import AGGREGATE
from byheart.strategies import searching
from byheart.strategies.searching import DEAD_ENDS, Search, worth
from byheart.strategies.tree import Node, close
from byheart.types import Problem, Solver


class Options(searching.Options):
    """The `reward` of a step is its value, or its probability under the policy, given those before it; `aggregate`
    makes g of them. `weight` is lambda, of which the paper gives no value. `width` is the paper's K; the search stops
    after so many whole `solutions`."""

    width: int = Field(default=6, ge=1)
    reward: Literal["value", "probability"] = "value"
    aggregate: Literal["min", "max", "sum", "last"] = "min"
    weight: float = Field(default=1.0, ge=0)
    solutions: int = Field(default=6, ge=1)


check = searching.check


def solve(problem: Problem, options: Options) -> Solver:
    search, order, found = Search(problem, options), count(), 0
    frontier = [(0.0, next(order), search.root)]
    yield from search.grow([search.root])
    while frontier and found < options.solutions and not search.spent:
        _, _, node = heapq.heappop(frontier)
        if node.ended:
            close(node, "whole")
            found += 1
            continue
        yield from search.grow(node.children)
        for child in node.children:
            if not child.closed:
                heapq.heappush(frontier, (-f(child, options), next(order), child))
    return (yield from search.rollouts(lambda node: f(node, options), lambda node: _scores(node, options)))


def f(node: Node, options: Options) -> float:
    return g(node, options) + options.weight * h(node)


def g(node: Node, options: Options) -> float:
    reward = worth if options.reward == "value" else _probability
    return AGGREGATE[options.aggregate]([reward(one) for one in node.path])


def h(node: Node) -> float:
    return max((worth(child) for child in node.children if child.closed not in DEAD_ENDS), default=worth(node))


def _probability(node: Node) -> float:
    return math.exp(node.logprob)


def _scores(node: Node, options: Options) -> dict[str, float]:
    return {"f": f(node, options), "g": g(node, options), "h": h(node)}
