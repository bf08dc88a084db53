"""A command works beside files of the user's that are called like our modules or the standard library's: no process
that it starts imports them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from byheart.errors import EngineError
from byheart.models import weights
from byheart.publish import packing
from byheart.runs.stages import read_environments

NAMES = ("pipeline", "byheart", "types", "json")
"""Modules of the user's: two that a child needs of us, two that it needs of the standard library."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory in which an import leaves a line about itself and its process, and fails."""
    found = tmp_path / "mine"
    found.mkdir()
    for name in NAMES:
        lay(found, name)
    return found


def lay(folder: Path, name: str) -> None:
    imported = str(folder.parent / "imported.txt")
    (folder / f"{name}.py").write_text(
        f"with open({imported!r}, 'a') as file, open('/proc/self/cmdline') as words:\n"
        "    file.write(__name__ + ' by ' + words.read().replace(chr(0), ' ') + chr(10))\n"
        "raise ImportError('the file of the working directory was imported')\n"
    )


def imported(folder: Path) -> str:
    path = folder.parent / "imported.txt"
    return path.read_text() if path.exists() else ""


def byheart(folder: Path, *arguments: str, **env: str) -> None:
    """Run the console script, which does not have the working directory on its own path, and see that it succeeds."""
    started(folder, str(Path(sysconfig.get_path("scripts")) / "byheart"), *arguments, **env)


def started(folder: Path, *command: str, **env: str) -> None:
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    done = subprocess.run(command, cwd=folder, env=ours | env, capture_output=True, text=True, timeout=580, check=False)
    assert imported(folder) == "", done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verifier", "row"),
    [
        ("math", {"response": "It is $\\frac{1}{2}$.", "answer": "1/2"}),
        pytest.param(
            "code",
            {"response": "import json, types\nprint(json.dumps(1))", "tests": [{"input": "", "output": "1"}]},
            marks=pytest.mark.sandbox,
        ),
    ],
    ids=["in a worker", "in the sandbox"],
)
def test_a_verifier(folder: Path, verifier: str, row: dict[str, object]) -> None:
    (folder / "rows.jsonl").write_text(json.dumps(row))
    byheart(folder, "verify", "rows.jsonl", "--verifier", verifier, "--out", "judged.jsonl")
    assert json.loads((folder / "judged.jsonl").read_text())["score"] == 1.0


@pytest.mark.slow
def test_a_verifier_of_a_command_that_was_itself_started_with_m(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    lay(folder, "sympy")  # which only the worker imports
    (folder / "rows.jsonl").write_text(json.dumps({"response": "It is $\\frac{1}{2}$.", "answer": "1/2"}))
    started(folder, sys.executable, "-m", "byheart.cli", "verify", "rows.jsonl", "--verifier", "math")


@pytest.mark.train
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_round_with_workers_of_ray_and_training(folder: Path, tiny: Path) -> None:
    words = "What is {} + {}? Reply with just the number."
    answers = {words.format(a, b): [f"{a} + {b} = {a + b}", f"{a + b}"] for a in range(100) for b in range(100)}
    (folder / "script.json").write_text(json.dumps(answers))
    (folder / "r.yaml").write_text(f"""
name: r
model: {{name: {tiny}, max_context: 128}}
task: {{name: arithmetic, num_train: 4, num_dev: 2, num_held_out: 2, verifier: math}}
engine: {{name: scripted, script: script.json}}
executor: {{name: ray, num_workers: 1, cpus: 0.5, address: local}}
strategy: {{name: direct, samples: 2, max_samples: 2}}
objective: {{name: sft, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 2}}
evaluation: {{num_train: 2}}
""")
    byheart(folder, "run", "r.yaml")
    one = folder / "runs/r/round-001"
    assert (one / "adapter/adapter_model.safetensors").is_file()
    # And since a whole round is dear: what it was computed with is in all of its cards.
    published, _ = packing.pack(folder / "runs/r", 1, "me/sums", base="someone/tiny", license="mit")
    used = read_environments(one)[0].versions
    made_with = f"| made with | byheart `{used['byheart']}`, python `{platform.python_version()}`"
    for card in (one / "adapter", one / "dataset", published.folder):
        assert made_with in (card / "README.md").read_text()


@pytest.mark.engine
def test_vllm_and_the_process_that_merges_an_adapter_for_it(folder: Path, tiny: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), lora).save_pretrained(folder.parent / "adapter")
    (folder / "r.yaml").write_text(f"""
name: r
model: {{name: {tiny}, max_context: 128, adapter: {folder.parent / "adapter"}}}
task: {{name: arithmetic, num_train: 2, num_dev: 1, num_held_out: 1}}
engine: {{name: vllm, max_num_seqs: 4}}
evaluation: {{num_train: 1, num_slow: 0, worked: {{max_tokens: 4}}, fast: {{max_tokens: 4}}}}
""")
    byheart(folder, "load", "r.yaml")
    # without a cache vLLM looks at the model's class in a process of its own
    byheart(folder, "baseline", "r.yaml", VLLM_CACHE_ROOT=str(folder.parent / "cache"))
    assert (folder / "runs/r/start/merged/model.safetensors").is_file()


@pytest.mark.torch
def test_converting(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(EngineError, match=r"none\.gguf"):
        weights.in_child("convert", tmp_path / "none.gguf", tmp_path / "target")
    assert imported(folder) == ""
