"""The response is the answer: case, the encoding of accents, spacing and full stops at the end do not matter.

The answer of the judgement is as it was written; what agreement goes by, `extract`, is normalized.
"""

from __future__ import annotations

import unicodedata

from byheart import recipe
from byheart.types import Judgement, Problem


class Options(recipe.Choice):
    pass


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    if problem.answer is None:
        return Judgement(None, None, "the problem has no gold answer")
    found, gold = normalized(response), normalized(problem.answer)
    written = response.strip() if found else None
    if not gold:
        return Judgement(None, written, "the gold answer is empty")
    if not found:
        return Judgement(0.0, None, "the response is empty")
    right = found == gold
    return Judgement(float(right), written, "" if right else f"{found[:80]!r} is not {gold[:80]!r}")


def extract(problem: Problem, response: str) -> str | None:
    return normalized(response) or None


def normalized(text: str) -> str:
    """NFC, case folded, runs of space made one, spaces at the ends and full stops at the end taken off."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).rstrip(" .")
