"""What is said where the training process fails or says nothing: the cause, and not what its launcher makes of it."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from byheart.errors import TrainError
from byheart.runs.stages import About, Stage
from byheart.trainer.child import Report
from byheart.trainer.parent import reports

CALLED = """Traceback (most recent call last):
  File "accelerate/commands/launch.py", line 1420, in launch_command
    simple_launcher(args)
subprocess.CalledProcessError: Command '['python', '-m', 'byheart.trainer.child']' returned non-zero exit status 1.
"""
ELASTIC = """Traceback (most recent call last):
  File "torch/distributed/run.py", line 900, in run
    elastic_launch(config)
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
python FAILED
------------------------------------------------------------
Root Cause (first observed failure): rank 1, exitcode 1
============================================================
"""
OWN = """Traceback (most recent call last):
  File "trl/trainer.py", line 12, in train
ValueError: GenerationConfig is invalid:
- temperature: do_sample is not set
Fix these issues.
"""


def failing(
    folder: Path, written: str = "", *said: str, code: int = 1, silence: float = 60.0, waits: float = 0.0
) -> str:
    """What is said of a child that writes this to its log, says these lines and ends by `code`."""
    program = "import sys, time\nlog, *lines = sys.argv[1:]\nsys.stderr.write(log)\n"
    program += f"time.sleep({waits})\nprint(*lines, sep='\\n', flush=True)\nsys.exit({code})"
    work = Stage(folder, folder, 4, "train", 0, About("r", "m", "t", "s", "line", None))
    command = [sys.executable, "-c", program, written, *said]
    try:
        return str([report.step for report in reports(command, os.environ, work, silence)])
    except TrainError as error:
        return str(error).rstrip()


def test_a_childs_own_words_are_the_cause(tmp_path: Path) -> None:
    cause = "ValueError: GenerationConfig is invalid:\n- temperature: do_sample is not set\nFix these issues."
    said = failing(tmp_path, OWN + CALLED, Report(failed=cause).written(), Report(failed="a later one").written())
    assert cause in said and "Traceback" not in said and "CalledProcessError" not in said and "later" not in said
    assert f"Its log is {tmp_path}/train.log" in said and "--redo-from 4" in said


@pytest.mark.parametrize("launcher", [CALLED, ELASTIC], ids=["accelerate", "torchrun"])
def test_where_it_could_say_nothing_the_log_is_shown_without_its_launchers_traceback(
    tmp_path: Path, launcher: str
) -> None:
    said = failing(tmp_path, "Loading weights\n" + OWN + launcher)
    assert said.endswith(OWN.rstrip()) and f"Its log, {tmp_path}/train.log, ends:" in said and "exit code 1" in said
    assert (tmp_path / "train.log").read_text().strip().endswith(launcher.strip()), "the log itself keeps all"


def test_a_launcher_that_fails_itself_is_the_cause(tmp_path: Path) -> None:
    own = (
        'Traceback (most recent call last):\n  File "accelerate/x.py"\nValueError: Unknown mixed_precision: nonsense\n'
    )
    assert failing(tmp_path, own).endswith("ValueError: Unknown mixed_precision: nonsense")


def test_a_child_that_was_killed_is_said_to_have_been(tmp_path: Path) -> None:
    killed = CALLED.replace("returned non-zero exit status 1", "died with <Signals.SIGKILL: 9>")
    said = failing(tmp_path, f"Loading weights\n{killed}")
    assert "it was killed, as the system does where memory runs out" in said and said.endswith("Loading weights")


@pytest.mark.parametrize("told", [True, False], ids=["in its words", "in its log"])
def test_a_full_disk_is_said_as_everywhere(tmp_path: Path, told: bool) -> None:
    full = "OSError: [Errno 28] No space left on device"
    with pytest.raises(OSError, match="no space left while training") as error:
        failing(tmp_path, "" if told else f"{full}\n{CALLED}", Report(failed=full if told else "").written())
    assert error.value.errno == errno.ENOSPC


def test_a_silent_child_is_said_to_be_and_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = failing(tmp_path, "", Report(step=7).written(), code=0, silence=0.1, waits=0.3)
    assert said == "[7]"
    shown = " ".join(capsys.readouterr().err.split())
    assert "round 4 train: process" in shown and f"its log is {tmp_path}/train.log" in shown
