"""`--seeds`, `--limit` and `rounds: {most, patience}` through the command line, with real training on a tiny model."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from byheart.errors import InputError
from byheart.publish import packing

from tests.conftest import environment
from tests.warm import Warm

pytestmark = [pytest.mark.train, pytest.mark.torch]

Call = Callable[..., subprocess.CompletedProcess[str]]

MURDER = """
import os, signal
from pathlib import Path
replace = Path.replace
def spy(self, target):
    if "seed-1" in str(target) and Path(target).name == "evaluate.jsonl":
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = spy
"""
"""Before a command: it is killed in the midst of the run of seed 1."""


@pytest.fixture
def recipe(tmp_path: Path, tiny: Path) -> str:
    """One whose model has nothing right before it is trained, and most afterwards."""
    script = {}
    for a in range(10, 100):
        for b in range(10, 100):
            asked = f"What is {a} + {b}? Reply with just the number."
            script[asked] = [f"{a + b + 1}", f"{a} + {b} = {a + b}"]
            script[f"adapter: {asked}"] = [f"It is {a + b}"]
    (tmp_path / "script.json").write_text(json.dumps(script))
    (tmp_path / "r.yaml").write_text(f"""
name: r
model: {{name: {tiny}, max_context: 128}}
task: {{name: arithmetic, num_train: 12, num_dev: 8, num_held_out: 8}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, enough: 1, max_samples: 2}}
objective: {{name: sft, start: previous, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 4}}
evaluation: {{num_train: 4}}
""")
    return "r.yaml"


def rounds(folder: Path) -> int:
    return len(list(folder.glob("round-*/metrics.json")))


def test_seeds_are_done_one_by_one_and_resumed(byheart: Call, warm: Warm, recipe: str, tmp_path: Path) -> None:
    command, runs = ("run", recipe, "--seeds", "0..1"), tmp_path / "runs"
    killed = warm.run(command, tmp_path, environment(), before=MURDER)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert rounds(runs / "r-seed-0") == 1 and rounds(runs / "r-seed-1") == 0
    planned = byheart(*command, "--dry-run")
    assert "seed 0: runs/r-seed-0 is done" in planned.stdout and "nothing, it is done" in planned.stdout
    resumed = byheart(*command)
    assert resumed.returncode == 0, resumed.stderr
    assert "seed 0: runs/r-seed-0 is done" in resumed.stdout and "seed 1: runs/r-seed-1\n" in resumed.stdout
    assert rounds(runs / "r-seed-0") == rounds(runs / "r-seed-1") == 1
    first, second = ((runs / f"r-seed-{n}/round-001/problems.jsonl").read_text() for n in (0, 1))
    assert first != second, "each seed has problems of its own"
    again = byheart(*command)
    assert again.returncode == 0 and "starting the engine" not in again.stderr
    assert "seed 0: runs/r-seed-0 is done\nseed 1: runs/r-seed-1 is done\n" in again.stdout
    pooled = again.stdout.partition("runs/r-seed-1 is done\n")[2]
    assert "over seeds and problems" in pooled and resumed.stdout.endswith(f"round 1 is finished\n{pooled}")
    assert rounds(runs / "r-seed-0") == rounds(runs / "r-seed-1") == 1


def test_a_seed_that_fails_is_said_and_the_others_are_done(byheart: Call, recipe: str, tmp_path: Path) -> None:
    (tmp_path / "x-limit-3-seed-0").write_text("a file")
    command = ("run", recipe, "--seeds", "0,4", "--run-dir", "x", "--limit", "3", "objective.name=none")
    planned = byheart(*command, "--dry-run")
    assert planned.returncode == 2 and "nothing was done; without --dry-run this begins at round 1" in planned.stdout
    done = byheart(*command)
    assert done.returncode == 2
    assert "byheart: seed 0: x-limit-3-seed-0 is a file" in done.stderr and "1 of 2 seeds failed" in done.stderr
    assert rounds(tmp_path / "x-limit-3-seed-4") == 1 and "no result, but a first look at 3 problems" in done.stdout


@pytest.mark.parametrize(("interrupted", "asked"), [(4, 2), (2, 3)])
def test_seeds_do_as_many_rounds_as_are_asked_for_now(
    byheart: Call, recipe: str, tmp_path: Path, interrupted: int, asked: int
) -> None:
    command = ("run", recipe, "--seeds", "0", "objective.name=none", "--rounds")
    assert byheart(*command, "1").returncode == 0
    path = tmp_path / "runs/r-seed-0/state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target": interrupted}))
    assert byheart(*command, str(asked)).returncode == 0
    assert rounds(path.parent) == asked


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--seeds", "0..1", "seed=3"], "--seeds says which seeds"),
        (["--seeds", "1..0"], "names no seed"),
        (["--seeds", "0", "--redo-from", "1"], "--redo-from is for one run"),
        (["--seeds", "0..1", "objective.name=preference"], "learns from pairs"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_what_does_not_go_together_is_refused(byheart: Call, recipe: str, more: list[str], words: str) -> None:
    done = byheart("run", recipe, *more)
    assert done.returncode == 2 and words in done.stderr and "seed 0:" not in done.stderr, done.stderr


def test_a_first_look_goes_through_all_stages_and_is_no_result(byheart: Call, recipe: str, tmp_path: Path) -> None:
    done = byheart("run", recipe, "--limit", "2", "objective.global_batch_size=64")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/r-limit-2"
    problems = json.loads((folder / "round-001/problems.jsonl").read_text())
    assert [len(problems[part]) for part in ("train", "dev", "held_out")] == [2, 2, 2]
    assert (folder / "round-001/adapter/adapter_model.safetensors").is_file(), "it trains on the rows that there are"
    said = "no result, but a first look at 2 problems at most (limit)"
    for text in (done.stdout, byheart("status", str(folder)).stdout, (folder / "report.html").read_text()):
        assert said in " ".join(text.split())
    for card in ("adapter", "dataset"):
        assert "**No result**: a first look at 2 problems" in (folder / f"round-001/{card}/README.md").read_text()
    with pytest.raises(InputError, match=r"is no result, .* do the recipe without --limit"):
        packing.pack(folder, None, "me/sums", "someone/tiny", "mit")
    assert not (tmp_path / "runs/r").exists()


def test_a_run_ends_where_nothing_more_is_gained(byheart: Call, recipe: str, tmp_path: Path) -> None:
    command = ("run", recipe, "rounds={most: 6, patience: 2}")
    done = byheart(*command)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs/r"
    state = json.loads((folder / "state.json").read_text())
    assert [end["gained"] for end in state["rounds"]] == [True, False, False] and state["rounds"][-1]["best"] == 1
    why = "Ended after round 3: no significant gain over the best in the last 2 rounds (rounds.patience)."
    assert f"next     {why}  --rounds N does N more;" in done.stdout and "round 3 is finished" in done.stdout
    assert why in byheart("status", "runs/r").stdout and why in (folder / "report.html").read_text()
    again = byheart(*command)
    assert again.returncode == 0 and why in again.stdout and "starting the engine" not in again.stderr
    assert f"nothing would be: {why}" in byheart(*command, "--dry-run").stdout
    more = byheart(*command, "--rounds", "1")
    assert more.returncode == 0 and rounds(folder) == 4, more.stderr
