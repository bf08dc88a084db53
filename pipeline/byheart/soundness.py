"""What a recipe asks for must fit together: said in one line, before any model loads."""

from __future__ import annotations

from byheart import curation, models, registry
from byheart.objectives import launch
from byheart.recipe import Recipe
from byheart.tasks.splits import source, split
from byheart.verifiers import judge
from byheart.verifiers.tags import module, tree


def check(recipe: Recipe) -> None:
    """Raises RecipeError where parts of `recipe` don't go together in some round, or can't work on this machine;
    ModelError where its adapter can't be had; and TaskError where a later round, which the schedule gives other
    problems, would have too few.

    A strategy, an objective or an engine says what it needs of the rest in an optional function `check(recipe)` of its
    module; a strategy that is a part of another is asked with itself as the recipe's.
    """
    if recipe.model.adapter:
        models.adapter(recipe.model)
    judge.check(recipe.task.verifier, measures=True)
    judge.check(recipe.judge)
    for n in range(1, recipe.num_different + 1):
        one = recipe.at(n)
        if one.task != recipe.task:
            split(source(one.task, recipe.seed), one.task, n)
        curation.check(one)
        launch.check(one)
        for part in (one.objective, one.engine):
            getattr(module(part), "check", lambda _: None)(one)
        for part in tree(one.strategy):
            if part.name in registry.known("strategies"):  # and not a verifier that a strategy asks
                getattr(module(part), "check", lambda _: None)(one.model_copy(update={"strategy": part}))
