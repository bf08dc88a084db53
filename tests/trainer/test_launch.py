"""Training spread over processes: two of them, or several turns a step, come to what one does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Job, Objective
from byheart.errors import RecipeError
from byheart.models import machine
from byheart.trainer import launch
from byheart.trainer.child import Report

from tests.conftest import ROOT
from tests.machines import pretend
from tests.objectives.conftest import make_job

JOB = Path("job.json")
CONFIGS = sorted(path.stem for path in launch.CONFIGS.glob("*.yaml"))
SFT: dict[str, Any] = {
    "name": "sft",
    "min_optimizer_steps": 16,
    "max_optimizer_steps": 16,
    "global_batch_size": 4,
    "learning_rate": 0.01,
}

Trained = tuple[list[float], dict[str, Any]]


def trained(job: Job, folder: Path, config: str | None, **options: Any) -> Trained:
    """The losses, a mean of every five steps, and the adapter that a child leaves in `folder`."""
    from safetensors.numpy import load_file

    job = replace(job, objective=SFT | options, out=folder / "adapter", scratch=folder / "scratch")
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(job.written()))
    child = subprocess.Popen(
        launch.command(config, Objective.parse(job.objective), folder / "job.json"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said, errors = _ended(child)
    assert child.returncode == 0, errors[-3000:]
    reports = [report for report in map(Report.read, said.splitlines()) if report]
    assert [report.step for report in reports if report.step] == list(range(1, 17)), "one process speaks for all"
    assert reports[-1].notes == {"num_processes": launch.processes(config) if config else 1}
    losses = [report.loss or 0.0 for report in reports if report.step in (6, 11, 16)]
    return losses, load_file(job.out / "adapter_model.safetensors")


def _ended(child: subprocess.Popen[str]) -> tuple[str, str]:
    """What it said; its standard input stays open until then, since its end is the child's."""
    assert child.stdout and child.stderr and child.stdin
    said, errors = child.stdout.read(), child.stderr.read()
    child.wait()
    child.stdin.close()
    return said, errors


@pytest.fixture(scope="module")
def one(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """What one process comes to that takes each batch in one turn."""
    folder = tmp_path_factory.mktemp("one")
    return trained(make_job(tiny, folder), folder / "one", None)


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "options"),
    [
        ("cpu", {}),
        (None, {"gradient_accumulation_steps": 2}),
        ("cpu", {"gradient_accumulation_steps": 2, "gradient_checkpointing": True}),
    ],
    ids=["two processes", "two turns", "both, with gradient checkpointing"],
)
def test_the_same_batch_gives_the_same_losses_and_the_same_adapter(
    job: Job, tmp_path: Path, one: Trained, config: str | None, options: dict[str, Any]
) -> None:
    import numpy

    expected, whole = one
    losses, adapter = trained(job, tmp_path / "spread", config, **options)
    assert losses == pytest.approx(expected, rel=1e-4) and losses[-1] < losses[0]
    assert all(numpy.allclose(tensor, whole[name], atol=2e-4) for name, tensor in adapter.items())
    assert any(numpy.abs(tensor).max() > 0.01 for name, tensor in whole.items() if "lora_B" in name)


@pytest.mark.train
@pytest.mark.slow
def test_two_machines_come_to_the_same(job: Job, tmp_path: Path, one: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    config = tmp_path / "nodes.yaml"
    config.write_text((launch.CONFIGS / "cpu.yaml").read_text().replace("num_machines: 1", "num_machines: 2"))
    monkeypatch.setenv("PATH", pretend(tmp_path))
    monkeypatch.setenv("BYHEART_NODES", "localhost 127.0.0.1")
    monkeypatch.setenv("BYHEART_ON_EACH_NODE", str(ROOT / "scripts/on_each_node"))
    expected, whole = one
    losses, adapter = trained(job, tmp_path / "spread", str(config))
    assert losses == pytest.approx(expected, rel=1e-4)
    assert all(numpy.allclose(tensor, whole[name], atol=2e-4) for name, tensor in adapter.items())


@pytest.mark.train
@pytest.mark.slow
def test_bfloat16_goes_with_turns_and_checkpointing(job: Job, tmp_path: Path, one: Trained) -> None:
    turns = {"gradient_accumulation_steps": 2, "gradient_checkpointing": True}
    losses, adapter = trained(job, tmp_path / "narrow", None, precision="bfloat16", **turns)
    assert losses == pytest.approx(one[0], rel=0.1) and losses != one[0]
    assert all(tensor.dtype == "float32" for tensor in adapter.values()), "what is trained keeps its precision"


@pytest.mark.torch
@pytest.mark.parametrize("config", CONFIGS)
def test_accelerate_reads_its_configs(config: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(launch.CONFIGS / f"{config}.yaml"))
    assert found.num_processes in (-1, launch.processes(config)), "-1: as many as there are GPUs"
    kinds = {"ddp": "MULTI_GPU", "nodes": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED"}
    assert kinds.get(config, "") in str(found.distributed_type)


@pytest.mark.parametrize(
    ("accelerate", "objective", "said"),
    [
        ("nowhere", {}, "neither a file nor one of cpu, ddp"),
        ("broken.yaml", {}, "is not a config of accelerate: distributed_type: Field required"),
        ("many.yaml", {}, "num_processes: Input should be a valid integer"),
        ("nodes", {}, "for several machines, and none are named: start the run by scripts/slurm or scripts/nodes"),
        (
            "cpu",
            {"global_batch_size": 3},
            "objective.global_batch_size: 3 rows.* by 2 processes .* take a multiple of 2",
        ),
        (
            "cpu",
            {"global_batch_size": 6, "gradient_accumulation_steps": 2},
            "objective.global_batch_size: 3 rows.* by 2 processes .* take a multiple of 2",
        ),
        (None, {"global_batch_size": 8, "gradient_accumulation_steps": 3}, "3 does not divide the 8 rows"),
        (None, {"load_in_4bit": True}, "4 bits need an NVIDIA GPU"),
        (None, {"load_in_4bit": True, "precision": "float32"}, "not in float32"),
        ("zero3", {}, "needs deepspeed"),
        ("ddp", {}, "and there are 0; without it, training uses all that there are"),
    ],
)
def test_what_does_not_work_together_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerate: str | None, objective: dict[str, Any], said: str
) -> None:
    (tmp_path / "broken.yaml").write_text("hello: 1\n")
    (tmp_path / "many.yaml").write_text("distributed_type: MULTI_GPU\nnum_processes: many\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launch, "gpus", lambda: 0)
    raw = {"name": "r", "model": {"name": "acme/m"}, "task": {"name": "arithmetic"}, "objective": objective}
    with pytest.raises(RecipeError, match=said):
        validation.check(recipe.parse(raw | {"accelerate": accelerate}))


def test_several_machines_run_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    raw: dict[str, Any] = {"name": "r", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "accelerate": "nodes"}
    monkeypatch.setattr(launch, "gpus", lambda: 4)
    monkeypatch.setenv("BYHEART_NODES", "a b c")
    monkeypatch.setenv("BYHEART_ON_EACH_NODE", "srun --overlap --comment='on all'")
    launch.check(recipe.parse(raw | {"objective": {"global_batch_size": 24}}))
    with pytest.raises(RecipeError, match=r"12 processes .* take a multiple of 12"):
        launch.check(recipe.parse(raw | {"objective": {"global_batch_size": 16}}))
    command = launch.command("nodes", Objective.parse("sft"), JOB)
    assert command[:4] == ["srun", "--overlap", "--comment=on all", sys.executable]
    said = dict(pairwise(command))
    assert (said["--num_machines"], said["--num_processes"], said["--main_process_ip"]) == ("3", "12", "a")
    assert said["--rdzv_backend"] == "c10d"
    alone = launch.command("ddp", Objective.parse("sft"), JOB)
    assert alone[0] == sys.executable and "--num_machines" not in alone, "another config stays on this machine"
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    machine.isolate()
    assert launch.environment("nodes")["SLURM_JOB_ID"] == "17", "srun has to know its job"
    assert "SLURM_JOB_ID" not in launch.environment("ddp") and "SLURM_JOB_ID" not in launch.environment(None)


@pytest.mark.parametrize(("found", "batch", "expected"), [(0, 8, 1), (1, 8, 1), (8, 8, 8), (8, 12, 6), (4, 9, 3)])
def test_a_process_for_each_gpu_that_can_share_the_batch(
    monkeypatch: pytest.MonkeyPatch, found: int, batch: int, expected: int
) -> None:
    monkeypatch.setattr(launch, "gpus", lambda: found)
    command = launch.command(None, Objective.parse({"name": "sft", "global_batch_size": batch}), JOB)
    assert command[command.index("--num_processes") + 1] == str(expected)
    assert ("--multi_gpu" in command) is (expected > 1)
    assert ("--cpu" in command) is (found == 0)
    assert ("--config_file" in command) is (found > 0), "which would else be the default one of `accelerate config`"


def test_how_training_is_spread_decides_no_result() -> None:
    raw: dict[str, Any] = {"name": "r", "model": {"name": "m"}, "task": {"name": "arithmetic"}}
    assert recipe.parse(raw).digest() == recipe.parse(raw | {"accelerate": "cpu"}).digest()
