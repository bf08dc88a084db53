"""Beam search where what each step is worth is known: the best go on, and those that are whole make room."""

from typing import Any

import pytest
from byheart.config import recipe
from byheart.errors import RecipeError
from byheart.types import Rollout
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies.world import World


def played(world: World, **rest: Any) -> list[Rollout]:
    return world.search("beam", **{"among": "all", "max_nodes": 10**6, **rest})


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 999), st.integers(1, 4), st.booleans())
def test_the_best_way_is_among_the_beams(width: int, depth: int, seed: int, beams: int, diverse: bool) -> None:
    world = World(width, depth, seed)
    rollouts = played(world, beams=beams, diverse=diverse)
    [chosen] = [rollout for rollout in rollouts if rollout.selected]
    assert chosen.response == world.best
    assert len(world.grown) <= 1 + beams * (depth - 1), "so many go on at a time and no more"


def test_diverse_beams_each_follow_a_first_step_of_their_own() -> None:
    world = World(3, 3, seed=1)
    played(world, beams=3, diverse=True)
    firsts = [prefix.split("\n")[0] for prefix in world.grown if prefix]
    assert sorted(set(firsts)) == ["0", "1", "2"] and len(firsts) == 3 * 2


def test_budgets_and_closed_branches_are_kept_to() -> None:
    world = World(3, 4, seed=1)
    assert played(world, max_nodes=3) == [] and world.grown == [""]
    deep = World(3, 4, seed=1)
    assert played(deep, max_depth=2) == []
    assert {branch.closed for branch in deep.tree if branch.text and branch.closed != "exhausted"} >= {"too deep"}
    hopeless = World(3, 4, seed=1)
    assert played(hopeless, min_value=1.0) == []
    assert {branch.closed for branch in hopeless.tree} == {"hopeless"}


def test_the_tree_says_which_way_was_chosen() -> None:
    world = World(2, 3, seed=3)
    [chosen] = [rollout for rollout in played(world, beams=2) if rollout.selected]
    path = [branch for branch in world.tree if branch.selected]
    assert "".join(branch.text for branch in path) == chosen.response
    assert [branch.parent for branch in path] == [-1, world.tree.index(path[0]), world.tree.index(path[1])]
    assert [branch.value for branch in path] == [step.value for step in chosen.steps]


def test_a_search_is_told_what_it_lacks() -> None:
    raw: dict[str, Any] = {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "times_table"}}
    values = {"curation": {"steps": {}}, "objective": {"name": "step_value"}, "evaluation": {"samples": 4}}

    def check(parsed: recipe.Recipe) -> None:
        parsed.strategy.check(parsed)

    for name in ("beam", "q_star", "mcts"):
        with pytest.raises(RecipeError, match="'sft' trains none; say objective: step_value"):
            check(recipe.parse(raw | {"strategy": {"name": name}}))
        with pytest.raises(RecipeError, match=r"step is sentence and curation\.step is line"):
            check(recipe.parse(raw | values | {"strategy": {"name": name, "step": "sentence"}}))
        check(recipe.parse(raw | values | {"strategy": {"name": name}}))
    played = {"strategy": {"name": "mcts", "playouts": 2, "step": "sentence"}, "curation": {"pair_by": "siblings"}}
    with pytest.raises(RecipeError, match=r"step is sentence and curation\.step is line"):
        check(recipe.parse(raw | played))
    check(recipe.parse(raw | {"strategy": {"name": "mcts", "playouts": 2}}))
    with pytest.raises(RecipeError, match="'vstar' trains none"):
        check(recipe.parse(raw | {"strategy": {"name": "mcts", "playouts": 2}, "objective": {"name": "vstar"}}))
