"""Right where one of several verifiers says so, and wrong where all of them do.

They are asked in turn, each about what none before it found right. What is not right by any, and not judged by one of
them, is unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence

from byheart.types import Hearing, Judgement, Problem
from byheart.verifiers import several
from byheart.verifiers.several import Options

__all__ = ["Options", "solve"]


def solve(problem: Problem, responses: Sequence[str], options: Options) -> Hearing:
    judged: dict[int, Judgement] = {}
    left = list(range(len(responses)))
    for by in options.of:
        found = yield from several.ask(problem, responses, by, left)
        for place, judgement in found.items():
            if place not in judged or judgement.score == 1.0 or judged[place].score is not None:
                judged[place] = judgement
        left = [place for place in left if judged[place].score != 1.0]
    return [judged[place] for place in range(len(responses))]
