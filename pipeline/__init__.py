"""byheart: language models that learn by heart what they first had to work out.

The loop is in pipeline/loop.py; the nouns are in pipeline/types.py. Importing this package imports neither torch nor
vllm.
"""

from pipeline.errors import ByheartError
from pipeline.recipe import Recipe
from pipeline.types import Attempts, Completion, Generate, Policy, Problem, Problems, Rollout, Step, Verdict, Verify

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
