"""What is said of a process that one waits for and that says nothing."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from byheart.watch import Watch


def watched(log: Path, seconds: float, limit: float, hears: bool = False, writes: bool = False) -> str:
    """The process that was waited for, for so long; it was heard, or wrote to its log, all the time or never."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin
    with Watch("round 3 train", child.pid, log, limit) as watch:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            time.sleep(0.02)
            if hears:
                watch.heard()
            if writes:
                log.write_text("at work")
    child.stdin.close()
    child.wait()
    return str(child.pid)


def test_a_silent_process_is_named_with_its_stage_and_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = watched(tmp_path / "train.log", 0.3, 0.2)
    said = capsys.readouterr().err.splitlines()
    for part in ("round 3 train", f"process {pid} has said nothing for ", f"its log is {tmp_path}/train.log"):
        assert part in said[0]


def test_it_is_said_again_after_twice_as_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watched(tmp_path / "train.log", 0.6, 0.05)  # at 0.05, 0.1, 0.2 and 0.4 seconds
    assert 2 <= len(capsys.readouterr().err.splitlines()) <= 5


@pytest.mark.parametrize(("hears", "writes"), [(True, False), (False, True)], ids=["it reports", "it writes a log"])
def test_nothing_is_said_of_one_that_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hears: bool, writes: bool
) -> None:
    watched(tmp_path / "train.log", 0.8, 0.5, hears, writes)
    assert capsys.readouterr().err == ""
