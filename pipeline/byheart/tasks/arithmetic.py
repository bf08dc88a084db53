"""Sums and products of random numbers: two-digit addition by default, n-digit addition as in STaR (2203.14465), or
longer chains such as 23 - 48 + 17.

A sum comes in one order only: where 23 + 27 is drawn, 27 + 23 never is, so no held-out sum was trained on mirrored.
"""

from __future__ import annotations

import functools
import itertools
import operator
import random
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from byheart import recipe
from byheart.tasks import splits
from byheart.types import Problem

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_LISTED = 200_000
"""Up to so many pairs are listed and shuffled, so that none is missed; from more, they are drawn."""
_MISSES = 100_000
"""So many draws in a row that were drawn before: there is next to nothing left."""


class Options(splits.Options):
    """`digits`: how many digits each number has, one count or several, drawn from alike; or `low` and `high`, both
    inclusive. `terms` numbers stand in each, with `operations` drawn from alike between them. `prompt` may use
    {expression}, or of two numbers {a}, {b} and {op}; `chat: false` asks it as plain text, for a base model."""

    digits: int | list[int] = 2
    low: int | None = None
    high: int | None = None
    operations: list[Literal["+", "-", "*"]] = Field(default=["+"], min_length=1)
    terms: int = Field(default=2, ge=2)
    prompt: str = "What is {expression}? Reply with just the number."
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
        if self.terms > 2 and "*" in self.operations:
            raise ValueError("operations: of more than two numbers there are sums and differences, no products")
        splits.check_template(self.prompt, expression=0, **({"a": 1, "b": 2, "op": 3} if self.terms == 2 else {}))
        return self

    def ranges(self) -> list[tuple[int, int]]:
        """(lowest, highest) number, for each count of digits."""
        if self.low is not None and self.high is not None:
            return [(self.low, self.high)]
        return [(10 ** (count - 1) if count > 1 else 0, 10**count - 1) for count in _counts(self.digits)]


Chain = tuple[tuple[str, ...], tuple[int, ...]]
"""The operations of an expression, and its numbers: one more."""


def problems(options: Options, seed: int) -> Iterator[Problem]:
    """Distinct problems in an order that `seed` decides; endless where there are more than can be listed. Of several
    counts of digits each is drawn alike, until there is nothing left of it."""
    rng, turns = random.Random(seed), random.Random(f"{seed} digits")
    seen: set[Chain] = set()
    streams = [_distinct(options, bounds, rng, seen) for bounds in options.ranges()]
    while streams:
        stream = turns.choice(streams)
        drawn = next(stream, None)
        if drawn is None:
            streams.remove(stream)
            continue
        ops, numbers = drawn
        expression = " ".join(map(str, [numbers[0], *itertools.chain(*zip(ops, numbers[1:], strict=True))]))
        two: dict[str, Any] = {"a": numbers[0], "b": numbers[1], "op": ops[0]} if options.terms == 2 else {}
        prompt = splits.asked(options.prompt.format(expression=expression, **two), options.chat)
        digits = max(len(str(abs(number))) for number in numbers)
        answer = functools.reduce(
            lambda left, step: OPERATIONS[step[0]](left, step[1]), zip(ops, numbers[1:], strict=True), numbers[0]
        )
        yield Problem.of(
            prompt, str(answer), options.verifier.name, (two or {"expression": expression}) | {"digits": digits}
        )


def _distinct(options: Options, bounds: tuple[int, int], rng: random.Random, seen: set[Chain]) -> Iterator[Chain]:
    """Operations on numbers within `bounds`, none that was `seen`."""
    low, high = bounds
    size = (high - low + 1) ** options.terms * len(options.operations) ** (options.terms - 1)
    misses = 0
    for ops, numbers in (_listed if size <= _LISTED else _drawn)(options, bounds, rng):
        key = (ops, numbers) if "-" in ops else (ops, tuple(sorted(numbers)))
        if key in seen:
            misses += 1
            if misses > _MISSES:
                return
        else:
            misses = 0
            seen.add(key)
            yield ops, numbers


def _listed(options: Options, bounds: tuple[int, int], rng: random.Random) -> Iterator[Chain]:
    numbers = range(bounds[0], bounds[1] + 1)
    ops = itertools.product(options.operations, repeat=options.terms - 1)
    every = [(some, chain) for some in ops for chain in itertools.product(numbers, repeat=options.terms)]
    rng.shuffle(every)
    yield from every


def _drawn(options: Options, bounds: tuple[int, int], rng: random.Random) -> Iterator[Chain]:
    while True:
        low, high = rng.choice([bounds])  # of one: without it, every stream of earlier runs would be another
        ops = tuple(rng.choice(options.operations) for _ in range(options.terms - 1))
        yield ops, tuple(rng.randint(low, high) for _ in range(options.terms))


def _counts(digits: int | list[int]) -> list[int]:
    return [digits] if isinstance(digits, int) else digits
