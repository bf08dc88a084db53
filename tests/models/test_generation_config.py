"""Settings of generation that a model was published with, and that transformers refuses to save, stop no round."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RECIPE = """
name: r
model: {name: model, max_context: 128}
task: {name: arithmetic, num_train: 8, num_dev: 4, num_held_out: 4}
engine: {name: scripted, script: script.json}
strategy: {name: direct, samples: 2, enough: 1, max_samples: 2}
objective: {name: sft, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 4}
evaluation: {num_train: 4}
"""


@pytest.mark.train
@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": False, "temperature": 0.6, "top_p": 0.9},
        {"do_sample": False, "num_return_sequences": 4, "length_penalty": 2.0},
        {"cache_implementation": "none such"},
    ],
)
def test_a_round_ends_and_keeps_the_models_own(
    byheart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, tiny: Path, settings: dict[str, Any]
) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, **settings}))
    sums = {
        f"What is {a} + {b}? Reply with just the number.": [str(a + b)] for a in range(10, 100) for b in range(10, 100)
    }
    (tmp_path / "script.json").write_text(json.dumps(sums))
    (tmp_path / "r.yaml").write_text(RECIPE)
    done = byheart("run", "r.yaml")
    assert done.returncode == 0, done.stderr
    merged = tmp_path / "runs/r/round-001/merged"
    assert json.loads((merged / "generation_config.json").read_text()) == {"eos_token_id": 2, **settings}
