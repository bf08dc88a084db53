"""The figures of a run within a limit are marked as no result wherever they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from byheart.report import terminal
from byheart.report.comparison import compare
from byheart.report.page import write_page

from tests.report.runs import finish

SAID = "no result, but a first look at 40 problems at most (limit)"


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A whole run, and one like it within a limit."""
    folders = [finish(tmp_path / name, [0.2, 0.7]) for name in ("whole", "look")]
    recipe = folders[1] / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("\nlimit: null\n", "\nlimit: 40\n"))
    return folders


def test_the_terminal_and_the_page_say_so(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    for folder, marked in zip(runs, (False, True), strict=True):
        for show in (terminal.show_result, terminal.show_status):
            show(folder)
            assert (SAID in " ".join(capsys.readouterr().out.split())) is marked
        assert (f"This is {SAID}, to see that every stage works." in write_page(folder).read_text()) is marked


def test_a_comparison_says_so(runs: list[Path]) -> None:
    assert f"look is {SAID}." in compare(runs).notes
