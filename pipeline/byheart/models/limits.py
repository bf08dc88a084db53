"""How much of this machine this process may have: its memory, and its cores, by the limits of the containers and jobs
(control groups of Linux, version 1 or 2) that it runs in. psutil and os.cpu_count() know only the whole machine.

A control group's limits hold for all groups within it, so the lowest counts. Which of a container's groups can be seen
depends on how it was started: the own one by its path, or, where the container has its own view of the groups, as the
root of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_ROOT = Path("/")


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes: all that this process and its neighbours may take together, and what is free of it."""

    total: int
    available: int


def memory(root: Path = _ROOT) -> Memory:
    """The memory that this process may take. `root` is the directory in which /proc and /sys are."""
    machine = psutil.virtual_memory()
    total, available = machine.total, machine.available
    for group in _groups(root, "memory"):
        limit = _number(group / "memory.max", group / "memory.limit_in_bytes")
        used = _number(group / "memory.current", group / "memory.usage_in_bytes")
        if limit is None or used is None or limit >= machine.total:
            continue
        total = min(total, limit)
        available = min(available, max(0, limit - used + _cached(group)))
    return Memory(total, available)


def cores(root: Path = _ROOT) -> int:
    """The cores that this process may keep busy: those it may run on, or fewer where its time on them is limited; at
    least one. `root` is the directory in which /proc and /sys are."""
    shares = [share for group in _groups(root, "cpu") if (share := _share(group)) is not None]
    return max(1, int(min([len(os.sched_getaffinity(0)), *shares])))


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """The directories of the control groups that this process is in, from its own to the outermost, that have the
    files of `controller`."""
    mounted = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:  # version 2, on its own or beside version 1
            tops = [mounted, mounted / "unified"]
        elif controller in controllers.split(","):
            tops = [mounted / controllers, mounted / controller]
        else:
            continue
        for top in tops:
            inner = top / path.strip("/")
            yield from (group for group in (inner, *inner.parents) if group.is_relative_to(top) and group.is_dir())


def _share(group: Path) -> float | None:
    """The cores' worth of time that a control group may take; None without a limit."""
    quota, period = None, None
    if both := _lines(group / "cpu.max"):
        with suppress(ValueError):
            quota, period = (int(number) for number in both[0].split())
    else:
        quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _cached(group: Path) -> int:
    """Bytes of files that a control group has in memory and that are dropped when it needs the room."""
    rows = dict(line.split() for line in _lines(group / "memory.stat") if len(line.split()) == 2)
    return int(rows.get("total_inactive_file", rows.get("inactive_file", 0)))


def _number(*files: Path) -> int | None:
    """The number in the first of `files` that has one."""
    for file in files:
        with suppress(ValueError):
            for line in _lines(file):
                return int(line)
    return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except OSError:
        return []
