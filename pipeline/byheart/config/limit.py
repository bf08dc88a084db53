"""A first look: a recipe whose every stage takes a few problems only, to see it through before a night's run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from byheart.contracts import Task

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


def limited(recipe: Recipe, most: int) -> Recipe:
    """`recipe` with at most `most` problems in each split, in each measure and in each other task that is measured. Its
    objective trains on any number of rows, for no more steps than they take, so that every stage runs."""
    evaluation = recipe.evaluation
    also = {
        name: asked.model_copy(update={"task": _with_fewer(asked.task, most)})
        for name, asked in evaluation.also.items()
    }
    measures = {
        "num_slow": min(evaluation.num_slow, most),
        "num_train": min(evaluation.num_train, most),
        "also": also,
    }
    return recipe.model_copy(
        update={
            "task": _with_fewer(recipe.task, most),
            "evaluation": evaluation.model_copy(update=measures),
            "objective": recipe.objective.on_any_rows(),
        }
    )


def _with_fewer(task: Task, most: int) -> Task:
    sizes = {"num_train": task.num_train, "num_dev": task.num_dev, "num_held_out": task.num_held_out}
    return task.model_copy(update={name: min(size, most) for name, size in sizes.items()})
