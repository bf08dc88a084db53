"""byheart: language models that learn by heart what they first had to work out.

The loop is in byheart/loop.py, the nouns in byheart/types.py, and what a plugin has to be in byheart/contracts. The
names below are public, and imported when they are first asked for, so that `byheart --help` need not wait for them.

    import byheart
    from pathlib import Path

    if __name__ == "__main__":
        recipe = byheart.read_recipe("addition", ["task.num_train=100"])
        byheart.run(recipe, Path("runs/mine"), rounds=1)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe
    from byheart.config.shipped import read_recipe
    from byheart.contracts import (
        Engine,
        Executor,
        Job,
        Objective,
        ProcessVerifier,
        Session,
        Strategy,
        Task,
        Verifier,
        Workers,
    )
    from byheart.errors import ByheartError, PromptError, RecipeError, TaskError
    from byheart.loop import run
    from byheart.plugins.plugin import Member, named
    from byheart.types import (
        Completion,
        Generate,
        Judgement,
        Parallel,
        Policy,
        Problem,
        Problems,
        RecordTree,
        Retrieve,
        Rollout,
        RolloutGroup,
        Score,
        Step,
        Verdict,
        Verify,
        replace,
    )

__version__ = "0.1.0"

STAGES = ("load", "baseline", "sample", "verify", "curate", "controls", "train", "evaluate")
"""The stages of a round, in their order."""

_HOMES = {
    "config.recipe": ("Recipe",),
    "config.shipped": ("read_recipe",),
    "contracts": (
        "Engine",
        "Executor",
        "Job",
        "Objective",
        "ProcessVerifier",
        "Session",
        "Strategy",
        "Task",
        "Verifier",
        "Workers",
    ),
    "errors": ("ByheartError", "PromptError", "RecipeError", "TaskError"),
    "loop": ("run",),
    "plugins.plugin": ("Member", "named"),
    "types": (
        "Completion",
        "Generate",
        "Judgement",
        "Parallel",
        "Policy",
        "Problem",
        "Problems",
        "RecordTree",
        "Retrieve",
        "Rollout",
        "RolloutGroup",
        "Score",
        "Step",
        "Verdict",
        "Verify",
        "replace",
    ),
}
"""Module -> the names that are imported from it when they are first asked for."""

__all__ = [
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
]


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'byheart' has no attribute {name!r}")
    return getattr(import_module(f"byheart.{home}"), name)
