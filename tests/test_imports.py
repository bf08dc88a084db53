"""What importing byheart costs, and what it offers."""

import json
import subprocess
import sys

import byheart
import pytest

from tests.conftest import ROOT

HEAVY = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "vllm",
    "accelerate",
    "datasets",
    "scipy",
    "pyarrow",
    "matplotlib",
    "bm25s",
}
PUBLIC = {
    "ByheartError",
    "Completion",
    "Engine",
    "Executor",
    "Generate",
    "Job",
    "Judgement",
    "Member",
    "Objective",
    "Parallel",
    "Policy",
    "Problem",
    "Problems",
    "ProcessVerifier",
    "PromptError",
    "Recipe",
    "RecipeError",
    "RecordTree",
    "Retrieve",
    "Rollout",
    "RolloutGroup",
    "Score",
    "Session",
    "Step",
    "Strategy",
    "Task",
    "TaskError",
    "Verdict",
    "Verifier",
    "Verify",
    "Workers",
    "named",
    "read_recipe",
    "replace",
    "run",
}


def loaded(code: str) -> set[str]:
    """The top-level modules in a fresh process after `code`."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", ["byheart", "byheart.cli"])
def test_importing_byheart_loads_nothing_heavy(module: str) -> None:
    found = loaded(f"import {module}")
    assert "byheart" in found
    assert found & HEAVY == set()


def test_checking_a_recipe_and_finding_every_key_loads_no_model_library() -> None:
    found = loaded(
        "from pathlib import Path\n"
        "from byheart.config import recipe\nfrom byheart.plugins import registry\n"
        "recipe.read(Path('recipes/addition.yaml'))\n"
        "for family in ('tasks', 'engines', 'executors', 'strategies', 'verifiers', 'objectives'):\n"
        "    for key in registry.known(family): registry.resolve(family, key)"
    )
    assert found & {"torch", "transformers", "trl", "peft", "vllm", "accelerate", "datasets"} == set()


def test_the_public_names_are_these() -> None:
    assert set(byheart.__all__) == PUBLIC
    assert sorted(byheart.__all__) == byheart.__all__
    assert [name for name in PUBLIC if not hasattr(byheart, name)] == []
