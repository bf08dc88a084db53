"""One process at a time writes in a run, and where files can't be locked that is said."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from byheart.errors import RunError
from byheart.runs.lock import held
from byheart.runs.run import Run

from tests.report.runs import recipe


def test_a_second_process_does_not_get_it(tmp_path: Path) -> None:
    lock = held(tmp_path)
    assert lock is not None
    assert held(tmp_path) is None
    lock.release()
    again = held(tmp_path)
    assert again is not None
    again.release()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError) as error:
        Run(tmp_path / "run", recipe())
    assert str(error.value).startswith(f"{tmp_path / 'run'}: the lock that keeps other processes out can't be had (")
    assert os.strerror(code) in str(error.value) and "--run-dir" in str(error.value)


def test_a_file_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OSError, match="File exists"):
        Run(tmp_path / "run", recipe())
    assert (tmp_path / "run").read_text() == "mine"
