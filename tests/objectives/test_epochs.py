"""The epochs that are asked for are those that come; where a limit on steps changes them, that is said."""

from __future__ import annotations

from typing import Any

import pytest
from byheart.contracts import Objective
from byheart.objectives.preference import Preference, pair_steps
from byheart.objectives.sft import SFT, num_steps, other_epochs
from byheart.objectives.step_value import StepValue, value_steps


@pytest.mark.parametrize(
    ("options", "num_rows", "steps"),
    [
        ({"epochs": 3.0}, 20_000, 7500),
        ({"epochs": 0.5, "global_batch_size": 1}, 3001, 1501),
        ({"epochs": 10, "global_batch_size": 4}, 1_000_000, 2_500_000),
        ({"epochs": 2, "min_optimizer_steps": 1}, 3, 1),
    ],
)
def test_no_epoch_is_cut_off_that_was_asked_for(options: dict[str, Any], num_rows: int, steps: int) -> None:
    assert num_steps(SFT(**options), num_rows) == steps
    assert other_epochs(SFT(**options), num_rows) == ""


@pytest.mark.parametrize(
    ("options", "num_rows", "said"),
    [
        ({}, 3, "20 steps of 8 rows are 53.3 epochs of 3 rows, not the 2 asked for: objective.min_optimizer_steps"),
        (
            {"epochs": 3, "max_optimizer_steps": 1000},
            20_000,
            "1000 steps of 8 rows are 0.4 epochs of 20000 rows, not the 3 asked for: objective.max_optimizer_steps",
        ),
        (
            {"epochs": 1, "min_optimizer_steps": 50, "max_optimizer_steps": 30, "global_batch_size": 16},
            160,
            "30 steps of 16 rows are 3 epochs of 160 rows, not the 1 asked for: objective.min_optimizer_steps",
        ),
    ],
)
def test_where_a_limit_makes_other_epochs_they_are_said(options: dict[str, Any], num_rows: int, said: str) -> None:
    assert other_epochs(SFT(**options), num_rows) == said


def test_pairs_and_values_are_passed_over_as_often_as_is_asked_for() -> None:
    assert pair_steps(Preference(pair_epochs=2), 100_000) == 25_000
    assert pair_steps(Preference(pair_epochs=2, max_pair_steps=7), 100_000) == 7
    assert value_steps(StepValue(value_epochs=1), 100_001) == 12_501
    assert value_steps(StepValue(max_value_steps=7), 100_000) == 7


@pytest.mark.parametrize(
    ("options", "outlook"),
    [
        ({}, "2 epochs, at least 20 steps of 8 rows"),
        ({"epochs": 1.5, "max_optimizer_steps": 100}, "1.5 epochs, 20 to 100 steps of 8 rows"),
        ({"epochs": 1}, "1 epoch, at least 20 steps of 8 rows"),
        ({"max_optimizer_steps": 5, "global_batch_size": 4}, "2 epochs, 5 to 5 steps of 4 rows"),
    ],
)
def test_a_dry_run_says_the_epochs_and_the_limits(options: dict[str, Any], outlook: str) -> None:
    assert SFT(**options).outlook() == ("sft from base", outlook)


@pytest.mark.parametrize(
    ("options", "fewest"),
    [({"name": "sft"}, 8), ({"name": "vstar", "global_batch_size": 3}, 3), ({"name": "sft", "min_rows": 1}, 1)],
)
def test_by_default_a_step_has_rows_of_its_own(options: dict[str, Any], fewest: int) -> None:
    assert Objective.parse(options).fewest_rows() == fewest
