"""Right where every one of several verifiers says so.

They are asked in turn, each about what passed those before it, so the cheap and strict one stands first. What one of
them cannot judge is unjudged.
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
    passed = list(range(len(responses)))
    for by in options.of:
        if passed:
            [verdicts] = yield [Verify(problem, [responses[place] for place in passed], by)]
            judged |= {place: verdict.judgement for place, verdict in zip(passed, verdicts, strict=True)}
            passed = [place for place in passed if judged[place].score == 1.0]
    return [judged[place] for place in range(len(responses))]
