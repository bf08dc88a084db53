"""What importing byheart costs, and what it offers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

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
    "Attempts",
    "ByheartError",
    "Completion",
    "Generate",
    "Policy",
    "Problem",
    "Problems",
    "Recipe",
    "Rollout",
    "Step",
    "Verdict",
    "Verify",
}


def loaded(code: str) -> set[str]:
    """The top-level modules in a fresh process after `code`."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(pipeline.__file__).parent.parent,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("module", ["pipeline", "pipeline.cli"])
def test_importing_byheart_loads_nothing_heavy(module: str) -> None:
    found = loaded(f"import {module}")
    assert "pipeline" in found
    assert found & HEAVY == set()


def test_checking_a_recipe_and_finding_every_key_loads_no_model_library() -> None:
    found = loaded(
        "from pathlib import Path\n"
        "from pipeline import recipe, registry\n"
        "recipe.read(Path('recipes/addition.yaml'))\n"
        "for family in ('tasks', 'engines', 'strategies', 'verifiers', 'objectives'):\n"
        "    for key in registry.known(family): registry.resolve(family, key)"
    )
    assert found & {"torch", "transformers", "trl", "peft", "vllm", "accelerate", "datasets"} == set()


def test_the_public_names_are_these() -> None:
    assert set(pipeline.__all__) == PUBLIC
    assert sorted(pipeline.__all__) == pipeline.__all__
    assert [name for name in PUBLIC if not hasattr(pipeline, name)] == []
