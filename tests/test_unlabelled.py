"""Problems without answers: samples that agree are trained on, and nobody is told that it was proved or measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

pytestmark = [pytest.mark.train, pytest.mark.torch]

RECIPE = """
name: r
model: {{name: {model}, max_context: 128}}
task:
  name: file
  path: problems.jsonl
  verifier: {{name: consensus, equal: number}}
  num_train: 8
  num_dev: 4
  num_held_out: 4
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, enough: 1, max_samples: 8}}
objective: {{name: sft, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 4}}
"""


def test_a_round_on_problems_without_answers(
    byheart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, tiny: Path
) -> None:
    asked = [f"What is {a} + {a}?" for a in range(16)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in asked))
    answers = {one: [f"It is {2 * a}", f"{2 * a}", f"{2 * a}.0", "7"] for a, one in enumerate(asked)}
    (tmp_path / "script.json").write_text(json.dumps(answers))
    (tmp_path / "r.yaml").write_text(RECIPE.format(model=tiny))

    done = byheart("run", "r.yaml")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs/r"
    metrics = json.loads((run / "round-001/metrics.json").read_text())
    assert not metrics["measured"]
    assert metrics["promoted"]
    assert "unmeasured" in done.stdout
    assert metrics["curation"]["num_rows"] > 0
    rows = parquet.read_table(run / "round-001/dataset/train-00000-of-00001.parquet").to_pylist()
    assert all(row["verifier"].startswith("consensus@") and 0.25 <= row["margin"] <= 1 for row in rows)
    for page in (run / "round-001/dataset/README.md", run / "report.html"):
        assert "no gold answer was known" in page.read_text()
    assert "no gold answer was known" in " ".join(done.stdout.split())
