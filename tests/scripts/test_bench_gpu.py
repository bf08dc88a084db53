"""The comparison with plain vLLM and plain trl, as far as a machine without a GPU can run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from byheart.models import machine

from scripts.bench.gpu.__main__ import main
from scripts.bench.gpu.workload import Workload
from tests.conftest import python


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Also on a machine that has one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.gpus.cache_clear()
    yield
    machine.gpus.cache_clear()


@pytest.mark.engine
@pytest.mark.train
@pytest.mark.slow
def test_a_dry_run_measures_every_part_and_leaves_its_figures(smollm: Path, tmp_path: Path) -> None:
    done = python(
        tmp_path,
        *("-m", "scripts.bench.gpu", "--shape", "tiny", "objective.lora_r=8"),
        VLLM_ENABLE_V1_MULTIPROCESSING="0",  # another process would import vLLM again
        CUDA_VISIBLE_DEVICES="",
    )
    assert done.returncode == 0, done.stderr

    found = json.loads((tmp_path / "gpu-tiny.json").read_text())
    assert found["overrides"] == ["objective.lora_r=8"]
    assert found["settings"]["objective"]["lora_r"] == 8
    assert found["machine"]["gpu"] is None
    assert {"byheart", "torch", "trl", "peft"} <= found["versions"].keys()
    sampling, training = found["sampling"], found["training"]
    speeds = [
        sampling["vllm"]["tokens_per_second"],
        sampling["vllm"]["tokens_per_second_seeded"],
        sampling["byheart"]["tokens_per_second"],
        sampling["byheart"]["tokens_per_second_adapter"],
    ]
    assert all(0 < speed["lowest"] <= speed["median"] <= speed["highest"] for speed in speeds)
    assert sampling["byheart"]["sleep_seconds"] is None  # vLLM's sleep mode wants a GPU
    assert training.keys() == {"trl", "byheart", "bare"}
    for row in training.values():
        assert row["steps"] == 2
        assert row["tokens_per_second"] > 0
        assert row["peak_memory_gib"] is None
    shown = done.stdout
    assert "sampling: byheart with an adapter" in shown
    assert "training: bare PyTorch loop" in shown


def test_a_shape_that_wants_a_gpu_is_refused_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--shape", "8b"])
    assert "--shape 8b wants a GPU, and nvidia-smi lists none; --shape tiny runs without one" in capsys.readouterr().err


def test_an_override_that_does_not_fit_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"unknown key 'objective\.rnak'"):
        main(["--shape", "tiny", "--out", str(tmp_path / "out.json"), "objective.rnak=8"])
    assert not list(tmp_path.iterdir())


def test_no_two_runs_share_a_prompt_and_the_same_run_has_the_same_ones(tmp_path: Path) -> None:
    work = Workload("1b", tmp_path)
    first, second = ({problem.id for problem in work.problems(run)} for run in (1, 2))
    assert len(first) == len(second) == 256
    assert not first & second
    assert first == {problem.id for problem in work.problems(1)}
