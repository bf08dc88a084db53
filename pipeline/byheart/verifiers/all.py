"""Right where each of several verifiers says so.

They are asked in order, each about the responses that passed those before it, so put the cheap and strict one first. A
response that one of them cannot judge is unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from byheart.types import Interaction, Judgement, Problem
from byheart.verifiers.core.composite import Several


class AllOf(Several):
    """Right where each of several verifiers says so."""

    @override
    def proves(self) -> bool:
        return any(verifier.proves() for verifier in self.of)

    @override
    def unreadable(self, problem: Problem) -> str | None:
        return next(filter(None, (verifier.unreadable(problem) for verifier in self.of)), None)

    @override
    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction:
        judged: dict[int, Judgement] = {}
        passed = list(range(len(responses)))
        for verifier in self.of:
            judged |= yield from self._ask(problem, responses, verifier, passed)
            passed = [index for index in passed if judged[index].score == 1.0]
        return [judged[index] for index in range(len(responses))]
