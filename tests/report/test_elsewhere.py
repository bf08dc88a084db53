"""What a round came to on other tasks: in the closing table, in a sentence, by round on the page and in status."""

from __future__ import annotations

from pathlib import Path

import pytest
from byheart.evaluation import EvaluationOptions, Measure, compare
from byheart.evaluation.metrics import RoundMetrics
from byheart.report import elsewhere, page, terminal
from byheart.report.data import view
from byheart.runs.run import Run
from byheart.types import Policy, replace

from tests.evaluation.marks import answers
from tests.report.runs import finish, make_problems, measure, recipe

PROBLEMS = make_problems()


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 120)


def with_digits(measured: Measure, right: int, name: str = "digits") -> Measure:
    return replace(measured, also={name: answers("+" * right + "-" * (40 - right))})


def metrics(first: int, before: int, after: int) -> RoundMetrics:
    """Of a round after which `after` of 40 problems of another task are solved, and before it and by the base so many
    others."""
    old, new = measure(PROBLEMS, "adapter-1", 0.1), measure(PROBLEMS, "adapter-2", 0.5)
    base = with_digits(measure(PROBLEMS, "base", 0.1), first)
    return compare(with_digits(old, before), with_digits(new, after), EvaluationOptions(), first=base)


def test_a_significant_fall_is_said() -> None:
    said = elsewhere.text(metrics(30, 30, 10))
    assert said.startswith("digits fell from 0.750 to 0.250: -0.500 (-0.")
    assert said.endswith(".") and "\n" not in said


def test_a_fall_over_several_rounds_is_said_where_no_round_alone_fell() -> None:
    said = elsewhere.text(metrics(20, 12, 10))
    assert said.startswith("digits fell since the base from 0.500 to 0.250: -0.250 (-0.")


def test_a_rise_is_said_and_else_that_nothing_is_certain() -> None:
    assert elsewhere.text(metrics(10, 10, 30)).startswith("digits rose from 0.250 to 0.750: +0.500 (+0.")
    assert elsewhere.text(metrics(10, 10, 11)) == "no significant change on digits."
    nothing = measure(PROBLEMS, "a", 0.1)
    assert elsewhere.text(compare(nothing, nothing, EvaluationOptions())) == ""


def test_a_fall_since_the_base_is_said_beside_a_rise_in_the_round() -> None:
    said = elsewhere.text(metrics(38, 10, 22))
    assert said.startswith("digits rose from 0.250 to 0.550: +0.300 (+0.")
    assert " digits fell since the base from 0.950 to 0.550: -0.400 (-0." in said


def test_what_could_not_be_judged_is_not_called_unchanged() -> None:
    unjudged = replace(measure(PROBLEMS, "a", 0.1), also={"digits": answers("?" * 40)})
    assert elsewhere.text(compare(unjudged, unjudged, EvaluationOptions())) == "nothing could be judged on digits."


def test_a_later_round_is_held_against_the_base_too() -> None:
    [row] = elsewhere.rows(metrics(30, 30, 10))
    assert (row.answer, row.before.value, row.after.value, row.change.value) == ("digits", "0.750", "0.250", "-0.500")
    assert row.problems == 40
    second = elsewhere.rows(metrics(20, 12, 10))[1]
    assert (second.answer, second.before.value, second.change.value) == ("digits, since the base", "0.500", "-0.250")


def finished(folder: Path) -> Path:
    """A run of one round that fell elsewhere."""
    finish(folder, [0.1, 0.5])
    run = Run(folder, recipe())
    old, new = (view(folder).rounds[0].measure(stage) for stage in ("baseline", "evaluate"))
    made = compare(with_digits(old, 30), with_digits(new, 10), run.recipe.evaluation)
    run.finish(1, Policy("some/model", run.round_dir(1) / "adapter", "adapter-1"), made)
    run.close()
    return folder


def test_terminal_page_and_status_show_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path / "run")
    terminal.show_result(folder)
    out = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "elsewhere" in out and "digits (40) 0.750 (0.60–0.86) 0.250 (0.14–0.40) -0.500" in out
    assert "Elsewhere, which decides nothing: digits fell from 0.750 to 0.250" in out
    terminal.show_status(folder)
    out = capsys.readouterr().out
    assert "digits" in out and "0.250" in out
    html = page.write_page(folder).read_text("utf-8")
    assert "<h3>Elsewhere</h3>" in html and "<td>digits <small>40</small></td>" in html
    assert "digits fell from 0.750 to 0.250" in html


def test_a_run_without_them_shows_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "run", [0.1, 0.5])
    terminal.show_result(folder)
    assert "lsewhere" not in capsys.readouterr().out
    assert "Elsewhere" not in page.write_page(folder).read_text("utf-8")
