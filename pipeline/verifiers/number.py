"""The last number in the response is the answer: "So 23 + 27 = 50." answers 50."""

from __future__ import annotations

import re
from decimal import Decimal

from pipeline.verifiers.judge import Judgement

# A sign counts where it can't be a minus between two numbers; commas count where they group by thousands.
_NUMBER = re.compile(r"(?<![\w.])(?:(?<![\d)] )(?<!\))[-\u2212+])?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)")


def verify(answer: str, response: str) -> Judgement:
    """Right where the last number equals the gold one exactly: 7.50 is 7.5, 1,000 is 1000, 0.333 is not 1/3."""
    if not _NUMBER.fullmatch(answer.strip()):
        return Judgement(None, None, f"the gold answer {answer[:40]!r} is not a number")
    gold = last_number(answer)
    assert gold is not None
    found = last_number(response)
    if found is None:
        return Judgement(0.0, None, "no number in the response")
    right = Decimal(found) == Decimal(gold)
    return Judgement(float(right), found, "" if right else f"{found[:40]} is not {gold[:40]}")


def last_number(text: str) -> str | None:
    """The last number in `text` as plain digits, or None."""
    found = None
    for match in _NUMBER.finditer(text):
        found = match.group()
    return None if found is None else found.replace(",", "").replace("\u2212", "-")
