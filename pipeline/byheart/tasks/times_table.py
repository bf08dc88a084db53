"""The times tables, the idea behind byheart: 7 times 8 is worked out once, and later 56 is known by heart.

7 times 8 and 8 times 7 are two facts here: one may be trained on while the other is held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import Field, field_validator
from typing_extensions import override

from byheart.contracts import Task, Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import splits
from byheart.types import Problem


class TimesTable(Task):
    """Facts a times b."""

    low: int = Field(default=2, ge=0, description="smallest factor, inclusive")
    high: int = Field(default=12, ge=0, description="largest factor, inclusive")
    prompt: str = Field(
        default="What is {a} times {b}? Reply with just the number.",
        description="template of the prompt: may use {a} and {b}; every other brace is doubled",
    )
    chat: bool = Field(default=True, description="ask as a chat message; false: as plain text, for a base model")
    verifier: Member[Verifier] = named("number", "judges solutions; it measures every policy")

    @field_validator("prompt")
    @classmethod
    def _sound(cls, template: str) -> str:
        splits.check_template(template, a=1, b=2)
        return template

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        """Every fact once, in an order that `seed` decides."""
        numbers = range(self.low, self.high + 1)
        facts = [(a, b) for a in numbers for b in numbers]
        random.Random(seed).shuffle(facts)
        for a, b in facts:
            prompt = splits.as_prompt(self.prompt.format(a=a, b=b), self.chat)
            solution = {"solution": f"{a} * {b} = {a * b}"} if self.chat else {}  # plain text may have begun it itself
            yield Problem.of(prompt, str(a * b), self.verifier.name, {"a": a, "b": b} | solution)
