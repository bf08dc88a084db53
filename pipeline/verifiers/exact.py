"""The response is the answer: case, the encoding of accents, spacing and full stops at the end do not matter."""

from __future__ import annotations

import unicodedata

from pipeline import recipe
from pipeline.types import Judgement, Problem


class Options(recipe.Choice):
    pass


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    if problem.answer is None:
        return Judgement(None, None, "the problem has no gold answer")
    found, gold = normalized(response), normalized(problem.answer)
    if not gold:
        return Judgement(None, found or None, "the gold answer is empty")
    if not found:
        return Judgement(0.0, None, "the response is empty")
    right = found == gold
    return Judgement(float(right), found, "" if right else f"{found[:80]!r} is not {gold[:80]!r}")


def extract(problem: Problem, response: str) -> str | None:
    return normalized(response) or None


def normalized(text: str) -> str:
    """NFC, case folded, runs of space made one, spaces at the ends and full stops at the end taken off."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).rstrip(" .")
