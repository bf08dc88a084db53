"""The verdict of the first of several verifiers that can judge a response: each is asked about what is still
unjudged."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from byheart.types import Interaction, Judgement, Problem
from byheart.verifiers.core.composite import Several


class FirstOf(Several):
    """The verdict of the first of several verifiers that can judge a response."""

    @override
    def requires_gold(self) -> bool:
        return all(verifier.requires_gold() for verifier in self.of)

    @override
    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction:
        judged: dict[int, Judgement] = {}
        unjudged = list(range(len(responses)))
        for verifier in self.of:
            judged |= yield from self._ask(problem, responses, verifier, unjudged)
            unjudged = [index for index in unjudged if judged[index].score is None]
        return [judged[index] for index in range(len(responses))]
