"""Q* (2406.14283): A* over the steps of a solution, guided by what they are worth so far and by what may still come.

    f(s) = g(s) + lambda * h(s)        g: the rewards of the steps so far, aggregated
                                       h: the value of the best of its own next steps, dead ends aside

The unfinished solution with the greatest f is taken up. For each of its next steps the steps after it are written in
turn, since their values are its h. The search ends when enough solutions are whole; the one with the greatest f is
selected. A step's value is the chance of a right answer after it (objectives/step_value.py), so the value of a next
step is the paper's Q of the step before. Nothing follows a whole solution: its h is its own value. The reward of a step
is its value too, or its probability under the policy.
"""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import Literal

from pydantic import Field
from typing_extensions import override

from byheart.strategies.core.search import DEAD_ENDS, Search, Searching, worth
from byheart.strategies.core.steps import AGGREGATE
from byheart.strategies.core.tree import Node, close
from byheart.types import Problem, Solver


class QStar(Searching):
    """A* search by f = g + lambda * h."""

    width: int = Field(default=6, ge=1, description="next steps sampled after a step (the paper's K)")
    reward: Literal["value", "probability"] = Field(
        default="value", description="reward of a step: its value, or its probability given the steps before it"
    )
    aggregate: Literal["min", "max", "sum", "last"] = Field(
        default="min", description="how the rewards of the steps so far make g"
    )
    weight: float = Field(default=1.0, ge=0, description="lambda, the weight of h; the paper gives no value")
    solutions: int = Field(default=6, ge=1, description="whole solutions at which the search ends")

    @override
    def solve(self, problem: Problem) -> Solver:
        search, order, num_whole = Search(problem, self), count(), 0
        frontier = [(0.0, next(order), search.root)]
        yield from search.expand([search.root])
        while frontier and num_whole < self.solutions and not search.spent:
            _, _, node = heapq.heappop(frontier)
            if node.ended:
                close(node, "whole")
                num_whole += 1
                continue
            yield from search.expand(node.children)
            for child in node.children:
                if not child.closed:
                    heapq.heappush(frontier, (-f(child, self), next(order), child))
        return (yield from search.rollouts(lambda node: f(node, self), lambda node: _scores(node, self)))


def f(node: Node, options: QStar) -> float:
    """g + lambda * h: what the search goes by."""
    return g(node, options) + options.weight * h(node)


def g(node: Node, options: QStar) -> float:
    """The rewards of the steps up to `node`, aggregated."""
    reward = worth if options.reward == "value" else _probability
    return AGGREGATE[options.aggregate]([reward(step) for step in node.path])


def h(node: Node) -> float:
    """The greatest value among the next steps that are no dead ends; without any, the node's own value."""
    return max((worth(child) for child in node.children if child.closed not in DEAD_ENDS), default=worth(node))


def _probability(node: Node) -> float:
    return math.exp(node.logprob)


def _scores(node: Node, options: QStar) -> dict[str, float]:
    return {"f": f(node, options), "g": g(node, options), "h": h(node)}
