"""Just try, again and again: the sampling of STaR (2203.14465) and rejection-sampling fine-tuning (2308.01825).

The budget adapts to the problem: an easy one stops as soon as it has enough different right answers, a hard one goes on
until the cap. (DART, 2407.13690, calls this uniform synthesis.)
"""

from __future__ import annotations

from pydantic import Field

from pipeline import recipe
from pipeline.strategies.asking import put, template
from pipeline.types import Generate, Problem, Rollout, Solver, Verify


class Options(recipe.Choice):
    """`samples` are asked for at a time, until `enough` distinct right ones are there or `max_samples` are spent.
    `prompt` puts the problem, {problem}, to the teacher: "{problem}\\nThink step by step."; nobody is trained on it."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    samples: int = Field(default=8, ge=1)
    enough: int = Field(default=4, ge=1)
    max_samples: int = Field(default=8, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=256, ge=1)


def solve(problem: Problem, options: Options) -> Solver:
    rollouts: list[Rollout] = []
    right: set[str] = set()
    while len(rollouts) < options.max_samples and len(right) < options.enough:
        [completions] = yield [
            Generate(
                put(problem.prompt, options.prompt),
                n=min(options.samples, options.max_samples - len(rollouts)),
                temperature=options.temperature,
                top_p=options.top_p,
                max_tokens=options.max_tokens,
            )
        ]
        [verdicts] = yield [Verify(problem, [completion.text for completion in completions])]
        for completion, verdict in zip(completions, verdicts, strict=True):
            rollouts.append(Rollout.of(problem, completion, options.name))
            if verdict.correct and completion.finish_reason == "stop":
                right.add(" ".join(completion.text.casefold().split()))
    return rollouts
