"""`byheart options`, `byheart schema` and `byheart recipes` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from byheart.cli import app
from byheart.config import shipped
from byheart.config.recipe import read
from byheart.config.recipe import shipped as recipes
from byheart.config.schema import schema
from byheart.report import terminal
from typer.testing import CliRunner


def printed(*arguments: object) -> str:
    """What a command that succeeds prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 200)


def test_options_are_a_table_with_type_default_and_description() -> None:
    table = printed("options", "strategy.direct")
    [row] = [line for line in table.splitlines() if "max_samples" in line]
    assert [cell.strip() for cell in row.split("│")[1:4]] == ["max_samples", "integer", "8"]
    assert "strategy.beam" in printed("options", "strategy")
    assert "trainer_args" in printed("options")


def test_every_recipe_is_listed_with_hardware_time_and_result() -> None:
    text = printed("recipes")
    for name, path in recipes().items():
        header = shipped.header(path)
        assert f"{name}  {header.summary}" in text
        assert header.hardware.split()[0] in text
    assert [text.count(word) for word in ("  hardware", "  time", "  expect")] == [len(recipes())] * 3


def test_one_recipe_is_shown_as_written_resolved_or_copied(tmp_path: Path) -> None:
    assert printed("recipes", "addition") == (shipped.find("addition")).read_text("utf-8")
    assert "  max_samples: 8\n" in printed("recipes", "addition", "--resolved")
    target = tmp_path / "new" / "mine.yaml"
    assert printed("recipes", "addition", "--copy", target).strip() == str(target)
    assert read(target) == shipped.read_recipe("addition")
    printed("recipes", "addition", "--resolved", "--copy", tmp_path / "whole.yaml")
    assert "max_samples: 8\n" in (tmp_path / "whole.yaml").read_text()
    assert read(tmp_path / "whole.yaml") == read(target)
    refused = CliRunner().invoke(app, ["recipes", "--resolved"])
    assert "say which recipe" in str(refused.exception)


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    assert json.loads(printed("schema")) == schema()
    printed("schema", "--out", tmp_path / "new" / "schema.json")
    assert json.loads((tmp_path / "new" / "schema.json").read_text("utf-8")) == schema()
