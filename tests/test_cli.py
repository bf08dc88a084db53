"""The command line: bad input is one clear line and exit code 2, before any model is loaded."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from byheart import STAGES

from tests.conftest import python

pytestmark = pytest.mark.torch
Call = Callable[..., subprocess.CompletedProcess[str]]


def write(folder: Path, base: object, **changes: str) -> None:
    """A recipe r.yaml whose sections are given as YAML."""
    sections = {
        "model": f"{{name: {base}, max_context: 128}}",
        "task": "{name: arithmetic, num_train: 8, num_dev: 4, num_held_out: 4}",
        "evaluation": "{num_train: 4}",
    } | changes
    lines = ["name: r", *(f"{key}: {value}" for key, value in sections.items())]
    (folder / "r.yaml").write_text("\n".join(lines) + "\n")


def rows(folder: Path, *lines: object) -> str:
    """A task of the file rows.jsonl, asking for as little as a split can hold."""
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "rows.jsonl").write_text(text)
    return "{name: file, path: rows.jsonl, verifier: number, num_train: 1, num_dev: 1, num_held_out: 1}"


GOOD = [{"prompt": f"What is {a} + 1?", "answer": a + 1} for a in range(4)]
BAD = {
    "unknown key": ({"task": "{name: arithmetic, digitz: 3}"}, ["task.digitz", "did you mean 'digits'"]),
    "unknown section": ({"stratergy": "{}"}, ["stratergy", "did you mean 'strategy'"]),
    "wrong type": ({"task": "{name: arithmetic, num_train: many}"}, ["task.num_train", "'many'"]),
    "unknown task": ({"task": "{name: arithmetics}"}, ["did you mean 'arithmetic'"]),
    "missing file": ({"task": "{name: file, path: no.jsonl, verifier: number}"}, ["no.jsonl"]),
    "more held out than there is": ({"task": "{name: times_table, num_held_out: 500}"}, ["num_held_out", "500", "121"]),
    "no such model": ({"model": "{name: ./nowhere}"}, ["./nowhere", "smollm2-135m"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_recipe(byheart: Call, tmp_path: Path, tiny: Path, case: str) -> None:
    changes, words = BAD[case]
    write(tmp_path, tiny, **changes)
    refused(byheart("run", "r.yaml"), *words)
    refused(byheart("run", "r.yaml", "--dry-run"), *words)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ["rows.jsonl", "no problems"]),
        ([*GOOD, {"prompt": "What is 9 + 1?"}], ["line 5", "no answer"]),
        ([*GOOD, {"prompt": " ", "answer": 3}], ["line 5", "no prompt"]),
        ([*GOOD, "{broken"], ["line 5", "not JSON"]),
        ([*GOOD, {"prompt": "word " * 200, "answer": 3}], ["context 128", "model.max_context"]),
    ],
    ids=["empty", "no answer", "no prompt", "not JSON", "too long"],
)
def test_bad_rows(byheart: Call, tmp_path: Path, tiny: Path, lines: list[object], words: list[str]) -> None:
    task = rows(tmp_path, *lines).replace("num_train: 1", "num_train: 3")
    write(tmp_path, tiny, task=task)
    refused(byheart("run", "r.yaml"), *words)


def test_duplicate_ids(byheart: Call, tmp_path: Path, tiny: Path) -> None:
    task = rows(tmp_path, *({**row, "key": "same"} for row in GOOD)).replace("}", ", id_column: key}")
    write(tmp_path, tiny, task=task)
    refused(byheart("run", "r.yaml"), "line 2", "'same'", "line 1")


def test_chat_problems_for_a_model_without_a_template(byheart: Call, tmp_path: Path, tiny: Path) -> None:
    bare = shutil.copytree(tiny, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    write(tmp_path, bare)
    refused(byheart("run", "r.yaml"), "no chat template", "task.chat=false")
    plain = byheart("load", "r.yaml", "task.chat=false")
    assert plain.returncode == 0, plain.stderr


@pytest.mark.slow
def test_weights_missing_or_pickled(byheart: Call, tmp_path: Path, tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    bare = shutil.copytree(tiny, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    write(tmp_path, bare)
    refused(byheart("run", "r.yaml"), "no weights")
    torch.save(AutoModelForCausalLM.from_pretrained(tiny).state_dict(), bare / "pytorch_model.bin")
    refused(byheart("run", "r.yaml"), "pickled", "model.allow_pickle=true")
    trusted = byheart("load", "r.yaml", "model.allow_pickle=true")
    assert trusted.returncode == 0, trusted.stderr


def test_a_stage_alone_wants_those_before_it(byheart: Call, tmp_path: Path, tiny: Path) -> None:
    write(tmp_path, tiny)
    early = byheart("train", "r.yaml")
    assert early.returncode == 3 and "run `byheart load` first" in early.stderr
    assert byheart("load", "r.yaml").returncode == 0
    assert "done before" in byheart("load", "r.yaml").stdout
    changed = byheart("load", "r.yaml", "task.digits=3")
    assert changed.returncode == 3
    assert "task.digits: 2 -> 3" in changed.stderr and "--redo-from" in changed.stderr
    assert byheart("status", "runs/r").returncode == 0
    refused(byheart("status", "runs"), "not a run directory")
    refused(byheart("show", "runs/r"), "nothing was sampled yet")


def test_help_and_dry_run_are_quick_and_do_nothing(tmp_path: Path, smollm: Path) -> None:
    """The promised times are 0.5 s and 2 s. Seconds of the processor are counted, since a busy machine adds none."""

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = python(tmp_path, "-m", "byheart.cli", *arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert seconds("--help") < 1.0
    assert seconds("run", "addition", "--dry-run") < 4.0
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_says_what_would_be_done(byheart: Call, smollm: Path) -> None:
    said = byheart("run", "addition", "--dry-run").stdout
    assert "400 problems to train on" in said and "num_held_out: 200" in said and "GiB" in said


def test_every_stage_has_a_command_in_its_order(byheart: Call) -> None:
    found = re.findall(r"Do only the stage (\w+)", " ".join(byheart("--help").stdout.split()))
    assert found == list(STAGES)


def test_recipes_and_doctor(byheart: Call) -> None:
    assert {"addition", "times_table"} <= {line.split()[0] for line in byheart("recipes").stdout.splitlines() if line}
    found = byheart("doctor")
    assert found.returncode == 0, found.stdout
    for word in ("python", "memory", "gpu", "vllm", "trl", "model"):
        assert word in found.stdout


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2 and a message of a line or two that has all `words`, no traceback, and no engine was started."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr and "starting the engine" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
