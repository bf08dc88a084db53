"""What a container or a job may have is what is reckoned with, in every layout of control groups."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from byheart.models import limits, machine
from byheart.planning import doctor

GIB = 2**30
ALL, CORES = psutil.virtual_memory().total, len(os.sched_getaffinity(0))
UNLIMITED = "9223372036854771712"  # as version 1 says it


def files(root: Path, groups: str, content: dict[str, str]) -> Path:
    """A file system in which this process is in `groups`, as /proc says it, with these files of control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in content.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


def test_a_container_with_groups_of_its_own(tmp_path: Path) -> None:
    group = {"memory.max": f"{2 * GIB}", "memory.current": f"{GIB}", "memory.stat": "anon 1\ninactive_file 4096"}
    root = files(tmp_path, "0::/\n", group)
    assert limits.memory(root) == limits.Memory(2 * GIB, GIB + 4096)
    assert limits.cores(root) == CORES


def test_the_lowest_of_nested_limits_counts(tmp_path: Path) -> None:
    groups = {
        "user/job/step/memory.max": "max",
        "user/job/step/memory.current": f"{GIB // 4}",
        "user/job/step/cpu.max": "max 100000",
        "user/job/memory.max": f"{3 * GIB}",
        "user/job/memory.current": f"{GIB}",
        "user/job/cpu.max": "100000 100000",
        "user/memory.max": f"{4 * GIB}",
        "user/memory.current": f"{4 * GIB - 5}",
        "user/cpu.max": "900000 100000",
    }
    root = files(tmp_path, "0::/user/job/step\n", groups)
    assert limits.memory(root) == limits.Memory(3 * GIB, 5)
    assert limits.cores(root) == 1


def test_version_1(tmp_path: Path) -> None:
    groups = {
        "memory/docker/a/memory.limit_in_bytes": f"{GIB}",
        "memory/docker/a/memory.usage_in_bytes": "100",
        "memory/docker/a/memory.stat": "inactive_file 1\ntotal_inactive_file 60",
        "memory/memory.limit_in_bytes": UNLIMITED,
        "memory/memory.usage_in_bytes": f"{7 * GIB}",
        "cpu,cpuacct/docker/a/cpu.cfs_quota_us": "150000",
        "cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000",
    }
    root = files(tmp_path, "5:cpu,cpuacct:/docker/a\n4:memory:/docker/a\n1:name=systemd:/docker/a\n", groups)
    assert limits.memory(root) == limits.Memory(GIB, GIB - 40)
    assert limits.cores(root) == 1


def test_version_1_in_a_container_that_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    groups = {
        "memory/memory.limit_in_bytes": f"{GIB}",
        "memory/memory.usage_in_bytes": "0",
        "cpu/cpu.cfs_quota_us": "-1",
        "cpu/cpu.cfs_period_us": "100000",
    }
    root = files(tmp_path, "9:memory:/docker/0a1b\n2:cpu:/docker/0a1b\n", groups)
    assert limits.memory(root) == limits.Memory(GIB, GIB)
    assert limits.cores(root) == CORES


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    group = {"unified/a/memory.max": f"{GIB}", "unified/a/memory.current": "1"}
    assert limits.memory(files(tmp_path, "4:memory:/\n0::/a\n", group)).available == GIB - 1


@pytest.mark.parametrize("limit", [f"{ALL}", f"{10 * ALL}", UNLIMITED, "max", "", "nonsense"])
def test_what_limits_nothing(tmp_path: Path, limit: str) -> None:
    root = files(tmp_path, "0::/\n", {"memory.max": limit, "memory.current": "0", "cpu.max": f"{limit} 100000"})
    found = limits.memory(root)
    assert found.total == ALL and found.available > 0
    assert limits.cores(root) == CORES


def test_a_group_that_uses_more_than_it_may_has_nothing_free(tmp_path: Path) -> None:
    root = files(tmp_path, "0::/\n", {"memory.max": "1000", "memory.current": "2000"})
    assert limits.memory(root) == limits.Memory(1000, 0)


def test_less_than_a_core_is_one(tmp_path: Path) -> None:
    assert limits.cores(files(tmp_path, "0::/\n", {"cpu.max": "20000 100000"})) == 1


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert limits.memory(tmp_path).total == ALL
    assert limits.cores(tmp_path) == CORES


def test_doctor_goes_by_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory", lambda: limits.Memory(8 * GIB, 2 * GIB))
    monkeypatch.setattr(limits, "cores", lambda: 3)
    by_name = dict(zip(("python", "cores", "memory"), doctor.examine(), strict=False))
    assert by_name["cores"].status == f"3 of {os.cpu_count()} may be used"
    assert by_name["memory"].status == "2.0 of 8.0 GiB free" and by_name["memory"].fix


def test_libraries_start_no_more_threads_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "environ", {})
    machine.isolate()
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setattr(limits, "cores", lambda: 2)
    machine.isolate()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    os.environ["OMP_NUM_THREADS"] = "5"
    machine.isolate()
    assert os.environ["OMP_NUM_THREADS"] == "5", "what the user says goes"
