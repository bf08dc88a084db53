"""Independent samples: the sampling of STaR (2203.14465) and rejection-sampling fine-tuning (2308.01825).

The budget adapts to the problem: an easy one stops as soon as it has enough different right answers, a hard one goes on
until the cap. (DART, 2407.13690, calls this uniform synthesis.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Budget, Strategy, Tuning
from byheart.errors import RecipeError
from byheart.strategies.core.prompting import put, template
from byheart.text import normalised
from byheart.types import Generate, Problem, Prompt, Rollout, Solver, Verify

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe

Temperature = Annotated[float, Field(ge=0)]


class Direct(Strategy):
    """Samples a problem in batches until it has enough distinct right answers. Of a list of temperatures, the sample
    stage takes the best for the round (tuning.py); elsewhere, as in a part of a mixture, the first is taken."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}",
        description="prompt for the teacher, such as '{problem} Think step by step.'; never trained on",
    )
    samples: int = Field(
        default=8, ge=1, description="samples per batch; the problem's verdicts decide on another batch"
    )
    enough: int = Field(default=4, ge=1, description="distinct right samples at which a problem is done")
    max_samples: int = Field(default=8, ge=1, description="most samples per problem")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="stop after this many batches in a row with nothing new and right; default: never",
    )
    temperature: Temperature | Annotated[list[Temperature], Field(min_length=1)] = Field(
        default=1.0, description="sampling temperature, 0 is greedy; of a list, each round takes the best"
    )
    num_tuning: int = Field(
        default=32, ge=1, description="problems per round on which several temperatures are compared"
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description="nucleus sampling: probability mass to sample from")
    max_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a sample")

    @override
    def check(self, recipe: Recipe) -> None:
        if recipe.sample_tokens is not None and isinstance(self.temperature, list):
            raise RecipeError(
                "strategy: to find the best of several temperatures costs more than sample_tokens allows; name one "
                "temperature, or drop sample_tokens"
            )

    @override
    def budget(self) -> Budget:
        return Budget(min(self.samples, self.max_samples), self.max_samples, self.max_tokens)

    @override
    def tuning(self) -> Tuning | None:
        if not isinstance(self.temperature, list):
            return None
        candidates = {value: self.model_copy(update={"temperature": value}) for value in self.temperature}
        return Tuning(candidates, self.num_tuning, self.enough)

    @override
    def solve(self, problem: Problem) -> Solver:
        return (yield from sample_until_enough(problem, put(problem.prompt, self.prompt), self))


def sample_until_enough(problem: Problem, prompt: Prompt, options: Direct, stop: tuple[str, ...] = ()) -> Solver:
    """Sample the teacher's `prompt` in batches, as `options` say; a sample ends before the first of `stop`."""
    temperature = options.temperature
    rollouts: list[Rollout] = []
    right: set[str] = set()
    misses = 0
    while len(rollouts) < options.max_samples and len(right) < options.enough and misses != options.patience:
        [completions] = yield [
            Generate(
                prompt,
                n=min(options.samples, options.max_samples - len(rollouts)),
                temperature=temperature[0] if isinstance(temperature, list) else temperature,
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
        misses = misses + 1 if len(right) == known else 0
    return rollouts
