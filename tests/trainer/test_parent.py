"""The train stage: the policy that a real child leaves, with its scorer, and what the run keeps of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from byheart.config import recipe
from byheart.contracts import Job, Objective
from byheart.errors import TrainError
from byheart.executors.core.lazy import Lazy
from byheart.models import machine
from byheart.progress import Progress
from byheart.runs.records import TrainStats
from byheart.runs.run import Run, about
from byheart.runs.stages import Stage
from byheart.trainer import launch
from byheart.trainer.launch import Launcher
from byheart.trainer.parent import read_policy, train
from byheart.types import Dataset, Policy

from tests.fakes import NO_METRICS
from tests.objectives.conftest import write
from tests.objectives.test_step_value import rows as value_rows

pytestmark = [pytest.mark.train, pytest.mark.slow]

PAIRED = {
    "name": "vstar",
    "min_optimizer_steps": 2,
    "max_optimizer_steps": 2,
    "global_batch_size": 4,
    "max_pair_steps": 2,
}


@pytest.fixture
def run(tiny: Path, tmp_path: Path) -> Iterator[Run]:
    raw: dict[str, Any] = {
        "name": "r",
        "model": {"name": str(tiny)},
        "task": {"name": "arithmetic"},
        "curation": {"pairs": 1},
        "objective": PAIRED,
    }
    opened = Run(tmp_path / "r", recipe.parse(raw))
    yield opened
    opened.close()


class Resting(Lazy):
    """An engine that says how often it rested."""

    times = 0

    def sleep(self) -> str:
        self.times += 1
        return "it sleeps"


@pytest.fixture
def engine(run: Run) -> Resting:
    return Resting(run.recipe.executor, run.recipe.engine, run.recipe.model, run.dir / "engine.log")


def work(run: Run, n: int) -> Stage:
    run.round_dir(n).mkdir()
    return Stage(run.dir, run.round_dir(n), n, "train", run.recipe.seed, about(run.recipe))


def trained(stage: Stage, run: Run, dataset: Dataset, policy: Policy, objective: Objective, engine: Resting) -> Policy:
    """What the train stage makes of `policy`."""
    parsed = run.recipe
    return train(stage, dataset, policy, parsed.model, objective, parsed.arguments, parsed.launcher, engine)


def test_a_verifier_is_part_of_the_policy_and_kept_with_it(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = work(run, 1)
    dataset = Dataset(job.dataset, 8, "d", num_pairs=8)
    policy = trained(stage, run, dataset, Policy(run.recipe.model.name), run.recipe.objective, engine)
    assert engine.times == 1 and "the engine releases the GPU's memory; it sleeps" in capsys.readouterr().err
    assert policy.adapter == stage.dir / "adapter" and policy.scorer == stage.dir / "scorer/adapter"
    assert read_policy(stage.dir) == policy
    assert isinstance(stage.stats, TrainStats)
    assert (stage.stats.steps, stage.stats.pair_steps) == (2, 2)
    cards = [(folder / "README.md").read_text() for folder in (policy.adapter, policy.scorer) if folder]
    assert "trained on 8 verified solutions" in cards[0] and "8 pairs of a right and a wrong solution" in cards[1]

    # Its id names both: the same generator with another verifier, or with none, is another policy.
    generator = (stage.dir / "adapter/adapter_model.safetensors").read_bytes()
    assert policy.id != "adapter-" + hashlib.sha256(generator).hexdigest()[:12]

    # The run remembers both, and keeps the merged weights of both for as long as they are its policy.
    run.finish(1, policy, NO_METRICS)
    assert run.policy(1) == policy
    merged = [stage.dir / "merged", stage.dir / "scorer/merged"]
    assert all(folder.is_dir() for folder in merged)
    run.round_dir(2).mkdir()
    run.finish(2, Policy(run.recipe.model.name, run.round_dir(2) / "adapter", "adapter-2"), NO_METRICS)
    assert not any(folder.exists() for folder in merged)


def test_a_child_that_fails_is_said_with_the_end_of_its_log(
    run: Run, job: Job, engine: Resting, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("distributed_type: 'NO'\nuse_cpu: true\nmixed_precision: nonsense\n")
    stage, launcher = work(run, 1), Launcher(str(tmp_path / "config.yaml"), {})
    parsed, policy = run.recipe, Policy(run.recipe.model.name)
    dataset = Dataset(job.dataset, 8, "d")
    with pytest.raises(
        TrainError, match=rf"(?s)failed \(exit code 1\).*{stage.dir}/train\.log, ends:\n.*nonsense"
    ) as error:
        train(stage, dataset, policy, parsed.model, parsed.objective, parsed.arguments, launcher, engine)
    assert (stage.dir / "train.log").read_text().endswith(f"{error.value}".splitlines()[-1] + "\n")
    assert not (stage.dir / "policy.json").exists()


FEW = {"global_batch_size": 4, "min_optimizer_steps": 2, "max_optimizer_steps": 2}
LONG = FEW | {"min_optimizer_steps": 6, "max_optimizer_steps": 6}  # trl logs every five steps


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (
            LONG | {"name": "sft", "learning_rate": 1e6},
            r"is \w+ at step 5 of 6 \(train\); lower objective\.learning_rate",
        ),
        (FEW | {"name": "preference", "pair_learning_rate": 1e9, "pair_epochs": 3}, r"objective\.pair_learning_rate"),
        (FEW | {"name": "vstar", "pair_learning_rate": 1e9, "pair_epochs": 3}, r"objective\.pair_learning_rate"),
        (FEW | {"name": "step_value", "value_learning_rate": 1e9}, r"objective\.value_learning_rate"),
        (FEW | {"name": "sft", "learning_rate": 1e38}, r"lower .*learning.rate"),
    ],
    ids=["rows", "pairs", "pairs of a verifier", "values", "too few steps for a log"],
)
def test_training_that_diverges_is_an_error(
    run: Run, job: Job, engine: Resting, objective: dict[str, Any], said: str
) -> None:
    write(job.steps, value_rows())
    stage, before = work(run, 1), Policy(run.recipe.model.name)
    dataset = Dataset(job.dataset, 8, "d", num_pairs=8, num_stepwise=8)
    with pytest.raises(TrainError, match=rf"(?s)the training diverged: .*{said}.*--redo-from 1") as error:
        trained(stage, run, dataset, before, Objective.parse(objective), engine)
    assert "Traceback" not in str(error.value)
    assert not (stage.dir / "policy.json").exists()


def test_where_the_loss_began_and_ended_is_on_record(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = work(run, 1)
    learnt = Objective.parse({"name": "sft", "global_batch_size": 4, "min_optimizer_steps": 10, "learning_rate": 0.01})
    trained(stage, run, Dataset(job.dataset, 8, "d"), Policy(run.recipe.model.name), learnt, engine)
    stats = stage.stats
    assert isinstance(stats, TrainStats) and stats.first_loss and stats.loss
    assert stats.loss < stats.first_loss and not stats.rose, "it is logged after steps 5 and 10, the last one"
    said = " ".join(capsys.readouterr().err.split())
    assert "10 steps of 4 rows are 5 epochs of 8 rows, not the 2 asked for: objective.min_optimizer_steps" in said


def test_what_a_cluster_and_accelerate_left_behind_changes_no_training(
    run: Run, job: Job, engine: Resting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The default config of accelerate's would be read where there is a GPU, so one is pretended to be there."""
    left = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    left |= {
        "PMI_SIZE": "2",
        "OMPI_COMM_WORLD_SIZE": "2",
        "SLURM_NTASKS": "2",
        "ACCELERATE_MIXED_PRECISION": "nonsense",
    }
    left |= {"ACCELERATE_USE_FSDP": "true", "PET_NPROC_PER_NODE": "2", "HF_HOME": str(tmp_path)}
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    default = tmp_path / "accelerate/default_config.yaml"
    default.parent.mkdir()
    default.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: FSDP\nmixed_precision: nonsense\n")
    monkeypatch.setattr(launch, "gpus", lambda: 1)
    machine.isolate()
    stage = work(run, 1)
    few = Objective.parse(FEW | {"name": "sft"})
    policy = trained(stage, run, Dataset(job.dataset, 8, "d"), Policy(run.recipe.model.name), few, engine)
    assert policy.adapter and stage.trained_seconds > 0
    assert isinstance(stage.stats, TrainStats) and (stage.stats.steps, stage.stats.num_processes) == (2, 1)


class Stopped(Stage):
    """A stage at whose first step the person stops the command."""

    def progress(self, total: int, doing: str, unit: str) -> Progress:
        raise KeyboardInterrupt


def test_a_child_ends_where_the_stage_is_stopped(run: Run, job: Job, engine: Resting) -> None:
    stage = Stopped(**vars(work(run, 1)))
    long = Objective.parse({"name": "sft", "min_optimizer_steps": 1000, "global_batch_size": 4})
    with pytest.raises(KeyboardInterrupt) as stopped:
        trained(stage, run, Dataset(job.dataset, 8, "d"), Policy(run.recipe.model.name), long, engine)
    assert stopped.tb, "and for as long as it is handled, what it went through is not collected"
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert (stage.dir / "job.json").exists() and not [text for text in commands if str(stage.dir) in text]


def test_nothing_is_trained_where_the_control_says_so(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = work(run, 1)
    before = Policy("m", run.dir / "round-000/adapter", "adapter-0", run.dir / "round-000/scorer/adapter")
    policy = trained(stage, run, Dataset(job.dataset, 8, "d"), before, Objective.parse("none"), engine)
    assert policy == before == read_policy(stage.dir)
    assert {path.name for path in stage.dir.iterdir()} == {"policy.json"}
    assert capsys.readouterr().err == ""


def test_without_a_row_the_policy_stays_and_it_says_so(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, before = work(run, 1), Policy("m")
    policy = trained(stage, run, Dataset(job.dataset, 0, "d"), before, run.recipe.objective, engine)
    assert policy == before == read_policy(stage.dir)
    assert "no solution is left to learn from" in " ".join(capsys.readouterr().err.split())
