"""Just try, again and again: the sampling of STaR (2203.14465) and rejection-sampling fine-tuning (2308.01825).

The budget adapts to the problem: an easy one stops as soon as it has enough different right answers, a hard one goes on
until the cap. (DART, 2407.13690, calls this uniform synthesis.)
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from byheart import recipe
from byheart.errors import RecipeError
from byheart.recipe import Recipe
from byheart.strategies.asking import put, template
from byheart.types import Generate, Problem, Prompt, Rollout, Solver, Verify
from byheart.wording import normalised

Temperature = Annotated[float, Field(ge=0)]


class Options(recipe.Choice):
    """`samples` are asked for at a time, until `enough` distinct right ones are there or `max_samples` are spent; with
    `patience`, also where so many times in a row none of them was new and right.
    `prompt` puts the problem, {problem}, to the teacher: "{problem}\\nThink step by step."; nobody is trained on it.

    Of a list of temperatures, the sample stage takes the one that does best on the first `num_tuning` problems of the
    round (tuning.py); anywhere else, as in a part of a mixture, the first one is taken."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    samples: int = Field(default=8, ge=1)
    enough: int = Field(default=4, ge=1)
    max_samples: int = Field(default=8, ge=1)
    patience: int | None = Field(default=None, ge=1)
    temperature: Temperature | Annotated[list[Temperature], Field(min_length=1)] = 1.0
    num_tuning: int = Field(default=32, ge=1)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1)


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the tokens of a round are limited and finding its temperature would spend them."""
    if recipe.sample_tokens is not None and isinstance(recipe.strategy.temperature, list):
        raise RecipeError(
            "strategy: to find the best of several temperatures costs more than sample_tokens allows; name one "
            "temperature, or drop sample_tokens"
        )


def solve(problem: Problem, options: Options) -> Solver:
    return (yield from tries(problem, put(problem.prompt, options.prompt), options))


def tries(problem: Problem, prompt: Prompt, options: Options, stop: tuple[str, ...] = ()) -> Solver:
    """Try, as `options` say, on what the teacher is asked in `prompt`."""
    warm = options.temperature
    rollouts: list[Rollout] = []
    right: set[str] = set()
    in_vain = 0
    while len(rollouts) < options.max_samples and len(right) < options.enough and in_vain != options.patience:
        [completions] = yield [
            Generate(
                prompt,
                n=min(options.samples, options.max_samples - len(rollouts)),
                temperature=warm[0] if isinstance(warm, list) else warm,
                top_p=options.top_p,
                max_tokens=options.max_tokens,
                stop=stop,
            )
        ]
        [verdicts] = yield [Verify(problem, [completion.text for completion in completions])]
        known = len(right)
        for completion, verdict in zip(completions, verdicts, strict=True):
            rollouts.append(Rollout.of(problem, completion, options.name))
            if verdict.correct and completion.finish_reason == "stop":
                right.add(normalised(completion.text))
        in_vain = in_vain + 1 if len(right) == known else 0
    return rollouts
