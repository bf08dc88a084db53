"""Right where one of several verifiers says so, and wrong where all say that it is wrong.

They are asked in order, each about the responses that none before it judged right. A response that none judges right
is unjudged where one of them cannot judge it.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from byheart.types import Interaction, Judgement, Problem
from byheart.verifiers.core.composite import Several


class AnyOf(Several):
    """Right where one of several verifiers says so, and wrong where all say that it is wrong."""

    @override
    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction:
        judged: dict[int, Judgement] = {}
        remaining = list(range(len(responses)))
        for verifier in self.of:
            judgements = yield from self._ask(problem, responses, verifier, remaining)
            for index, judgement in judgements.items():
                if index not in judged or judgement.score == 1.0 or judged[index].score is not None:
                    judged[index] = judgement
            remaining = [index for index in remaining if judged[index].score != 1.0]
        return [judged[index] for index in range(len(responses))]
