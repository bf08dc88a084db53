r"""The last match of `pattern` in the response is the answer: its first group, or without a group the whole match.

It is compared with the gold answer as by `exact`, and reported as written. `pattern: 'Capital: (.+)'` reads
"... Capital: Paris" as Paris.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, field_validator
from typing_extensions import override

from byheart.contracts import ProcessVerifier
from byheart.types import Judgement, Problem
from byheart.verifiers.exact import normalized


class Regex(ProcessVerifier):
    """Judges the answer that a regular expression finds."""

    version: ClassVar[int] = 2
    reads_answers: ClassVar[bool] = True

    pattern: str = Field(
        description="a regular expression of Python's re; flags at its start, such as (?i), (?m), (?s)"
    )

    @field_validator("pattern")
    @classmethod
    def _sound(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        if reason := self.unreadable(problem):
            return Judgement(None, None, reason)
        gold = normalized(problem.answer or "")
        last = None
        for last in re.finditer(self.pattern, response):  # noqa: B007
            pass
        written = (last[1 if last.re.groups else 0] or "").strip() if last else ""
        answer = normalized(written)
        if not answer:
            return Judgement(0.0, None, "nothing in the response fits the pattern")
        right = answer == gold
        return Judgement(float(right), written, "" if right else f"{answer[:80]!r} is not {gold[:80]!r}")

    @override
    def found(self, response: str) -> str:
        return "the last match of the pattern"

    @override
    def unreadable(self, problem: Problem) -> str | None:
        if problem.answer is None:
            return "the problem has no gold answer"
        return None if normalized(problem.answer) else "the gold answer is empty"
