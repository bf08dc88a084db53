"""The train stage: the policy that a real child leaves, with its scorer, and what the run keeps of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from byheart import recipe
from byheart.engines import Lazy
from byheart.objectives.training import Job, read_policy, train
from byheart.run import Run, Stage
from byheart.types import Dataset, Policy

pytestmark = [pytest.mark.train, pytest.mark.slow]

PAIRED = {"name": "vstar", "min_steps": 2, "max_steps": 2, "batch_size": 4, "max_pair_steps": 2}


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

    def rest(self) -> str:
        self.times += 1
        return "it sleeps"


@pytest.fixture
def engine(run: Run) -> Resting:
    return Resting(run.recipe.engine, run.recipe.model, run.dir / "engine.log")


def work(run: Run, n: int) -> Stage:
    run.round_dir(n).mkdir()
    return Stage(run, n, "train")


def test_a_verifier_is_part_of_the_policy_and_kept_with_it(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = work(run, 1)
    dataset = Dataset(job.dataset, 8, "d", num_pairs=8)
    policy = train(stage, dataset, Policy(run.recipe.model.name), run.recipe.objective, engine)
    assert engine.times == 1 and "the engine hands the GPU's memory over; it sleeps" in capsys.readouterr().err
    assert policy.adapter == stage.dir / "adapter" and policy.scorer == stage.dir / "scorer/adapter"
    assert read_policy(stage.dir) == policy
    assert (stage.notes["steps"], stage.notes["pair_steps"]) == (2, 2)
    cards = [(folder / "README.md").read_text() for folder in (policy.adapter, policy.scorer) if folder]
    assert "trained on 8 solutions" in cards[0] and "8 pairs of a right and a wrong solution" in cards[1]

    # Its id names both: the same generator with another verifier, or with none, is another policy.
    generator = (stage.dir / "adapter/adapter_model.safetensors").read_bytes()
    assert policy.id != "adapter-" + hashlib.sha256(generator).hexdigest()[:12]

    # The run remembers both, and keeps the merged weights of both for as long as they are its policy.
    run.finish(1, policy, {})
    assert run.policy(1) == policy
    merged = [stage.dir / "merged", stage.dir / "scorer/merged"]
    assert all(folder.is_dir() for folder in merged)
    run.round_dir(2).mkdir()
    run.finish(2, Policy(run.recipe.model.name, run.round_dir(2) / "adapter", "adapter-2"), {})
    assert not any(folder.exists() for folder in merged)


def test_nothing_is_trained_where_the_control_says_so(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = work(run, 1)
    kept = Policy("m", run.dir / "round-000/adapter", "adapter-0", run.dir / "round-000/scorer/adapter")
    policy = train(stage, Dataset(job.dataset, 8, "d"), kept, recipe.chosen("objectives", "none"), engine)
    assert policy == kept == read_policy(stage.dir)
    assert {path.name for path in stage.dir.iterdir()} == {"policy.json"}
    assert capsys.readouterr().err == ""


def test_without_a_row_the_policy_stays_and_it_says_so(
    run: Run, job: Job, engine: Resting, capsys: pytest.CaptureFixture[str]
) -> None:
    stage, kept = work(run, 1), Policy("m")
    assert (
        train(stage, Dataset(job.dataset, 0, "d"), kept, run.recipe.objective, engine) == kept == read_policy(stage.dir)
    )
    assert "no solution is left to learn from" in " ".join(capsys.readouterr().err.split())
