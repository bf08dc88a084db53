"""The lock of a run directory: one process at a time writes in it."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from byheart.errors import RunError


def held(folder: Path) -> FileLock | None:
    """The lock of the run in `folder`, held by this process until it is released; None where another process has it.
    Raises RunError where the file system has no locks."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        raise RunError(
            f"{folder}: the lock that keeps other processes out can't be had ({error.strerror}); put the run where "
            "files can be written and locked, such as a local disk, by --run-dir"
        ) from None
    return lock
