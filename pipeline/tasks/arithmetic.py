"""Sums and products of random numbers: two-digit addition by default, n-digit addition as in STaR (2203.14465).

A sum comes in one order only: where 23 + 27 is drawn, 27 + 23 never is, so no held-out sum was trained on mirrored.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from pipeline import recipe
from pipeline.tasks import splits
from pipeline.types import Problem

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_LISTED = 200_000
"""Up to so many pairs are listed and shuffled, so that none is missed; from more, they are drawn."""
_MISSES = 100_000
"""So many draws in a row that were drawn before: there is next to nothing left."""


class Options(splits.Options):
    """`digits`: how many digits each number has, one count or several, drawn from alike; or `low` and `high`, both
    inclusive. `operations` are drawn from alike. `prompt` may use {a}, {b} and {op}; `chat: false` asks it as plain
    text, for a base model."""

    digits: int | list[int] = 2
    low: int | None = None
    high: int | None = None
    operations: list[Literal["+", "-", "*"]] = Field(default=["+"], min_length=1)
    prompt: str = "What is {a} {op} {b}? Reply with just the number."
    chat: bool = True
    verifier: recipe.choice("verifiers") = Field(default="number", validate_default=True)  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high go together")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if not self.ranges() or any(count < 1 for count in _counts(self.digits)):
            raise ValueError("digits must be one or more, or a list of such numbers")
        splits.check_template(self.prompt, a=1, b=2, op=3)
        return self

    def ranges(self) -> list[tuple[int, int]]:
        """(lowest, highest) number, for each count of digits."""
        if self.low is not None and self.high is not None:
            return [(self.low, self.high)]
        return [(10 ** (count - 1) if count > 1 else 0, 10**count - 1) for count in _counts(self.digits)]


def problems(options: Options, seed: int) -> Iterator[Problem]:
    """Distinct problems in an order that `seed` decides; endless where there are more than can be listed. Of several
    counts of digits each is drawn alike, until there is nothing left of it."""
    rng, turns = random.Random(seed), random.Random(f"{seed} digits")
    seen: set[tuple[str, int, int]] = set()
    streams = [_distinct(options, bounds, rng, seen) for bounds in options.ranges()]
    while streams:
        stream = turns.choice(streams)
        drawn = next(stream, None)
        if drawn is None:
            streams.remove(stream)
            continue
        op, a, b = drawn
        prompt = splits.asked(options.prompt.format(a=a, b=b, op=op), options.chat)
        meta = {"a": a, "b": b, "op": op, "digits": max(len(str(abs(a))), len(str(abs(b))))}
        yield Problem.of(prompt, str(OPERATIONS[op](a, b)), options.verifier.name, meta)


def _distinct(
    options: Options, bounds: tuple[int, int], rng: random.Random, seen: set[tuple[str, int, int]]
) -> Iterator[tuple[str, int, int]]:
    """Operations on numbers within `bounds`, none that was `seen`."""
    low, high = bounds
    size = (high - low + 1) ** 2 * len(options.operations)
    misses = 0
    for op, a, b in (_listed if size <= _LISTED else _drawn)(options, bounds, rng):
        key = (op, a, b) if op == "-" else (op, min(a, b), max(a, b))
        if key in seen:
            misses += 1
            if misses > _MISSES:
                return
        else:
            misses = 0
            seen.add(key)
            yield op, a, b


def _listed(options: Options, bounds: tuple[int, int], rng: random.Random) -> Iterator[tuple[str, int, int]]:
    numbers = range(bounds[0], bounds[1] + 1)
    every = [(op, a, b) for op in options.operations for a in numbers for b in numbers]
    rng.shuffle(every)
    yield from every


def _drawn(options: Options, bounds: tuple[int, int], rng: random.Random) -> Iterator[tuple[str, int, int]]:
    while True:
        low, high = rng.choice([bounds])  # of one: without it, every stream of earlier runs would be another
        yield rng.choice(options.operations), rng.randint(low, high), rng.randint(low, high)


def _counts(digits: int | list[int]) -> list[int]:
    return [digits] if isinstance(digits, int) else digits
