"""A path in a recipe is looked for beside the recipe's file, then in the working directory, whatever it leads to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.errors import ByheartError, ModelError, RecipeError, TaskError
from byheart.models import checkpoint
from byheart.plugins.plugin import SHIPPED
from byheart.runs.run import Run, changes, identity
from byheart.tasks.core.splits import source
from byheart.text import text_of
from byheart.trainer import launch
from byheart.types import Generate

from tests.models import directories

RECIPE = """
name: mine
model: {name: models/llama}
accelerate: two.yaml
task: {name: file, path: data/rows.jsonl, verifier: number, num_train: 1, num_dev: 1, num_held_out: 1}
engine: {name: scripted, script: script.json}
executor: ray
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a recipe `mine.yaml` with all that it names; the working directory is another one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    found = tmp_path / "mine"
    found.mkdir()
    (found / "mine.yaml").write_text(RECIPE)
    lay(found, "beside")
    return found


def lay(folder: Path, says: str) -> None:
    """What RECIPE names, telling where it is from."""
    for name in ("data", "models/llama"):
        (folder / name).mkdir(parents=True)
    rows = [{"prompt": f"{says} {n}", "answer": n} for n in range(3)]
    (folder / "data/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "models/llama/config.json").write_text(json.dumps({"max_position_embeddings": len(says)}))
    (folder / "models/llama/model.safetensors").write_bytes(directories.weights())
    (folder / "two.yaml").write_text(f"distributed_type: NO\nnum_processes: {len(says)}\n")
    (folder / "script.json").write_text(json.dumps({"?": [says]}))


def found(one: Recipe) -> dict[str, str | int]:
    """What the paths of `one` lead to."""
    model, config = checkpoint.find(one.model), launch.configured(one)
    assert model and config
    engine = one.engine.start(model, one.model, Path("log"))
    engine.submit(Generate("?"))
    [(_, [answer])] = engine.poll()
    [problem, *_] = source(one.task, one.seed)
    return {
        "model": checkpoint.context_length(model),
        "accelerate": launch.processes(config),
        "task": text_of(problem.prompt).split()[0],
        "engine": answer.text,
    }


BESIDE = {"model": 6, "accelerate": 6, "task": "beside", "engine": "beside"}
ELSEWHERE = {"model": 9, "accelerate": 9, "task": "elsewhere", "engine": "elsewhere"}


def test_all_paths_are_found_beside_the_recipe(folder: Path) -> None:
    assert found(recipe.read(folder / "mine.yaml")) == BESIDE


def check(asked: Recipe) -> None:
    asked.objective.check(asked)


def test_the_file_of_an_objective_is_found_there_too(folder: Path) -> None:
    text = RECIPE + "objective: {name: step_value, stepwise: more.jsonl}\nevaluation: {samples: 4}\n"
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"looked for .*mine/more\.jsonl and .*elsewhere/more\.jsonl"):
        check(recipe.read(folder / "mine.yaml"))
    (folder / "more.jsonl").touch()
    check(recipe.read(folder / "mine.yaml"))


def test_also_where_the_recipe_is_named_by_a_relative_path_and_the_working_directory_changes_afterwards(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = recipe.read(Path("../mine/mine.yaml"))
    monkeypatch.chdir("/")
    assert found(one) == BESIDE


def test_they_are_found_in_the_working_directory(folder: Path) -> None:
    lay(Path.cwd(), "elsewhere")
    alone = folder.parent / "alone"
    alone.mkdir()
    (folder / "mine.yaml").rename(alone / "mine.yaml")
    assert found(recipe.read(alone / "mine.yaml")) == ELSEWHERE


def test_beside_the_recipe_comes_first(folder: Path) -> None:
    lay(Path.cwd(), "elsewhere")
    assert found(recipe.read(folder / "mine.yaml")) == BESIDE


def test_so_does_what_the_command_line_says(folder: Path) -> None:
    (folder / "data/rows.jsonl").rename(folder / "other.jsonl")
    [problem, *_] = source(recipe.read(folder / "mine.yaml", ["task.path=other.jsonl"]).task, 0)
    assert "beside" in str(problem.prompt)


def test_a_round_of_a_schedule_finds_them_as_well(folder: Path) -> None:
    one = recipe.read(folder / "mine.yaml", ["schedule={curation.keep: [1, 2]}"])
    assert found(one.at(2)) == BESIDE


def test_what_is_recorded_and_what_decides_is_the_path_as_written(folder: Path, tmp_path: Path) -> None:
    one = recipe.read(folder / "mine.yaml")
    moved = folder.rename(tmp_path / "moved")
    again = recipe.read(moved / "mine.yaml")
    assert one.resolved()["task"]["path"] == "data/rows.jsonl"
    assert one.digest() == again.digest() and identity(one.task) == identity(again.task)
    Run(tmp_path / "run", one).close()
    assert str(tmp_path) not in (tmp_path / "run/recipe.yaml").read_text()
    assert changes(tmp_path / "run", again) == []
    Run(tmp_path / "run", again).close()


def test_every_shipped_recipe_has_its_data_wherever_it_is_run(folder: Path) -> None:
    with_data = [path for path in SHIPPED.glob("*.yaml") if "name: file" in path.read_text()]
    found = {path.stem: len(list(source(recipe.read(path).task, 0))) for path in with_data}
    assert found == {"self_ask": 24}


ERRORS: dict[str, tuple[str, type[ByheartError], Callable[[Recipe], object], str]] = {
    "task": ("task.path", TaskError, lambda one: list(source(one.task, 0)), "task.path: no file no/such.thing"),
    "accelerate": (
        "accelerate",
        RecipeError,
        launch.check,
        "accelerate: no/such.thing is neither a file nor one of cpu",
    ),
    "model": ("model.name", ModelError, lambda one: checkpoint.find(one.model), "no/such.thing/at/all"),
}


@pytest.mark.parametrize("what", ERRORS)
def test_what_is_in_neither_is_an_error_that_names_both(folder: Path, what: str) -> None:
    key, kind, use, words = ERRORS[what]
    name = "no/such.thing/at/all" if what == "model" else "no/such.thing"  # two parts could be a hub's
    one = recipe.read(folder / "mine.yaml", [f"{key}={name}"])
    with pytest.raises(kind) as said:
        use(one)
    assert words in str(said.value)
    assert f"looked for {folder / name} and {Path.cwd() / name}" in str(said.value)


@pytest.mark.parametrize("name", ["m:\n- ", "\n\nx", "a\nb/c\nd/e"])
def test_a_line_break_in_a_name_breaks_no_message(folder: Path, name: str) -> None:
    with pytest.raises(ModelError, match="looked for") as raised:
        checkpoint.find(checkpoint.ModelOptions(name=name))
    assert "\n" not in str(raised.value)
