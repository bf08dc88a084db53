"""The training process: what it reports, and that it ends with its parent."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from byheart.trainer.child import Report, tell

from tests.conftest import ROOT, environment


def test_a_report_is_a_line_and_read_from_it_again() -> None:
    report = Report(doing="train", step=3, steps=20, loss=0.25, notes={"loss": 0.25, "steps": 20, "others": ["x"]})
    assert Report.read(report.written() + "\n") == report
    assert "\n" not in Report(say="two\nlines").written()
    diverged = Report.read(Report(step=1, loss=math.nan).written())
    assert diverged and diverged.loss is not None and math.isnan(diverged.loss)


def test_what_libraries_print_is_no_report() -> None:
    for line in ("", "byheart is great\n", "byheart []\n", "{'loss': 1.0}\n", '{"say": "x"}', "Loading weights: 100%"):
        assert Report.read(line) is None


def test_only_the_first_process_reports(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        tell(Report(say=f"I am {rank}"))
    monkeypatch.delenv("RANK")
    tell(Report(say="I am alone"))
    reports = [report.say for report in map(Report.read, capsys.readouterr().out.splitlines()) if report]
    assert reports == ["I am 0", "I am alone"]


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    os.mkfifo(job := tmp_path / "job.json")  # nothing ever comes, so it waits for its job
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "byheart.trainer.child", str(job)],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(2)
    assert child.stdin
    child.stdin.close()
    assert child.wait(20) == 1
