"""Monte Carlo tree search over the steps of a solution (2406.03816 ReST-MCTS*, 2501.04519 rStar-Math).

Again and again: go down the tree by a rule that weighs what a step was worth against how seldom it was tried; write the
next steps of the leaf that was reached, unless it is new itself; find out what it is worth, by its value or by playing
to the end from there; and tell all steps before it. A whole solution is worth what the verifier says, or its value
where none may be asked, and is closed once it was visited.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from byheart.recipe import Recipe
from byheart.strategies import searching, tree
from byheart.strategies.searching import Search
from byheart.strategies.several import Work
from byheart.strategies.tree import Node, close, descend
from byheart.types import Problem, Solver

RULES = {"uct": tree.uct, "rest_mcts": tree.rest_mcts, "puct": tree.puct, "rstar": tree.rstar}


class Options(searching.Options):
    """`rule` says where to look next, with the weight `explore` of what was seldom tried: UCT; ReST-MCTS*'s, with its
    own backup; PUCT with the policy's probability of a step as prior; or rStar's. So many `visits` are made; the first
    of a leaf writes nothing, so there are more of them than steps taken up. A leaf is worth its value, or with
    `playouts` what so many samples that go on from it to the end are worth on average."""

    rule: Literal["uct", "rest_mcts", "puct", "rstar"] = "uct"
    explore: float = Field(default=1.4, ge=0)
    visits: int = Field(default=64, ge=1)
    playouts: int = Field(default=0, ge=0)
    playout_tokens: int = Field(default=256, ge=1)


def check(recipe: Recipe) -> None:
    """Raises RecipeError where nothing says what a leaf is worth."""
    if recipe.strategy.playouts and recipe.objective.name in ("sft", "preference", "none"):
        searching.check_step(recipe)  # it plays to the end to find out
    else:
        searching.check(recipe)


def solve(problem: Problem, options: Options) -> Solver:
    search, rule = Search(problem, options), RULES[options.rule]
    back_up = tree.average if options.rule == "rest_mcts" else tree.back_up
    yield from search.grow([search.root])
    for _ in range(options.visits):
        leaf = descend(search.root, rule, options.explore)
        if leaf and leaf.visits and not search.spent:
            yield from search.grow([leaf])
            leaf = descend(search.root, rule, options.explore)
        if leaf is None or search.spent:
            break
        back_up(leaf, (yield from worth(search, leaf, options)))
        if leaf.ended:
            close(leaf, "whole")
    return (yield from search.rollouts(searching.worth))


def worth(search: Search, leaf: Node, options: Options) -> Work[float]:
    """What a visit of `leaf` brings back, in 0..1."""
    if leaf.ended or not options.playouts:
        [value] = yield from search.judged([leaf])
        return value
    ends = yield from search.play(leaf, options.playouts, options.playout_tokens)
    values = yield from search.judged(ends)
    return sum(values) / options.playouts  # what was cut off came to nothing
