"""What the first of several verifiers says that can judge a response: each is asked about what was left unjudged."""

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
            judged |= {place: verdict.judgement for place, verdict in zip(left, verdicts, strict=True)}
            left = [place for place in left if judged[place].score is None]
    return [judged[place] for place in range(len(responses))]
