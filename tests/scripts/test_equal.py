"""scripts/equal: two runs are compared value by value, and runs that have nothing to say are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import pyarrow.parquet
import pytest
from rich.table import Table
from safetensors.numpy import save_file

from scripts.bench import equal
from tests.conftest import ROOT

FILE = "train-00000-of-00001.parquet"


def round_of(folder: Path) -> Path:
    """The directory of a round in which every technique left something."""
    said = {"response": "7", "value": 0.5, "note": "mended"}
    rollouts = [
        {"problem_id": name, "rollouts": [{"id": f"{name}1"} | said], "tree": [{"parent": -1}]} for name in "ab"
    ]
    verdicts = [{"rollout_id": f"{name}1", "verifier": "number@0a1b2c3d", "score": 1.0} for name in "ab"]
    rows = [{"rollout_id": "a1", "verifier": "number@0a1b2c3d", "completion": "7", "untrained": [[0, 1]]}]
    write_lines(folder / "rollouts-00000.jsonl", rollouts)
    write_lines(folder / "verdicts.jsonl", verdicts)
    write_rows(folder / "dataset" / FILE, rows)
    write_rows(folder / "dataset/pairs" / FILE, [{"chosen": "7", "rejected": "8"}])
    write_rows(folder / "dataset/steps" / FILE, [{"completions": ["7"], "values": [0.25]}])
    (folder / "metrics.json").write_text(json.dumps({"splits": {"dev": {"after": {"accuracy": 0.5}}}}))
    (folder / "stages.json").write_text(json.dumps({"sample": {"seconds": 3.25, "digest": "d", "num_rollouts": 2}}))
    write_weights(folder / "adapter/adapter_model.safetensors", 1.0)
    return folder


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def write_weights(path: Path, weight: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"lora_A": numpy.array([weight, 2.0], numpy.float32)}, path)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs of one equal round."""
    for side in ("there", "here"):
        round_of(tmp_path / side / "round-001")
    return tmp_path / "there", tmp_path / "here"


def wrong(runs: tuple[Path, Path]) -> list[str]:
    return equal.compare("addition", *runs, Table(*"....", *equal.COUNTS))


def reverse_lines(path: Path) -> None:
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: None,
        lambda one: edit(one / "verdicts.jsonl", "number@0a1b2c3d", "number@ffffffff"),
        lambda one: edit(one / "stages.json", "3.25", "99.0"),
        lambda one: edit(one / "stages.json", '"digest": "d"', '"digest": "e"'),
        lambda one: reverse_lines(one / "rollouts-00000.jsonl"),
    ],
    ids=["nothing", "fingerprint", "seconds", "digest", "order in a journal"],
)
def test_what_may_differ_is_equal(runs: tuple[Path, Path], change: Callable[[Path], None]) -> None:
    change(runs[1] / "round-001")
    assert wrong(runs) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda one: edit(one / "rollouts-00000.jsonl", '"response": "7"', '"response": "8"'),
            "rollouts[0].rollouts[0].response: '7' there, '8' here",
        ),
        (lambda one: edit(one / "verdicts.jsonl", "1.0", "0.0"), "verdicts[0].score: 1.0 there, 0.0 here"),
        (
            lambda one: edit(one / "verdicts.jsonl", "number@0a1b2c3d", "exact@0a1b2c3d"),
            "verdicts[0].verifier: 'number' there, 'exact' here",
        ),
        (
            lambda one: write_rows(one / "dataset" / FILE, [{"completion": "7"}, {"completion": "8"}]),
            "rows: 1 there, 2 here",
        ),
        (lambda one: shutil.rmtree(one / "dataset/pairs"), "pairs: [{'chosen': '7', 'rejected': '8'}] there, None"),
        (lambda one: edit(one / "metrics.json", "0.5", "0.625"), "metrics.splits.dev.after.accuracy: 0.5 there, 0.625"),
        (lambda one: edit(one / "metrics.json", "0.5", "null"), "metrics.splits.dev.after.accuracy: 0.5 there, None"),
        (lambda one: edit(one / "stages.json", "num_rollouts", "num_more"), "stages.sample.num_rollouts: only there"),
        (
            lambda one: write_weights(one / "adapter/adapter_model.safetensors", 1.0001),
            "adapter.lora_A: they differ by up to 0.0001",
        ),
    ],
)
def test_what_has_changed_is_found(runs: tuple[Path, Path], change: Callable[[Path], None], found: str) -> None:
    change(runs[1] / "round-001")
    assert any(line.startswith(f"addition, round 1: {found}") for line in wrong(runs)), wrong(runs)


def test_a_name_that_has_changed_is_mapped(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    here = runs[1] / "round-001"
    edit(here / "metrics.json", "accuracy", "share_right")
    (here / "verdicts.jsonl").rename(here / "judged.jsonl")
    assert len(wrong(runs)) == 2
    monkeypatch.setattr(equal, "RENAMED", {"accuracy": "share_right", "verdicts.jsonl": "judged.jsonl"})
    assert wrong(runs) == []
    edit(here / "judged.jsonl", "1.0", "0.0")
    assert len(wrong(runs)) == 1


def test_a_key_that_was_added_is_not_compared(runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    edit(runs[1] / "round-001/stages.json", '"seconds"', '"version": "0.2", "seconds"')
    assert wrong(runs) == ["addition, round 1: stages.sample.version: only here"]
    monkeypatch.setattr(equal, "ADDED", frozenset({"version"}))
    assert wrong(runs) == []


def test_runs_in_which_nothing_happened_are_no_evidence(runs: tuple[Path, Path]) -> None:
    for run in runs:
        (run / "round-001/dataset" / FILE).unlink()
    assert wrong(runs) == ["addition: nothing to compare: no rows in 1 round(s)"]
    shutil.rmtree(runs[1] / "round-001")
    assert "addition: round 1 is missing here" in wrong(runs)


# From commits to the exit code, with a byheart that copies a round from its own commit

BYHEART = """#!/usr/bin/env bash
set -euo pipefail
here=$(dirname "$0")
echo "$2" >>"$here/asked"
if [ -e "$here/../../broken" ]; then echo "out of luck"; exit 1; fi
[ "${*: -4:1}" = --rounds ] && [ "$(nproc)" = 1 ]
for n in $(seq "${*: -3:1}"); do mkdir -p "${*: -1}" && cp -r "$here/../../round" "${*: -1}/round-00$n"; done
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with scripts/bench, whose `make setup` installs BYHEART; its first commit is tagged `old`."""
    for name in ("equal", "checkout"):
        (tmp_path / "scripts/bench").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / f"scripts/bench/{name}.py", tmp_path / "scripts/bench")
    (tmp_path / ".gitignore").write_text("build/\n.venv/\n")
    (tmp_path / "Makefile").write_text("setup:\n\t@mkdir -p .venv/bin && cp byheart .venv/bin\n")
    (tmp_path / "byheart").write_text(BYHEART)
    (tmp_path / "byheart").chmod(0o755)
    round_of(tmp_path / "round")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    git(tmp_path, "tag", "old")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "Change something")


def equally(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.bench.equal", *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "150"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_commits_are_run_once_each_and_held_against_each_other(repository: Path) -> None:
    (repository / "README.md").write_text("Only words have changed.\n")
    commit(repository)
    first = equally(repository, "old")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "All of it is equal." in first.stdout
    asked = [path.read_text().split() for path in repository.glob("build/checkouts/*/.venv/bin/asked")]
    assert [sorted(one) for one in asked] == [sorted(equal.CASES)] * 2
    assert equally(repository, "old").returncode == 0
    assert asked == [path.read_text().split() for path in repository.glob("build/checkouts/*/.venv/bin/asked")]

    edit(repository / "round/verdicts.jsonl", "1.0", "0.0")
    commit(repository)
    second = equally(repository, "old")
    assert second.returncode == 1
    assert "q_star, round 1: verdicts[0].score: 1.0 there, 0.0 here" in second.stdout


@pytest.mark.slow
def test_what_can_not_be_compared_is_said(repository: Path) -> None:
    itself, unknown = equally(repository, "old"), equally(repository, "no-such-commit")
    assert itself.returncode == 1 and "there is nothing to compare it with" in itself.stderr
    assert unknown.returncode == 1 and "no-such-commit: git knows no such commit here" in unknown.stderr
    (repository / "broken").touch()
    commit(repository)
    broken = equally(repository, "old")
    assert broken.returncode == 1 and "out of luck" in broken.stderr
    [edited] = repository.glob("build/checkouts/*/broken")
    edited.unlink()
    dirty = equally(repository, "old")
    assert dirty.returncode == 1 and "is no clean checkout of" in dirty.stderr
