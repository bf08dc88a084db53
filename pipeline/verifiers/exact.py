"""The response is the answer: case, the encoding of accents, spacing and a full stop at the end do not matter."""

from __future__ import annotations

import unicodedata

from pipeline.verifiers.judge import Judgement


def verify(answer: str, response: str) -> Judgement:
    found = normalized(response)
    if not found:
        return Judgement(0.0, None, "the response is empty")
    right = found == normalized(answer)
    return Judgement(float(right), found, "" if right else f"{found[:80]!r} is not {normalized(answer)[:80]!r}")


def normalized(text: str) -> str:
    """NFKC, case folded, runs of space made one, spaces and full stops at the ends taken off."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .")
