"""What a recipe asks for must fit together: said in one line, before any model loads."""

from __future__ import annotations

from byheart import curation
from byheart.config import arguments
from byheart.config.recipe import Recipe
from byheart.contracts import Strategy
from byheart.errors import RecipeError
from byheart.models import checkpoint
from byheart.tasks.core.splits import source, split
from byheart.trainer import launch
from byheart.verifiers.core import service


def check(recipe: Recipe) -> None:
    """Raises RecipeError where parts of `recipe` don't go together in some round, or can't work on this machine;
    ModelError where its adapter can't be had; and TaskError where a later round, which the schedule gives other
    problems, would have too few. Every plugin in it is asked by its `check`, those that are parts of others too."""
    arguments.check(recipe)
    if recipe.model.adapter:
        checkpoint.adapter(recipe.model)
    service.check(recipe.task.verifier, measures=True)
    service.check(recipe.train_verifier)
    for key, verifier in (("verifier", recipe.train_verifier), ("task.verifier", recipe.task.verifier)):
        if not recipe.task.has_gold and verifier.requires_gold():
            raise RecipeError(
                f"{key}: {verifier.name!r} needs gold answers and the task {recipe.task.name!r} has none; take one "
                "that needs none, such as consensus"
            )
    for n in range(1, recipe.num_different + 1):
        scheduled = recipe.at(n)
        if scheduled.task != recipe.task:
            split(source(scheduled.task, recipe.seed), scheduled.task, n)
        curation.check(scheduled)
        launch.check(scheduled)
        if scheduled.objective.needs_pairs and scheduled.curation.pairs == 0:
            raise RecipeError(
                f"the objective {scheduled.objective.name} learns from pairs: curation.pairs has to be above 0"
            )
        scheduled.task.check(scheduled)
        scheduled.objective.check(scheduled)
        scheduled.engine.check(scheduled)
        scheduled.executor.check(scheduled)
        for part in scheduled.strategy.walk():
            if isinstance(part, Strategy):  # and not a verifier that a strategy asks
                part.check(scheduled)
