"""A policy that is worse on the development problems is kept from what follows: the next round starts from the old."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from byheart import STAGES

pytestmark = [pytest.mark.train, pytest.mark.torch]

RECIPE = """
name: r
model: {{name: {model}, max_context: 128}}
task: {{name: arithmetic, num_train: 8, num_dev: 12, num_held_out: 12}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, enough: 1, max_samples: 2}}
objective: {{name: sft, start: previous, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 4}}
evaluation: {{num_train: 4}}
"""


@pytest.mark.parametrize("better", [True, False], ids=["better", "worse"])
def test_the_next_round_starts_from_what_was_promoted(
    byheart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, tiny: Path, better: bool
) -> None:
    script = {}
    for a in range(10, 100):
        for b in range(10, 100):
            asked = f"What is {a} + {b}? Reply with just the number."
            right, wrong = [f"{a} + {b} = {a + b}"], ["0", f"{a} + {b} = {a + b}"]
            script[asked], script[f"adapter: {asked}"] = (wrong, right) if better else (right, ["0"])
    (tmp_path / "script.json").write_text(json.dumps(script))
    (tmp_path / "r.yaml").write_text(RECIPE.format(model=tiny))
    if better:  # the first round a stage at a time comes to the same
        for name in STAGES:
            alone = byheart(name, "r.yaml")
            assert alone.returncode == 0, alone.stderr
        assert "round 1 is finished" in alone.stdout
    done = byheart("run", "r.yaml")
    assert done.returncode == 0, done.stderr
    first = json.loads((tmp_path / "runs/r/round-001/metrics.json").read_text())
    assert first["before"] == "base" and first["after"].startswith("adapter-")
    assert first["promoted"] is better
    follows = first["after"] if better else "base"
    if better:
        assert json.loads((tmp_path / "runs/r/round-002/metrics.json").read_text())["before"] == follows
    else:  # what the next round samples with shows as much
        for name in STAGES[:3]:
            assert byheart(name, "r.yaml").returncode == 0
    assert first["splits"]["held_out"]["after"]["worked"]["accuracy"] == (1.0 if better else 0.0)
    assert ("not promoted" in done.stdout) is not better
    merged = {path.parent.name for path in (tmp_path / "runs/r").glob("round-*/merged")}
    state = json.loads((tmp_path / "runs/r/state.json").read_text())
    assert merged <= {Path(str(state["rounds"][-1]["adapter"])).parent.name}
    rollouts = (tmp_path / "runs/r/round-002/rollouts-00000.jsonl").read_text()
    assert f'"policy": "{follows}"' in rollouts
