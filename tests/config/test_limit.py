"""A first look takes at most so many problems in every stage, in every round, and trains on what there is."""

from __future__ import annotations

from typing import Any

import pytest
from byheart.config.recipe import Recipe, changed, parse
from byheart.objectives.sft import SFT, num_steps


def recipe(**rest: Any) -> Recipe:
    task = {"name": "arithmetic", "num_train": 40, "num_dev": 3, "num_held_out": 20}
    return parse({"name": "t", "model": {"name": "m"}, "task": task} | rest)


def test_no_stage_gets_more_problems() -> None:
    also = {"longer": {"task": {"name": "arithmetic", "digits": 3, "num_held_out": 50}}}
    look = recipe(limit=5, evaluation={"num_slow": 9, "num_train": 2, "also": also}).at(1)
    task, evaluation = look.task, look.evaluation
    assert (task.num_train, task.num_dev, task.num_held_out) == (5, 3, 5)
    assert (evaluation.num_slow, evaluation.num_train) == (5, 2)
    assert evaluation.also["longer"].task.num_held_out == 5


def test_the_schedule_does_not_get_around_it() -> None:
    rounds = recipe(limit=5, schedule={"task.num_train": [4, 100], "evaluation.num_slow": [100]})
    assert [rounds.at(n).task.num_train for n in (1, 2)] == [4, 5]
    assert rounds.at(1).evaluation.num_slow == 5


@pytest.mark.parametrize("name", ["sft", "vstar", "none"])
def test_it_trains_on_any_rows(name: str) -> None:
    objective = {"name": name} | ({} if name == "none" else {"global_batch_size": 64})
    assert recipe(limit=5, objective=objective).at(1).objective.fewest_rows() == 1


def test_it_trains_for_no_more_steps_than_its_rows_take() -> None:
    look, whole = (each.at(1).objective for each in (recipe(limit=5), recipe()))
    assert isinstance(look, SFT) and isinstance(whole, SFT)
    assert (num_steps(look, 5), num_steps(whole, 5)) == (2, 20)


def test_without_it_nothing_is_changed() -> None:
    whole = recipe()
    assert whole.at(1) is whole
    before = {key: value for key, value in whole.deciding().items() if key != "limit"}
    assert changed(before, whole.deciding()) == [], "a run of an older version goes on"
    assert changed(whole.deciding(), recipe(limit=5).deciding()) == ["limit: None -> 5"]
