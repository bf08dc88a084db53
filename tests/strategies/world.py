"""A world of steps that is known through and through: what may follow on each, and what each is worth.

A solution is a line of digits a step, `depth` of them, each below `width`: "2\\n0\\n1". The chance that a whole one is
right is drawn by a seed; that of a beginning is the chance of the best whole one it can become. The engine of this
world grows and scores what a search asks for; the verifier finds right the best solution of all.
"""

from __future__ import annotations

import random
from functools import cached_property
from itertools import product
from typing import Any

from byheart.types import Branch, Completion, Generate, Problem, Rollout, Score

from tests.conftest import verifier_by
from tests.fakes import FakeEngine, attempts


class World:
    def __init__(self, width: int, depth: int, seed: int = 0, valued: bool = True) -> None:
        self.width, self.depth, self.valued, self._seed = width, depth, valued, seed
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

    def search(self, name: str, **options: Any) -> list[Rollout]:
        """What the strategy `name` finds; `grown` and `tree` are what it asked for and kept."""
        engine = FakeEngine(self._written, self._scores)
        problem = Problem.of("find the way", self.best, "exact")
        ended = attempts(problem, engine, {"name": name, "width": self.width, **options}, verifier_by("exact"))
        assert ended.failure is None
        self.grown = [request.prefill for request in engine.taken if isinstance(request, Generate)]
        self.tree = ended.tree
        return ended.rollouts

    def _scores(self, request: Score) -> list[float | None]:
        return [self.value(text) if self.valued else None for text in request.responses]

    def _written(self, request: Generate) -> list[Completion]:
        if not request.step_stop:
            return [self._end(request, n) for n in range(request.n)]
        steps = [str(n % self.width) for n in range(request.n)]
        last = request.prefill.count("\n") == self.depth - 1
        return [
            Completion(step if last else f"{step}\n", [1], "stop" if last else "step", "base", request.seed + n, -1.0)
            for n, step in enumerate(steps)
        ]

    def _end(self, request: Generate, n: int) -> Completion:
        """The rest of a solution that begins so, each step by lot."""
        rng = random.Random(f"{request.prefill} {n}")
        rest = [str(rng.randrange(self.width)) for _ in range(self.depth - request.prefill.count("\n"))]
        return Completion("\n".join(rest), [1] * len(rest), "stop", "base", request.seed + n)
