"""The times tables, the seed of the whole idea: 7 times 8 is worked out once, and later 56 is just there.

7 times 8 and 8 times 7 are two facts here, as in a child's book: one may be trained on while the other is held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import Field, field_validator

from byheart import recipe
from byheart.tasks import splits
from byheart.types import Problem


class Options(splits.Options):
    """Facts a times b with both in `low`..`high`. `prompt` may use {a} and {b}; `chat: false` asks as plain text."""

    low: int = Field(default=2, ge=0)
    high: int = Field(default=12, ge=0)
    prompt: str = "What is {a} times {b}? Reply with just the number."
    chat: bool = True
    verifier: recipe.choice("verifiers") = Field(default="number", validate_default=True)  # type: ignore[valid-type]

    @field_validator("prompt")
    @classmethod
    def _sound(cls, template: str) -> str:
        splits.check_template(template, a=1, b=2)
        return template


def problems(options: Options, seed: int) -> Iterator[Problem]:
    """Every fact once, in an order that `seed` decides."""
    numbers = range(options.low, options.high + 1)
    facts = [(a, b) for a in numbers for b in numbers]
    random.Random(seed).shuffle(facts)
    for a, b in facts:
        prompt = splits.asked(options.prompt.format(a=a, b=b), options.chat)
        yield Problem.of(prompt, str(a * b), options.verifier.name, {"a": a, "b": b})
