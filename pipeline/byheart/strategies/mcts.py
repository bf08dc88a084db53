"""Monte Carlo tree search over the steps of a solution (2406.03816 ReST-MCTS*, 2501.04519 rStar-Math).

Each simulation has four phases. Select: go down the tree by a rule that weighs what a step was worth against how rarely
it was tried. Expand: write the next steps of the leaf, unless it is new itself. Simulate: find out what the leaf is
worth, by its value or by playouts to the end. Backpropagate: update all steps before it. A whole solution is worth what
the verifier says, or its value where the verifier may not be asked, and is closed once it was visited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens
from byheart.strategies.core import tree
from byheart.strategies.core.search import Search, Searching, check_step, worth
from byheart.strategies.core.tree import Node, close, select
from byheart.types import Part, Problem, Solver

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe

RULES = {"uct": tree.uct, "rest_mcts": tree.rest_mcts, "puct": tree.puct, "rstar": tree.rstar}


class MCTS(Searching):
    """Monte Carlo tree search. The first visit of a leaf writes nothing, so there are more simulations than expanded
    steps."""

    rule: Literal["uct", "rest_mcts", "puct", "rstar"] = Field(
        default="uct",
        description="selection rule: UCT, ReST-MCTS*'s with its own backpropagation, PUCT with the probability of a "
        "step under the policy as prior, or rStar-Math's",
    )
    exploration: float = Field(default=1.4, ge=0, description="weight of rarely tried steps (c of UCT, c_puct)")
    simulations: int = Field(default=64, ge=1, description="simulations per problem, each one visit of a leaf")
    playouts: int = Field(
        default=0, ge=0, description="samples to the end by which a leaf is valued; 0 takes the value model's value"
    )
    playout_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a playout")

    @override
    def check(self, recipe: Recipe) -> None:
        if self.playouts and recipe.objective.trains_scorer is None:
            check_step(self, self.step, recipe)  # playouts find out what a leaf is worth
        else:
            super().check(recipe)

    @override
    def solve(self, problem: Problem) -> Solver:
        search, rule = Search(problem, self), RULES[self.rule]
        backpropagate = tree.average if self.rule == "rest_mcts" else tree.backpropagate
        yield from search.expand([search.root])
        for _ in range(self.simulations):
            leaf = select(search.root, rule, self.exploration)
            if leaf and leaf.visits and not search.spent:
                yield from search.expand([leaf])
                leaf = select(search.root, rule, self.exploration)
            if leaf is None or search.spent:
                break
            backpropagate(leaf, (yield from reward(search, leaf, self)))
            if leaf.ended:
                close(leaf, "whole")
        return (yield from search.rollouts(worth))


def reward(search: Search, leaf: Node, options: MCTS) -> Part[float]:
    """What a visit of `leaf` brings back, in 0..1."""
    if leaf.ended or not options.playouts:
        [value] = yield from search.judged([leaf])
        return value
    ends = yield from search.simulate(leaf, options.playouts, options.playout_tokens)
    values = yield from search.judged(ends)
    return sum(values) / options.playouts  # a playout that was cut off counts 0
