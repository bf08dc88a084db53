"""No traceback for anything that a user can cause: damaged recipes, rows, models and runs are told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzzing import Input, inputs, make_world, tried, wrong

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("fuzz") / "world")


def test_the_sound_inputs_work(world: Path) -> None:
    for arguments in (
        ("run", "r.yaml", "--dry-run"),
        ("load", "r.yaml", "--run-dir", "fresh"),
        ("show", "new", "--tree", "+"),
        ("compare", "new", "other"),
        ("report", "old"),
        ("verify", "judged.jsonl", "--verifier", "number"),
        ("publish", "old", "--to", "me/sums", "--license", "mit", "--dry-run"),
    ):
        outcome = tried(world, Input(arguments, ()))
        assert outcome.code == 0, (arguments, outcome)


def test_damaged_inputs_are_told_in_one_line(world: Path) -> None:
    @settings(max_examples=300, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(world))
    def every(one: Input) -> None:
        assert wrong(one, tried(world, one)) is None

    every()
