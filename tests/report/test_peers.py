"""The controls of a round in the closing table, on the page, and in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from byheart.evaluation import EvaluationOptions, compare
from byheart.evaluation.controls import Control
from byheart.evaluation.metrics import RoundMetrics
from byheart.report import page, peers, terminal
from byheart.report.data import view
from byheart.runs.run import Run
from byheart.types import Policy

from tests.report.runs import EVIL, finish, make_problems, measure, recipe

PROBLEMS = make_problems()


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 120)


def control(words: str, right: float) -> Control:
    return Control(words, measure(PROBLEMS, "base", right).splits["held_out"])


def metrics(*shares: float, after: float = 0.5) -> RoundMetrics:
    """Of a round that went from 0.1 to `after`, with a control for each of `shares`."""
    made = [control(f"{number} examples", share) for number, share in enumerate(shares)]
    before, now = measure(PROBLEMS, "base", 0.1), measure(PROBLEMS, "adapter-1", after)
    return compare(before, now, EvaluationOptions(), controls=made)


def test_a_round_is_held_against_its_best_control() -> None:
    said = peers.text(metrics(0.05, 0.2), "fast")
    assert said.startswith("The base model with 1 examples gets 0.200 (")
    assert "; the policy after the round adds +0.300 (+0." in said


def test_what_a_prompt_gives_is_not_called_learned() -> None:
    assert ", and the policy after the round is not significantly better: +0.000 (" in peers.text(metrics(0.5), "fast")
    assert ", and the policy after the round is worse: -0.400 (" in peers.text(metrics(0.9), "fast")


def test_without_controls_nothing_is_said() -> None:
    assert peers.text(metrics(), "fast") == ""
    assert peers.rows(metrics(), ("fast", "worked")) == []


def test_each_kind_has_a_row_beside_before_and_after() -> None:
    fast, worked = peers.rows(metrics(0.2), ("fast", "worked"))
    assert (fast.answer, worked.answer) == ("fast, base with 0 examples", "worked, base with 0 examples")
    assert (fast.before.value, fast.after.value, fast.change.value) == ("0.200", "0.500", "+0.300")
    assert (worked.before.value, worked.after.value, worked.change.value) == ("0.300", "0.600", "+0.300")


def finished(folder: Path, words: str) -> Path:
    """A run of one round with a control."""
    finish(folder, [0.1, 0.5])
    run = Run(folder, recipe())
    measures = view(folder).rounds[0].measure("baseline"), view(folder).rounds[0].measure("evaluate")
    metrics_ = compare(*measures, run.recipe.evaluation, controls=[control(words, 0.2)])
    run.finish(1, Policy("some/model", run.round_dir(1) / "adapter", "adapter-1"), metrics_)
    run.close()
    return folder


def test_terminal_and_page_show_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path / "run", f"the prompt {EVIL!r}")
    terminal.show_result(folder)
    out = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "Controls, held out, worked: The base model with the prompt" in out
    assert "fast, base with" in out
    html = page.write_page(folder).read_text("utf-8")
    assert "<b>Controls, round 1</b>: The base model with the prompt" in html
    assert "<dt>with …</dt>" in html
    assert html.count("base with the prompt") == 2 + 2, "in the tables, and in the chart's label and legend"
    assert "<script>alert" not in html


def test_a_run_without_them_shows_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "run", [0.1, 0.5])
    terminal.show_result(folder)
    assert "Controls" not in capsys.readouterr().out
    assert "Controls" not in page.write_page(folder).read_text("utf-8")
