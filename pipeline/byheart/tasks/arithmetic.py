"""Sums and products of random numbers: two-digit addition by default, n-digit addition as in STaR (2203.14465), or
longer chains such as 23 - 48 + 17.

A sum comes in one order only: if 23 + 27 is drawn, 27 + 23 never is, so no held-out sum was trained on mirrored.
"""

from __future__ import annotations

import functools
import itertools
import operator
import random
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.contracts import Task, Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import splits
from byheart.types import Problem

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_MAX_LISTED = 200_000
"""Up to this many expressions are listed and shuffled, so that none is missed; of more, they are drawn."""
_MAX_MISSES = 100_000
"""After this many draws in a row that were drawn before, next to nothing is left."""


class Arithmetic(Task):
    """Distinct expressions of random numbers; the answer is their value."""

    digits: int | list[int] = Field(
        default=2, description="digits of each number: one count, or a list of counts drawn from with equal probability"
    )
    low: int | None = Field(default=None, description="smallest number, inclusive; with high it replaces digits")
    high: int | None = Field(default=None, description="largest number, inclusive; with low it replaces digits")
    operations: list[Literal["+", "-", "*"]] = Field(
        default=["+"], min_length=1, description="operations between the numbers, drawn with equal probability"
    )
    terms: int = Field(default=2, ge=2, description="numbers in an expression")
    prompt: str = Field(
        default="What is {expression}? Reply with just the number.",
        description="template of the prompt: may use {expression}, and of two numbers {a}, {b} and {op}",
    )
    chat: bool = Field(default=True, description="ask as a chat message; false: as plain text, for a base model")
    verifier: Member[Verifier] = named("number", "judges solutions; it measures every policy")

    @model_validator(mode="after")
    def _sound(self) -> Arithmetic:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high go together")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if not self._ranges() or any(count < 1 for count in _counts(self.digits)):
            raise ValueError("digits must be one or more, or a list of such numbers")
        if self.terms > 2 and "*" in self.operations:
            raise ValueError("operations: of more than two numbers there are sums and differences, no products")
        splits.check_template(self.prompt, expression=0, **({"a": 1, "b": 2, "op": 3} if self.terms == 2 else {}))
        return self

    def _ranges(self) -> list[tuple[int, int]]:
        """(lowest, highest) number, for each count of digits."""
        if self.low is not None and self.high is not None:
            return [(self.low, self.high)]
        return [(10 ** (count - 1) if count > 1 else 0, 10**count - 1) for count in _counts(self.digits)]

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        """Distinct problems, endless if there are more than can be listed. Several counts of digits are drawn with
        equal probability, until nothing is left of a count."""
        rng, stream_rng = random.Random(seed), random.Random(f"{seed} digits")
        seen: set[Chain] = set()
        streams = [_distinct(self, bounds, rng, seen) for bounds in self._ranges()]
        while streams:
            stream = stream_rng.choice(streams)
            chain = next(stream, None)
            if chain is None:
                streams.remove(stream)
                continue
            ops, numbers = chain
            expression = " ".join(map(str, [numbers[0], *itertools.chain(*zip(ops, numbers[1:], strict=True))]))
            pair: dict[str, Any] = {"a": numbers[0], "b": numbers[1], "op": ops[0]} if self.terms == 2 else {}
            prompt = splits.as_prompt(self.prompt.format(expression=expression, **pair), self.chat)
            digits = max(len(str(abs(number))) for number in numbers)
            answer = functools.reduce(
                lambda left, step: OPERATIONS[step[0]](left, step[1]), zip(ops, numbers[1:], strict=True), numbers[0]
            )
            meta = (pair or {"expression": expression}) | {"digits": digits}
            if self.chat:  # plain text has begun the equation itself
                meta |= {"solution": f"{expression} = {answer}"}
            yield Problem.of(prompt, str(answer), self.verifier.name, meta)


Chain = tuple[tuple[str, ...], tuple[int, ...]]
"""The operations of an expression, and its numbers: one more than operations."""


def _distinct(options: Arithmetic, bounds: tuple[int, int], rng: random.Random, seen: set[Chain]) -> Iterator[Chain]:
    """Chains of numbers within `bounds` that are not in `seen`, which they are added to."""
    low, high = bounds
    size = (high - low + 1) ** options.terms * len(options.operations) ** (options.terms - 1)
    misses = 0
    for ops, numbers in (_listed if size <= _MAX_LISTED else _drawn)(options, bounds, rng):
        key = (ops, numbers) if "-" in ops else (ops, tuple(sorted(numbers)))
        if key in seen:
            misses += 1
            if misses > _MAX_MISSES:
                return
        else:
            misses = 0
            seen.add(key)
            yield ops, numbers


def _listed(options: Arithmetic, bounds: tuple[int, int], rng: random.Random) -> Iterator[Chain]:
    """All chains, shuffled."""
    numbers = range(bounds[0], bounds[1] + 1)
    every_ops = itertools.product(options.operations, repeat=options.terms - 1)
    chains = [(ops, terms) for ops in every_ops for terms in itertools.product(numbers, repeat=options.terms)]
    rng.shuffle(chains)
    yield from chains


def _drawn(options: Arithmetic, bounds: tuple[int, int], rng: random.Random) -> Iterator[Chain]:
    """Random chains, for ever."""
    while True:
        low, high = rng.choice([bounds])  # a choice of one, so that the streams of earlier runs stay what they are
        ops = tuple(rng.choice(options.operations) for _ in range(options.terms - 1))
        yield ops, tuple(rng.randint(low, high) for _ in range(options.terms))


def _counts(digits: int | list[int]) -> list[int]:
    return [digits] if isinstance(digits, int) else digits
