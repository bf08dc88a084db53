"""What a round says of its samples, and why its policy was promoted or not: in the terminal and on the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from byheart.evaluation.metrics import ByHeart, Decision, Paired, RoundMetrics
from byheart.evaluation.promotion import PROMOTING
from byheart.report import figures, terminal
from byheart.report.data import measured
from byheart.report.page import write_page
from byheart.runs.records import StageRecord, VerifyStats

from tests.fakes import NO_METRICS
from tests.report.runs import finish

CUT_OFF = VerifyStats(
    num_all_right=0,
    num_some_right=1,
    num_none_right=39,
    num_samples=320,
    num_judged=320,
    samples_right=1,
    samples_cut_off=290,
    samples_unread=9,
    samples_unjudged=2,
)
SAID = (
    "40 problems (all samples right in 0, some in 1, none in 39), 320 samples (1 right, 290 cut off, 9 without a "
    "readable answer, 2 unjudged). Most samples are cut off: raise strategy.max_tokens."
)


def verified(folder: Path, stats: VerifyStats) -> None:
    """Record in round 1 what its verify stage counted."""
    file = folder / "round-001/stages.json"
    row = json.loads(file.read_text())
    file.write_text(json.dumps(row | {"verify": StageRecord("done", "digest", "made", stats=stats).written()}))


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 120)


def test_how_the_samples_came_out_is_said_where_a_round_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(tmp_path / "r", [0.2, 0.7])
    terminal.show_result(folder)
    assert "Sampled" not in capsys.readouterr().out, "older versions did not count it"
    verified(folder, CUT_OFF)
    terminal.show_result(folder)
    assert f"Sampled: {SAID}" in " ".join(capsys.readouterr().out.split())
    assert SAID in " ".join(write_page(folder).read_text("utf-8").split())


@pytest.mark.parametrize("decision", get_args(Decision))
def test_every_decision_is_said_and_is_one_for_or_against(decision: Decision) -> None:
    text = figures.decision(replace(NO_METRICS, decision=decision))
    assert (" promoted" in text and "not promoted" not in text) == (decision in PROMOTING)


@pytest.mark.parametrize(
    ("metrics", "decision"),
    [
        (RoundMetrics("base", "base", True, False, "worked", False, {}), "unchanged"),
        (RoundMetrics("base", "adapter-1", True, True, "worked", True, {}), "not worse"),
        (RoundMetrics("base", "adapter-1", False, True, "worked", True, {}), "unmeasured"),
        (RoundMetrics("base", "adapter-1", True, False, "worked", False, {}), "worse"),
    ],
)
def test_of_an_older_version_the_decision_is_what_it_must_have_been(metrics: RoundMetrics, decision: Decision) -> None:
    assert figures.decision(metrics) == figures.DECISIONS[decision]


@pytest.mark.parametrize(
    ("rights", "best"),
    [([0.2, 0.7, 0.3], "the policy of round 1"), ([0.7, 0.1], "the policy that the run began with")],
)
def test_the_best_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], rights: list[float], best: str) -> None:
    folder = finish(tmp_path / "r", rights)
    terminal.show_result(folder)
    assert f"{best}; the next round starts from the last one promoted" in capsys.readouterr().out
    terminal.show_status(folder)
    assert ("yes, best" in capsys.readouterr().out) == best.endswith("1")


def test_the_loss_against_the_best_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "r", [0.2, 0.7, 0.3])
    file = folder / "round-002/metrics.json"
    row = json.loads(file.read_text())
    row |= {"decision": "worse than best", "against_best": row["splits"]["dev"]["paired"]["worked"]}
    file.write_text(json.dumps(row))
    terminal.show_result(folder)
    out = " ".join(capsys.readouterr().out.split())
    assert "Against the best so far: -" in out
    assert "The new policy is worse than the best so far and not promoted." in out


def test_the_interval_that_is_shown_is_the_one_that_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "r", [0.2, 0.7, 0.55])
    metrics = measured(folder).finished[-1].metrics
    paired = metrics.dev.paired.kind("worked")
    assert metrics.alpha == 0.025 and metrics.gained is False and metrics.decision == "worse"
    assert (len(paired.gained), len(paired.lost)) == (0, 6) and paired.high < 0
    terminal.show_result(folder)
    out = " ".join(capsys.readouterr().out.split())
    deciding = "p worse 0.016, below 0.025"
    assert f"problems decide: {' '.join(figures.change(paired)[:2])}, {deciding}." in out
    assert deciding in write_page(folder).read_text("utf-8")


def test_the_interval_is_at_the_level_of_the_test() -> None:
    paired = Paired(40, -0.15, -0.29, -0.05, [], list("abcdef"), 1 / 64)
    assert figures.deciding(paired, 0.01) == ("-0.150", "(-0.32 to 0.00, 98 %)", "p worse 0.016, not below 0.01")


def test_an_end_that_is_not_zero_does_not_look_like_zero() -> None:
    assert figures.change(Paired(1000, 0.01, 0.0004, 0.02, [], [], 1.0)).interval == "(+0.0004 to +0.02)"
    assert figures.change(Paired(40, 0.1, 0.0, 0.23, [], [], 1.0)).interval == "(0.00 to +0.23)"
    assert figures.ratio(ByHeart(1.1, 1.003, 1.2, 40)).interval == "(1.003–1.20)"
