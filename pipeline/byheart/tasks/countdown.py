"""Countdown: reach the target with all the numbers, each used once; by reasoning-gym's generator, endless."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.contracts import Task, Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks import reasoning_gym
from byheart.types import Problem


class Countdown(Task):
    """An expression of given numbers that has a given value; every right expression counts."""

    min_numbers: int = Field(default=3, ge=2, description="fewest numbers of a problem")
    max_numbers: int = Field(default=4, ge=2, description="most numbers of a problem")
    min_value: int = Field(default=1, ge=1, description="smallest number, inclusive")
    max_value: int = Field(default=20, ge=1, description="largest number, inclusive")
    min_target: int = Field(default=1, ge=1, description="smallest target, inclusive")
    max_target: int = Field(default=100, ge=1, description="largest target, inclusive")
    prompt: str = Field(
        default="{problem}\n\nGive the final answer between <answer> and </answer>.",
        description="template of the prompt: may use {problem}; every other brace is doubled",
    )
    chat: bool = Field(default=True, description="ask as a chat message; false: as plain text, for a base model")
    verifier: Member[Verifier] = named("procedural", "judges solutions; it measures every policy")

    @model_validator(mode="after")
    def _sound(self) -> Countdown:
        self._generator()
        return self

    def _generator(self) -> reasoning_gym.ReasoningGym:
        own = {"min_numbers", "max_numbers", "min_value", "max_value", "min_target", "max_target"}
        rest = self.model_dump(include={"num_train", "num_dev", "num_held_out", "prompt", "chat", "verifier"})
        return reasoning_gym.ReasoningGym(
            **rest | {"name": "countdown", "dataset": "countdown", "config": self.model_dump(include=own)}
        )

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._generator().problems(seed)
