"""What a recipe asks for must fit together: said in one line, before any model loads."""

from __future__ import annotations

from collections.abc import Iterator

from byheart import curation
from byheart.config import arguments
from byheart.config.recipe import Recipe
from byheart.contracts import OneAnswer, Strategy, Task, Verifier
from byheart.errors import RecipeError
from byheart.evaluation.controls import check_controls
from byheart.models import checkpoint, quantization
from byheart.tasks.core.splits import of_another, source, split
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
        _check_gold(key, recipe.task, verifier)
    for name, task in recipe.evaluation.other_tasks.items():
        with of_another(name):
            service.check(task.verifier, measures=True)
            _check_gold("task.verifier", task, task.verifier)
            task.check(recipe)
    for n in range(1, recipe.num_different + 1):
        scheduled = recipe.at(n)
        if scheduled.task != recipe.task:
            split(source(scheduled.task, recipe.seed), scheduled.task, n)
        _check_context(scheduled, recipe.model.max_context, "model.max_context, {:,}")
        curation.check(scheduled)
        check_controls(scheduled)
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


def _check_gold(key: str, task: Task, verifier: Verifier) -> None:
    """Raises RecipeError where the `verifier` at `key` needs gold answers and `task` has none."""
    if not task.has_gold and verifier.requires_gold():
        raise RecipeError(
            f"{key}: {verifier.name!r} needs gold answers and the task {task.name!r} has none; take one that needs "
            "none, such as consensus"
        )


def check_model(recipe: Recipe) -> None:
    """Raises ModelError where the model of `recipe`, if it is on this machine, can't be sampled from or trained here,
    and RecipeError where its own context can't hold an answer that is asked for."""
    base = checkpoint.find(recipe.model)
    if base is None:
        return
    if recipe.objective.trains:
        quantization.check(base, trained=True)
    if not recipe.executor.remote:
        recipe.engine.check_model(base)
    for n in range(1, recipe.num_different + 1):
        _check_context(recipe.at(n), checkpoint.context_length(base), "the model's own context, {:,}")


def _check_context(recipe: Recipe, context: int, called: str) -> None:
    """Raises RecipeError where a `context` of so many tokens can't hold an answer that is asked for."""
    for key, tokens in _answers(recipe):
        if tokens >= context:
            raise RecipeError(
                f"{key}: an answer of {tokens:,} tokens does not fit {called.format(context)}, which holds the prompt "
                "too; ask for fewer"
            )


def _answers(recipe: Recipe) -> Iterator[tuple[str, int]]:
    """The options that are the most tokens of an answer and are not left at their default, each with its value."""
    others = ((f"also.{name}", asked) for name, asked in recipe.evaluation.also.items())
    for name, asked in (("fast", recipe.evaluation.fast), ("worked", recipe.evaluation.worked), *others):
        if asked.max_tokens != type(asked).model_fields["max_tokens"].default:
            yield f"evaluation.{name}.max_tokens", asked.max_tokens
    for part in recipe.strategy.walk():
        section = "strategy" if part is recipe.strategy else f"strategy: {part.name}"
        for key, value in part:
            field = type(part).model_fields[key]
            if any(isinstance(annotation, OneAnswer) for annotation in field.metadata) and value != field.default:
                yield f"{section}.{key}", value
