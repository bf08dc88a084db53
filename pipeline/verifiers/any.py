"""Right where one of several verifiers says so, and wrong where all of them do.

They are asked in turn, each about what none before it found right. What is not right by any, and not judged by one of
them, is unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from pipeline import recipe
from pipeline.types import Hearing, Judgement, Problem, Verify


class Options(recipe.Choice):
    of: list[recipe.choice("verifiers")] = Field(min_length=2)  # type: ignore[valid-type]


def solve(problem: Problem, responses: Sequence[str], options: Options) -> Hearing:
    judged: dict[int, Judgement] = {}
    left = list(range(len(responses)))
    for by in options.of:
        if left:
            [verdicts] = yield [Verify(problem, [responses[place] for place in left], by)]
            for place, verdict in zip(left, verdicts, strict=True):
                if place not in judged or verdict.correct or judged[place].score is not None:
                    judged[place] = verdict.judgement
            left = [place for place in left if judged[place].score != 1.0]
    return [judged[place] for place in range(len(responses))]
