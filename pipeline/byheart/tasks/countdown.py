"""Countdown: make the target out of all the numbers, each used once; by reasoning-gym's generator, endless."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from byheart import recipe
from byheart.tasks import reasoning_gym, splits
from byheart.types import Problem


class Options(splits.Options):
    """How many numbers, how big they are, and how big the target is; all bounds are inclusive."""

    min_numbers: int = Field(default=3, ge=2)
    max_numbers: int = Field(default=4, ge=2)
    min_value: int = Field(default=1, ge=1)
    max_value: int = Field(default=20, ge=1)
    min_target: int = Field(default=1, ge=1)
    max_target: int = Field(default=100, ge=1)
    prompt: str = "{problem}\n\nGive the final answer between <answer> and </answer>."
    chat: bool = True
    verifier: recipe.choice("verifiers") = Field(default="procedural", validate_default=True)  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _sound(self) -> Options:
        self.generator()
        return self

    def generator(self) -> reasoning_gym.Options:
        own = {"min_numbers", "max_numbers", "min_value", "max_value", "min_target", "max_target"}
        rest = self.model_dump(include={"num_train", "num_dev", "num_held_out", "prompt", "chat", "verifier"})
        return reasoning_gym.Options(
            **rest | {"name": "countdown", "dataset": "countdown", "config": self.model_dump(include=own)}
        )


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return reasoning_gym.problems(options.generator(), seed)
