"""The response is the answer: case, the encoding of accents, width, spacing and full stops at the end do not matter.

The judgement's answer is as it was written; `extract`, by which agreement compares, normalizes it.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import ClassVar

from typing_extensions import override

from byheart.contracts import Verifier
from byheart.types import Judgement, Problem
from byheart.verifiers.core.languages import half_width


class Exact(Verifier):
    """Compares the whole response with the gold answer."""

    version: ClassVar[int] = 2
    compares: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        answer, gold = normalized(response), _gold(problem.answer or "")
        written = response.strip() if answer else None
        if reason := self.unreadable(problem):
            return Judgement(None, None if problem.answer is None else written, reason)
        if not answer:
            return Judgement(0.0, None, "the response is empty")
        right = answer == gold
        return Judgement(float(right), written, "" if right else f"{answer[:80]!r} is not {gold[:80]!r}")

    @override
    def unreadable(self, problem: Problem) -> str | None:
        if problem.answer is None:
            return "the problem has no gold answer"
        return None if _gold(problem.answer) else "the gold answer is empty"

    @override
    def found(self, response: str) -> str:
        return "the whole response"

    @override
    def extract(self, problem: Problem, response: str) -> str | None:
        return normalized(response) or None


def normalized(text: str) -> str:
    """`text` in NFC and half-width, case folded, with single spaces, and without spaces at the ends and full stops at
    the end."""
    return " ".join(unicodedata.normalize("NFC", half_width(text)).casefold().split()).rstrip(" .")


_gold = lru_cache(normalized)
