"""A second adapter that begins where the first one ended, over two processes as in one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Job, Objective
from byheart.trainer import launch

from tests.conftest import ROOT
from tests.objectives.conftest import write

pytestmark = [pytest.mark.train, pytest.mark.slow]

FEW: dict[str, Any] = {
    "min_optimizer_steps": 4,
    "max_optimizer_steps": 4,
    "global_batch_size": 4,
    "learning_rate": 0.01,
}
STEPWISE = [
    {
        "prompt": [{"role": "user", "content": f"What is {n} + 1?"}],
        "completions": ["a = 1\n", f"b = {said}\n", "so 3"],
        "values": [0.5, right, right],
        "labels": [True, bool(right), bool(right)],
    }
    for n in range(4)
    for said, right in ((2, 1.0), (7, 0.0))
]


@pytest.mark.parametrize(
    ("name", "more"),
    [("vstar", {"pair_learning_rate": 0.01, "pair_epochs": 2.0}), ("step_value", {"value_learning_rate": 0.01})],
)
def test_two_processes_leave_the_policy_and_the_scorer_of_one(
    job: Job, tmp_path: Path, name: str, more: dict[str, Any]
) -> None:
    import numpy
    from safetensors.numpy import load_file

    if name == "step_value":
        write(job.steps, STEPWISE)
    options = Objective.parse({"name": name, **FEW, **more})
    alone, spread = (
        replace(
            job,
            objective=options.model_dump(mode="json"),
            scratch=tmp_path / f"{where}-scratch",
            out=tmp_path / where / "adapter",
        )
        for where in ("alone", "spread")
    )
    options.fit(alone)
    (tmp_path / "job.json").write_text(json.dumps(spread.written()))
    child = subprocess.Popen(
        launch.command("cpu", options, tmp_path / "job.json"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdin and child.stdout
    said = child.stdout.read()
    assert child.wait() == 0, said[-3000:]
    child.stdin.close()
    for one, other in ((alone.out, spread.out), (alone.scorer, spread.scorer)):
        expected, found = (load_file(path / "adapter_model.safetensors") for path in (one, other))
        assert expected.keys() == found.keys()
        assert all(numpy.allclose(tensor, expected[key], atol=1e-3) for key, tensor in found.items())
    policy, scorer = (load_file(path / "adapter_model.safetensors") for path in (spread.out, spread.scorer))
    assert any(numpy.abs(policy[key] - scorer[key]).max() > 0.003 for key in policy), "the second was trained too"
