"""What the first of several verifiers says that can judge a response: each is asked about what was left unjudged."""

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
        judged |= yield from several.ask(problem, responses, by, left)
        left = [place for place in left if judged[place].score is None]
    return [judged[place] for place in range(len(responses))]
