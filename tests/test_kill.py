"""Nothing is lost: kill -9 at the worst moments of every stage, run again, and get what an undisturbed run gets."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from byheart.files import Journal
from byheart.types import RolloutGroup

from tests.conftest import environment, interruptible
from tests.warm import Warm

pytestmark = [pytest.mark.train, pytest.mark.torch]

Call = Callable[..., subprocess.CompletedProcess[str]]

# Before a command: its process is killed as it is about to put the file VICTIM in its place.
MURDER = """
import os, signal
from pathlib import Path
victim = os.environ["VICTIM"]
for name in ("replace", "rename"):
    def spy(self, target, real=getattr(Path, name)):
        if Path(target).name == victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)
    setattr(Path, name, spy)
"""
# What each stage puts in place, in the order of a round; the train stage's child is killed with it in a test below.
VICTIMS = [
    "problems.jsonl",
    "baseline.jsonl",
    "verdicts.jsonl",
    "dataset",
    "policy.json",
    "evaluate.jsonl",
    "metrics.json",
]


@pytest.fixture
def recipe(tmp_path: Path, tiny: Path) -> list[str]:
    """A run with real training on a tiny model and answers from a script."""
    answers = {
        f"What is {a} + {b}? Reply with just the number.": [f"{a} + {b} = {a + b}", f"{a + b + 1}", f"It is {a + b}"]
        for a in range(10, 100)
        for b in range(10, 100)
    }
    (tmp_path / "script.json").write_text(json.dumps(answers))
    (tmp_path / "r.yaml").write_text(f"""
name: r
model: {{name: {tiny}, max_context: 128}}
task: {{name: arithmetic, num_train: 12, num_dev: 6, num_held_out: 6}}
engine: {{name: scripted, script: script.json, max_num_seqs: 2, delay: 0.02}}
strategy: {{name: direct, samples: 4, enough: 2, max_samples: 4, temperature: 0.7}}
objective: {{name: sft, min_optimizer_steps: 3, max_optimizer_steps: 3, global_batch_size: 4}}
evaluation: {{num_train: 6}}
""")
    return ["run", "r.yaml"]


def result(folder: Path) -> dict[str, Any]:
    """What must be the same however often a run was killed."""
    import pyarrow.parquet as parquet

    rollouts = Journal(folder / "round-001", "rollouts", RolloutGroup).read()
    assert len({one.problem_id for one in rollouts}) == len(rollouts), "a finished problem was sampled again"
    return {
        "rollouts": {one.problem_id: one for one in rollouts},
        "verdicts": sorted((folder / "round-001/verdicts.jsonl").read_text().splitlines()),
        "rows": parquet.read_table(next((folder / "round-001/dataset").glob("*.parquet"))).to_pylist(),
        "policy": json.loads((folder / "round-001/policy.json").read_text())["id"],
        "metrics": json.loads((folder / "round-001/metrics.json").read_text()),
        "state": json.loads((folder / "state.json").read_text())["rounds"],
    }


def kill_when(folder: Path, arguments: list[str], moment: Callable[[Path], bool], alone: bool = True) -> None:
    """Start the command in `folder` and kill -9 it at `moment`, or once it is no more `alone` after that. What it had
    started ends with it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "byheart.cli", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    started: list[psutil.Process] = []
    while not (moment(folder / "runs/r") and (alone or started)):
        assert child.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
        time.sleep(0.01)
        started = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGKILL)
    child.wait()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive, "a process outlived the command that started it"


@pytest.mark.slow
def test_kill_in_every_stage_then_the_same_result(byheart: Call, warm: Warm, recipe: list[str], tmp_path: Path) -> None:
    undisturbed = byheart(*recipe, "--run-dir", "calm")
    assert undisturbed.returncode == 0, undisturbed.stderr

    def half_sampled(run: Path) -> bool:
        return sum(len(path.read_text().splitlines()) for path in run.glob("round-001/rollouts-*")) >= 4

    def training(run: Path) -> bool:
        return '"train"' in (run / "round-001/stages.json").read_text() and (run / "round-001/job.json").exists()

    for victim in VICTIMS:
        if victim == "verdicts.jsonl":  # sampling is over by then: be killed in the midst of it first
            kill_when(tmp_path, recipe, half_sampled)
            journal = next((tmp_path / "runs/r/round-001").glob("rollouts-*"))
            journal.write_text(journal.read_text() + '{"problem_id": "torn')
        if victim == "policy.json":  # and in the midst of training
            kill_when(tmp_path, recipe, training, alone=False)
        done = warm.run(recipe, tmp_path, environment(VICTIM=victim), before=MURDER)
        assert done.returncode == -signal.SIGKILL, (victim, done.stderr)
    finished = byheart(*recipe)
    assert finished.returncode == 0, finished.stderr
    calm, killed = result(tmp_path / "calm"), result(tmp_path / "runs/r")
    assert killed == calm


def test_a_stopped_command_says_how_to_go_on(byheart: Call, recipe: list[str], tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "byheart.cli", *recipe, "engine.delay=0.5"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    while not list((tmp_path / "runs/r").glob("measures/*")):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "goes on from there" in said and "Traceback" not in said


def test_a_second_process_is_refused(byheart: Call, recipe: list[str], tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "byheart.cli", *recipe, "engine.delay=0.5"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "runs/r/round-001").exists():
            time.sleep(0.05)
        second = byheart(*recipe, "engine.delay=0.5")
        assert second.returncode == 3
        assert "another byheart process holds this run" in second.stderr
    finally:
        child.kill()
        child.wait()
