"""Beam search by the values of steps, as search-and-learn does it: of all next steps, the best few go on.

`diverse` makes a tree of each of the first steps that go on, and follows the best next step in each by itself (diverse
verifier tree search): fewer solutions that differ only in their last words.
"""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from byheart.strategies.core.search import Search, Searching, worth
from byheart.strategies.core.tree import Node
from byheart.types import Problem, Solver


class Beam(Searching):
    """Follows the best beams at a time, one fewer for each that is whole, and ends with the last. `width` first steps
    are written for each beam."""

    beams: int = Field(default=4, ge=1, description="unfinished solutions that are followed at a time")
    diverse: bool = Field(default=False, description="keep the beams in separate trees, one for each first step")

    @override
    def solve(self, problem: Problem) -> Solver:
        search = Search(problem, self)
        yield from search.expand([search.root], self.beams * self.width)
        beams, room = best(search.root.children, self.beams), self.beams
        while True:
            room -= sum(node.ended for node in beams)
            beams = [node for node in beams if not node.ended]
            if not beams or search.spent:
                return (yield from search.rollouts(worth))
            yield from search.expand(beams)
            following = [node.children for node in beams]
            if self.diverse:
                beams = [node for children in following for node in best(children, 1)]
            else:
                beams = best([node for children in following for node in children], room)


def best(candidates: list[Node], n: int) -> list[Node]:
    """The `n` of highest value that are whole or can go on."""
    return sorted((node for node in candidates if not node.closed), key=worth, reverse=True)[:n]
