"""What training starts from, and what it goes on from after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Job
from byheart.objectives.sft import SFT, last_checkpoint

pytestmark = pytest.mark.train


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(folder / "adapter_model.safetensors")


def test_previous_goes_on_from_the_policy_and_base_begins_anew(job: Job, tmp_path: Path) -> None:
    """With next to no learning, going on leaves the old adapter, and beginning anew gives one that changes nothing."""
    from dataclasses import replace

    import numpy

    assert SFT(min_optimizer_steps=4, max_optimizer_steps=4, learning_rate=0.05).fit(job) > 0
    assert (job.out.parent / "merged/model.safetensors").is_file()
    old = weights(job.out)
    changed = [name for name, tensor in old.items() if "lora_B" in name and numpy.abs(tensor).max() > 0.01]
    assert changed, "training changed the adapter"
    ends = {}
    for start in ("previous", "base"):
        second = replace(job, adapter=job.out, out=tmp_path / start / "adapter", scratch=tmp_path / start / "scratch")
        still = SFT.model_validate({"name": "sft", "start": start, "min_optimizer_steps": 1, "max_optimizer_steps": 1})
        still.model_copy(update={"learning_rate": 1e-9}).fit(second)
        ends[start] = weights(second.out)
    assert all(numpy.allclose(ends["previous"][name], old[name], atol=1e-5) for name in old)
    assert all(numpy.abs(ends["base"][name]).max() < 1e-5 for name in changed)


def test_a_torn_checkpoint_is_passed_over(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, state in ((50, '{"global_step": 50}'), (100, '{"global_step": 100}'), (150, '{"glob'), (200, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")


@pytest.mark.slow
def test_training_goes_on_from_a_whole_checkpoint(job: Job, capfd: pytest.CaptureFixture[str]) -> None:
    """What an uninterrupted run would give, though a torn checkpoint lies on top."""
    import shutil

    options = SFT(min_optimizer_steps=52, max_optimizer_steps=52, global_batch_size=4)
    options.fit(job)
    whole = weights(job.out)
    shutil.rmtree(job.scratch / "checkpoint-52", ignore_errors=True)
    assert last_checkpoint(job.scratch) is None or "checkpoint-52" not in str(last_checkpoint(job.scratch))
    (job.scratch / "checkpoint-60").mkdir()
    capfd.readouterr()
    options.fit(job)
    import numpy

    assert all(numpy.allclose(tensor, whole[name], atol=1e-5) for name, tensor in weights(job.out).items())
