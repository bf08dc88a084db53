"""A world of steps that is known through and through: what may follow on each, and what each is worth.

A solution is a line of digits a step, `depth` of them, each below `width`: "2\\n0\\n1". The chance that a whole one is
right is drawn by a seed; that of a beginning is the chance of the best whole one it can become. The world answers what
a search asks for, and counts.
"""

from __future__ import annotations

import random
from functools import cached_property
from itertools import product
from typing import Any

from byheart.types import Branch, Completion, Generate, Keep, Problem, Rollout, Score, Verdict, Verify

PROBLEM = Problem.of("find the way", "right", "exact")


class World:
    def __init__(self, width: int, depth: int, seed: int = 0) -> None:
        self.width, self.depth, self._seed = width, depth, seed
        self.grown: list[str] = []
        self.tree: list[Branch] = []

    @cached_property
    def chances(self) -> dict[str, float]:
        """Of each whole solution."""
        rng = random.Random(self._seed)
        every = product(map(str, range(self.width)), repeat=self.depth)
        return {"\n".join(digits): rng.random() for digits in every}

    @property
    def best(self) -> str:
        return max(self.chances, key=self.chances.__getitem__)

    def value(self, text: str) -> float:
        return max(chance for whole, chance in self.chances.items() if whole.startswith(text))

    def play(self, solver: Any) -> list[Rollout]:
        """Answer all that `solver` asks for, to its end."""
        replies: list[Any] | None = None
        try:
            while True:
                replies = [self._reply(request) for request in solver.send(replies)]
        except StopIteration as end:
            found: list[Rollout] = end.value
            return found

    def _reply(self, request: Any) -> list[Any]:
        if isinstance(request, Keep):
            self.tree = request.tree
            return []
        if isinstance(request, Score):
            return [self.value(text) for text in request.responses]
        if isinstance(request, Verify):
            return [Verdict("", "v", float(text == self.best), text, "") for text in request.responses]
        assert isinstance(request, Generate)
        self.grown.append(request.prefix)
        if not request.until:
            return [self._end(request.prefix, n) for n in range(request.n)]
        steps = [str(n) for n in range(self.width)][: request.n]
        last = request.prefix.count("\n") == self.depth - 1
        return [
            Completion(step if last else f"{step}\n", [1], "stop" if last else "step", "base", n, -1.0)
            for n, step in enumerate(steps)
        ]

    def _end(self, prefix: str, n: int) -> Completion:
        """The rest of a solution that begins so, each step by lot."""
        rng = random.Random(f"{prefix} {n}")
        rest = [str(rng.randrange(self.width)) for _ in range(self.depth - prefix.count("\n"))]
        return Completion("\n".join(rest), [1] * len(rest), "stop", "base", n)
