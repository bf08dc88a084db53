"""Monte Carlo tree search where what each step is worth is known."""

import random
from typing import Any

import pytest
from byheart.strategies.core.tree import Node, add, backpropagate, select, uct
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies.world import World


def played(world: World, **rest: Any) -> list[Any]:
    return world.search("mcts", **{"simulations": 200, "max_nodes": 10**6, "max_tokens": 10**6, **rest})


rules = pytest.mark.parametrize("rule", ["uct", "rest_mcts", "puct", "rstar"])


@rules
@pytest.mark.parametrize("seed", range(8))
def test_every_rule_finds_the_best_way_without_looking_at_all(rule: str, seed: int) -> None:
    world = World(4, 3, seed)  # 84 steps in all
    [chosen] = [
        rollout
        for rollout in played(world, rule=rule, among="all", simulations=40, exploration=0.1)
        if rollout.selected
    ]
    assert chosen.response == world.best
    assert len(world.tree) <= 64


@rules
def test_where_the_verifier_may_be_asked_what_is_right_is_chosen(rule: str) -> None:
    world = World(3, 3, seed=4)
    rollouts = played(world, rule=rule, among="right")
    assert [rollout.response for rollout in rollouts if rollout.selected] == [world.best]


@rules
def test_without_a_value_it_plays_to_the_end_to_find_out(rule: str) -> None:
    world = World(3, 3, seed=4, valued=False)
    rollouts = played(world, rule=rule, playouts=4, exploration=1.0)
    assert any(rollout.response == world.best and rollout.selected for rollout in rollouts)
    assert {branch.parent for branch in world.tree if branch.mean} != {-1}, (
        "what was played to is told to all before it"
    )


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0.05, 0.95), min_size=2, max_size=5, unique=True), st.integers(0, 99))
def test_visits_converge_to_the_best_arm(arms: list[float], seed: int) -> None:
    """A tree one step deep is a bandit, and UCT on it is UCB1: the arm with the best mean gets most of the visits."""
    root = Node()
    for index in range(len(arms)):
        add(root, str(index))
    rng = random.Random(seed)
    for _ in range(3000):
        leaf = select(root, uct, 1.0)
        assert leaf
        backpropagate(leaf, float(rng.random() < arms[int(leaf.step)]))
    best = max(arms)
    near = [child for child in root.children if arms[int(child.step)] >= best - 0.15]
    assert sum(child.visits for child in near) > 0.8 * root.visits
