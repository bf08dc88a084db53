"""The text of every figure, and that the terminal and the page show the same."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from byheart.evaluation.metrics import Accuracy, ByHeart, Paired, Unique
from byheart.report import figures, terminal
from byheart.report.comparison import compare
from byheart.report.data import SPLITS, cost_table, measured
from byheart.report.figures import Figure
from byheart.report.page import write_comparison, write_page

from tests.report.runs import finish


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 120)


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        (Accuracy(40, 0, 0.5, 0.35, 0.65, 3.0), Figure("0.500", "(0.35–0.65)")),
        (Accuracy(40, 3, 0.5, 0.35, 0.65, 3.0), Figure("0.500", "(0.35–0.65)", "3 unjudged")),
        (Accuracy(40, 40), Figure("–", "", "40 unjudged")),
        (Accuracy(0, 0), Figure("–")),
        (None, Figure("–")),
    ],
)
def test_unjudged_answers_are_counted_beside_the_accuracy(row: Accuracy | None, figure: Figure) -> None:
    assert figures.accuracy(row) == figure


def test_other_figures() -> None:
    paired = Paired(40, 0.3, -0.05, 0.45, ["a", "b"], ["c"], 0.0004)
    assert figures.change(paired) == Figure("+0.300", "(-0.05 to +0.45)")
    assert figures.moved(paired) == "2, 1"
    assert figures.p_value(paired.p_worse) == "< 0.001" and figures.p_value(0.0456) == "0.046"
    assert figures.ratio(ByHeart(8.0, 2.5, None, 40)) == Figure("8.00", "(2.50–)")
    assert figures.distinct(Unique(0.25, 32, 8)) == Figure("0.25", note="8 of 32 right")
    assert figures.tokens(Accuracy(40, 0, 0.5, 0.3, 0.6, 3.04), None, Accuracy(40, 40)) == "3.0, –, –"
    assert figures.percent(0.256) == "26 %" and figures.percent(None) == "–"


def words(text: str) -> str:
    """What is read in a page or a terminal, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>|[│\n]", " ", text)).split())


def test_the_page_and_the_terminal_show_the_same_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "r", [0.2, 0.7], samples=4, unjudged=3, stepwise=True)
    page = words(write_page(folder).read_text("utf-8"))
    terminal.show_result(folder)
    shown = words(capsys.readouterr().out)
    last = measured(folder).finished[-1]
    rows = [row for name in SPLITS for row in figures.results(last.metrics.splits[name], ("fast", "worked"))]
    assert {row.answer for row in rows} >= {"fast", "worked", "slow", "by heart", "pass@1", "maj@4", "different"}
    texts = {
        " ".join(part for part in figure if part) for row in rows for figure in (row.before, row.after, row.change)
    }
    texts |= {row.tokens for row in rows} | {text for _, text in figures.sentences(last.metrics)}
    texts |= {" ".join(map(str, row)) for row in cost_table([last]).rows}
    assert [text for text in texts if text not in page] == []
    parts = {part for text in texts for part in re.split(r" (?=\(|\d+ (?:unjudged|of))", text)}  # a cell may have lines
    assert [part for part in parts if part not in shown] == []


def test_so_do_they_of_a_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = compare([finish(tmp_path / "a", [0.2, 0.5]), finish(tmp_path / "b", [0.2, 0.9], unjudged=3)])
    page = words(write_comparison(comparison, tmp_path / "both.html").read_text("utf-8"))
    monkeypatch.setattr(terminal.console, "width", 200)
    terminal.show_comparison(comparison, False)
    shown = words(capsys.readouterr().out)
    tables = (comparison.standings(by_round=False), comparison.changes())
    cells = [
        [cell if isinstance(cell, str) else " ".join(filter(None, cell)) for cell in row]
        for table in tables
        for row in table.rows
    ]
    assert len(cells) == 2 * 2 + 2 and all(" ".join(row) in page and " ".join(row) in shown for row in cells)
