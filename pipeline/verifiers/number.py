r"""The marked number in the response is the answer, or else the last one: "So 23 + 27 = 50." answers 50.

Marked is what marks.py knows: "#### 50", \boxed{50}, "the answer is 50". In a marked sentence the last number counts:
"the answer is 23 + 27 = 50" answers 50. Units and currencies around a number do not matter. Decimals are read, numbers
grouped by thousands, 3/4, \frac{3}{4}, 1 1/2, 1.2e3 and 1.2 x 10^3.

Numbers are compared exactly and by value: 7.50 is 7.5, 3/4 is 0.75, 0.333 is not 1/3. 50% is 0.5. Where one of the two
has a percent sign and the other none, it may have been left out, so 50% is 50 as well; but not under 1: 0.5% is 0.005
alone. A quotient that comes out whole is work left undone: 84/4 is not 21, unless the gold answer is such a quotient.

All is a few passes over the text, and a number too long to calculate with is compared as text: no input makes it slow.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from pydantic import Field

from pipeline import recipe
from pipeline.types import Judgement, Problem
from pipeline.verifiers import marks


class Options(recipe.Choice):
    """`tolerance`: how far from the gold answer a right one may be, as a part of it; 0.01 is one per cent."""

    tolerance: float = Field(default=0.0, ge=0, lt=1)


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    if problem.answer is None:
        return Judgement(None, None, "the problem has no gold answer")
    gold = _gold(problem.answer)
    if gold is None:
        return Judgement(None, None, f"the gold answer {problem.answer[:40]!r} is not a number")
    found = read(response)
    if found is None:
        return Judgement(0.0, None, "no number in the response")
    if found.text == gold.text or _equal(found, gold, options.tolerance):
        return Judgement(1.0, found.text)
    return Judgement(0.0, found.text, f"{found.text[:40]} is not {gold.text[:40]}")


def extract(problem: Problem, response: str) -> str | None:
    found = read(response)
    return None if found is None else found.text


class Number(NamedTuple):
    """A number as it is written, without commas and currency."""

    text: str
    percent: bool
    quotient: bool


def value(number: Number) -> Fraction | None:
    """None where it has none, as 3/0 and 2^10, which is left to work out, or is too long to calculate with."""
    text = number.text
    if len(text) > _LONGEST:
        return None
    if text.isdecimal():
        return Fraction(int(text))
    if "^" in text or len(text.partition("e")[2]) > _LONGEST_EXPONENT:
        return None
    whole, _, rest = text.removeprefix("-").removesuffix("%").rpartition(" ")
    above, _, below = rest.partition("/")
    try:
        size = Fraction(whole or 0) + Fraction(above) / Fraction(below or 1)
    except ZeroDivisionError:
        return None
    return (-size if text[0] == "-" else size) / (100 if number.percent else 1)


def read(text: str) -> Number | None:
    """The number that `text` gives as its answer, or None."""
    for under, _ in marks.marked(text):
        if found := last_number(marks.sentence(under)):
            return found
    return last_number(text)


def last_number(text: str) -> Number | None:
    for line in reversed(_plain(text).splitlines()):
        last = None
        for last in _NUMBER.finditer(line):  # noqa: B007
            pass
        if last:
            return _number(last)
    return None


@lru_cache
def _gold(answer: str) -> Number | None:
    """The number that the gold answer is: one, with nothing around it but a currency or a unit."""
    match = _GOLD.fullmatch(_plain(answer.strip().strip("$")))
    gold = match and _number(match)
    return gold if gold and (len(gold.text) > _LONGEST or value(gold) is not None) else None


def _equal(found: Number, gold: Number, tolerance: float) -> bool:
    given, right = value(found), _gold_value(gold)
    if given is None or right is None:
        return False
    if found.quotient and given.denominator == 1 and not gold.quotient:
        return False
    if _near(given, right, tolerance):
        return True
    if found.percent == gold.percent:
        return False
    as_written = right * 100 if gold.percent else right
    return abs(as_written) >= 1 and _near(given * 100 if found.percent else given, as_written, tolerance)


_gold_value = lru_cache(value)


def _near(found: Fraction, gold: Fraction, tolerance: float) -> bool:
    return found == gold or (tolerance > 0 and abs(found - gold) <= Fraction(str(tolerance)) * abs(gold))


# How a number is written. A sign counts where it can't be a minus between two numbers, commas where they group by
# thousands.

_LONGEST, _LONGEST_EXPONENT = 400, 4
"""A number of more characters, or with more in its exponent, is not calculated with."""
_DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_ANY = rf"""
    (?P<sign>(?<![\d)]\ )(?<!\))[-+])?
    (?:\\?[$€£¥])?
    (?: (?P<whole>\d+)\ (?P<above>\d+)/(?P<below>\d+)
      | (?P<digits>{_DIGITS})
        (?: [eE](?P<exponent>[-+]?\d+)(?!\w)
          | \ ?(?:[x×*]|\\times|\\cdot)\ ?10(?:\^|\*\*)\{{?(?P<ten>[-+]?\d+)\}}?
          | (?P<power>(?:\^\{{?|\*\*)[-+]?\d+\}}?)
          | \ ?/\ ?(?P<over>{_DIGITS})
        )?
    )
    (?P<percent>\ ?\\?%|\ percent\b|\ per\ cent\b)?"""
_NUMBER = re.compile(rf"(?=[-+.$€£¥\\\d])(?<![\w.^])(?:{_ANY})", re.VERBOSE)
_GOLD = re.compile(rf"{_ANY}\.?(?:[\s°][^\d\\]*)?", re.VERBOSE)
_FRACTION = re.compile(r"(\d?)\\[dt]?frac\{([-\d.,]*)\}\{([\d.,]*)\}")
_SIGNS = (
    dict.fromkeys("\u2212\u2010\u2011\u2013\ufe63\uff0d", "-")
    | dict.fromkeys("\u2009\u202f", ",")  # thin spaces group thousands
    | {sign: " " + unicodedata.normalize("NFKC", sign) for sign in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
    | {"\u2044": "/"}
)


def _plain(text: str) -> str:
    """`text` with one way to write a minus, a comma between thousands and a fraction."""
    if not text.isascii():
        for sign, plain in _SIGNS.items():
            text = text.replace(sign, plain)
    if "\\" in text or "{" in text:
        text = text.replace("{,}", ",").replace("\\,", ",").replace("\\!", "")
        text = _FRACTION.sub(lambda found: f"{found[1]}{' ' * bool(found[1])}{found[2]}/{found[3]}", text)
    return text


def _number(match: re.Match[str]) -> Number:
    sign, whole, above, below, digits, exponent, ten, power, over, percent = match.groups()
    if whole and (len(above), above) < (len(below), below):
        text = f"{whole} {above}/{below}"
    elif whole:
        sign, text = "", f"{above}/{below}"
    elif exponent or ten:
        text = f"{digits}e{exponent or ten}"
    else:
        text = digits + (f"/{over}" if over else "^" if power else "")
    text = f"{'-' if sign == '-' else ''}{text}{'%' if percent else ''}".replace(",", "")
    return Number(text, bool(percent), bool(over or whole))
