"""What a recipe asks for must fit together: said in one line, before any model loads."""

from __future__ import annotations

import sys

from pipeline import registry
from pipeline.recipe import Recipe
from pipeline.verifiers import judge


def check(recipe: Recipe) -> None:
    """Raises RecipeError where parts of `recipe` don't go together in some round, or can't work on this machine.

    A strategy or an objective says what it needs of the rest in an optional function `check(recipe)` of its module.
    """
    judge.check(recipe.task.verifier, measures=True)
    judge.check(recipe.judge)
    for n in range(1, max(map(len, recipe.schedule.values()), default=1) + 1):
        one = recipe.at(n)
        for family, options in (("strategies", one.strategy), ("objectives", one.objective)):
            module = sys.modules[registry.resolve(family, options.name).__module__]
            getattr(module, "check", lambda _: None)(one)
