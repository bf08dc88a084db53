"""Right where every one of several verifiers says so.

They are asked in turn, each about what passed those before it, so the cheap and strict one stands first. What one of
them cannot judge is unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence

from byheart.types import Hearing, Judgement, Problem
from byheart.verifiers import several
from byheart.verifiers.several import Options

__all__ = ["Options", "solve"]


def solve(problem: Problem, responses: Sequence[str], options: Options) -> Hearing:
    judged: dict[int, Judgement] = {}
    passed = list(range(len(responses)))
    for by in options.of:
        judged |= yield from several.ask(problem, responses, by, passed)
        passed = [place for place in passed if judged[place].score == 1.0]
    return [judged[place] for place in range(len(responses))]
