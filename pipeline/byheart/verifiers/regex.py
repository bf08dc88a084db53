r"""The last place in the response that fits `pattern` is the answer: its first group, or all of it where it has none.

It is compared with the gold answer as `exact` does it, and kept as it was written. `pattern: 'Capital: (.+)'` reads
"... Capital: Paris" as Paris.
"""

from __future__ import annotations

import re

from pydantic import field_validator

from byheart.types import Judgement, Problem
from byheart.verifiers import pool
from byheart.verifiers.exact import normalized


class Options(pool.Options):
    """`pattern` is one of Python's; `(?i)`, `(?m)` and `(?s)` at its start make it blind to case, or to lines."""

    pattern: str

    @field_validator("pattern")
    @classmethod
    def _sound(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    if problem.answer is None:
        return Judgement(None, None, "the problem has no gold answer")
    gold = normalized(problem.answer)
    if not gold:
        return Judgement(None, None, "the gold answer is empty")
    last = None
    for last in re.finditer(options.pattern, response):  # noqa: B007
        pass
    written = (last[1 if last.re.groups else 0] or "").strip() if last else ""
    found = normalized(written)
    if not found:
        return Judgement(0.0, None, "nothing in the response fits the pattern")
    right = found == gold
    return Judgement(float(right), written, "" if right else f"{found[:80]!r} is not {gold[:80]!r}")
