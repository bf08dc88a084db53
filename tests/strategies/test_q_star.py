"""A* where what each step is worth is known: the best way is found, and nothing is looked at in vain."""

import math
from typing import Any

import pytest
from byheart.strategies.core.tree import Node, add
from byheart.strategies.q_star import QStar, f
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies.world import World


def played(world: World, **rest: Any) -> list[Any]:
    return world.search("q_star", **{"among": "all", "solutions": 1, "max_nodes": 10**6, **rest})


@given(
    st.integers(2, 4),
    st.integers(1, 4),
    st.integers(0, 999),
    st.sampled_from(["min", "last"]),
    st.sampled_from([0.5, 1, 2]),
)
def test_the_best_way_is_found(width: int, depth: int, seed: int, aggregate: str, weight: float) -> None:
    world = World(width, depth, seed)
    [chosen] = [rollout for rollout in played(world, aggregate=aggregate, weight=weight) if rollout.selected]
    assert chosen.response == world.best


@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 999))
def test_nothing_is_taken_up_but_the_best_way_itself(width: int, depth: int, seed: int) -> None:
    world = World(width, depth, seed)
    played(world)
    taken_up = {prefix.rpartition("\n")[0].rpartition("\n")[0] for prefix in world.grown if prefix}
    assert all(world.best.startswith(prefix) for prefix in taken_up)
    assert len(world.grown) <= 1 + width * (depth - 1)


@pytest.mark.parametrize(
    ("aggregate", "weight", "expected"),
    [("min", 1.0, 0.4 + 0.7), ("max", 1.0, 0.6 + 0.7), ("sum", 0.5, 1.0 + 0.35), ("last", 2.0, 0.4 + 1.4)],
)
def test_f_is_g_and_as_much_of_h_as_its_weight_says(aggregate: Any, weight: float, expected: float) -> None:
    root = Node()
    node = add(root, "a")
    node.value = 0.6
    node = add(node, "b")
    node.value = 0.4
    for step, value, closed in (("c", 0.7, ""), ("d", 0.3, "whole"), ("e", 0.9, "taken back")):
        child = add(node, step)
        child.value, child.closed = value, closed
    options = QStar(aggregate=aggregate, weight=weight)
    assert f(node, options) == pytest.approx(expected), "what is taken back promises nothing"
    whole = node.children[1]
    assert f(whole, QStar(aggregate="last", weight=weight)) == pytest.approx(0.3 + weight * 0.3)


def test_the_reward_of_a_step_may_be_how_sure_the_policy_was_of_it() -> None:
    root = Node()
    sure = add(root, "a", logprob=-0.5)
    unsure = add(sure, "b", ended=True, logprob=-2.0)
    sure.value, unsure.value = 0.3, 0.9
    options = QStar(reward="probability")
    assert f(unsure, options) == pytest.approx(math.exp(-2.0) + 0.9)
    assert f(sure, options) == pytest.approx(math.exp(-0.5) + 0.9), "what may still come is worth its value"
