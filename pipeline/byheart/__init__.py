"""byheart: language models that learn by heart what they first had to work out.

The loop is in byheart/loop.py; the nouns are in byheart/types.py. The names below are public, and imported when they
are first asked for, so that `byheart --help` need not wait for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from byheart.errors import ByheartError
    from byheart.recipe import Recipe
    from byheart.types import Attempts, Completion, Generate, Policy, Problem, Problems, Rollout, Step, Verdict, Verify

__version__ = "0.1.0"
__all__ = [
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
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        home = {"ByheartError": "errors", "Recipe": "recipe"}.get(name, "types")
        return getattr(import_module(f"byheart.{home}"), name)
    raise AttributeError(f"module 'byheart' has no attribute {name!r}")
