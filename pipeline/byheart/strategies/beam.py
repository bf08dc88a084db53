"""Beam search over the values of steps, as search-and-learn does it: of all next steps, the best few go on.

`diverse` makes a tree of each of the first steps that go on, and follows the best next step in each by itself (diverse
verifier tree search): fewer solutions that differ in their last words alone.
"""

from __future__ import annotations

from pydantic import Field

from byheart.strategies import searching
from byheart.strategies.searching import Search, worth
from byheart.strategies.tree import Node
from byheart.types import Problem, Solver


class Options(searching.Options):
    """So many `beams` go on at a time, fewer by each that has come to its end; the search ends with the last. To begin
    with, `width` first steps are written for each."""

    beams: int = Field(default=4, ge=1)
    diverse: bool = False


check = searching.check


def solve(problem: Problem, options: Options) -> Solver:
    search = Search(problem, options)
    yield from search.grow([search.root], options.beams * options.width)
    beams, room = best(search.root.children, options.beams), options.beams
    while True:
        room -= sum(node.ended for node in beams)
        beams = [node for node in beams if not node.ended]
        if not beams or search.spent:
            return (yield from search.rollouts(worth))
        yield from search.grow(beams)
        following = [node.children for node in beams]
        if options.diverse:
            beams = [node for children in following for node in best(children, 1)]
        else:
            beams = best([node for children in following for node in children], room)


def best(found: list[Node], n: int) -> list[Node]:
    """The `n` of highest value that are whole or can go on."""
    return sorted((node for node in found if not node.closed), key=worth, reverse=True)[:n]
