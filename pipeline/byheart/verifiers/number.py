r"""The marked number in the response is the answer, else the last number: "So 23 + 27 = 50." answers 50.

The marks are those of answers.py: "#### 50", \boxed{50}, "the answer is 50", "答案：50". A mark must name one number,
or one after "=": "the answer is 23 + 27 = 50" answers 50, "5 or 6" and "(5, 6)" answer nothing. Units and currencies
are ignored. Decimals, numbers grouped by thousands, 3/4, \frac{3}{4}, 1 1/2, 1.2e3, 1.2 x 10^3, 1.5 million,
full-width digits and the numerals of Chinese, Japanese and Korean can be read.

A number that is only a part of something else is no answer: not the 5 in 5x, x + 5, \sqrt{5} or 1 005. Then, as where
it is denied ("not 5") or taken back ("the answer is 5. No, wait: 6"), the response has no answer. It is unjudged where
the number may be right, but is written as other languages do, 1.000,99, or is named in passing: "4 hours, with 3
stops".

Numbers are compared exactly and by value: 7.50 is 7.5, 3/4 is 0.75, 0.333 is not 1/3. 50% is 0.5. Where only one of
the two has a percent sign, the other may have left it out, so 50% is 50 as well; but not below 1: 0.5% is only 0.005.
A quotient that comes out whole is work left undone: 84/4 is not 21, unless the gold answer is such a quotient.

The text is read in a few passes, and a number too long to calculate with is compared as text: no input makes it slow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.types import Judgement, Problem
from byheart.verifiers.core import answers
from byheart.verifiers.core.languages import AMOUNT, CJK, foreign_amount, narrowed, numerals_read
from byheart.verifiers.mathematics import units


class Number(Verifier):
    """Judges numerical answers by value."""

    tolerance: float = Field(
        default=0.0, ge=0, lt=1, description="relative difference from the gold answer that is still right; 0.01 is 1%"
    )

    version: ClassVar[int] = 2
    compares: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        gold = _gold(problem.answer or "")
        if gold is None:
            return Judgement(None, None, self.unreadable(problem) or "")
        answer, marked = _given(response)
        written = answer and answer.text
        right = answer is not None and self._same(answer, gold)
        others = [] if marked else _beside(response)
        if right and not others:
            return Judgement(1.0, written)
        if right or any(self._same(other, gold) for other in others):
            return Judgement(None, written, "several numbers are named; ask for the answer in a box")
        for other in map(read, _otherwise(response)):
            if other and self._same(other, gold):
                return Judgement(None, written, f"it may be {other.text[:40]}; ask for digits and a point alone")
        reason = f"{answer.text[:40]} is not {gold.text[:40]}" if answer else "no number is the answer"
        return Judgement(0.0, written, reason)

    def _same(self, answer: Numeral, gold: Numeral) -> bool:
        return answer.text == gold.text or _equal(answer, gold, self.tolerance)

    @override
    def unreadable(self, problem: Problem) -> str | None:
        if problem.answer is None:
            return "the problem has no gold answer"
        return None if _gold(problem.answer) else f"the gold answer {problem.answer[:40]!r} is not a number"

    @override
    def extract(self, problem: Problem, response: str) -> str | None:
        return answered(response)

    @override
    def found(self, response: str) -> str:
        return answers.where(response) or "the last number"


class Numeral(NamedTuple):
    """A number as it is written, without commas and currency; `percent`: with a percent sign, `quotient`: with a
    fraction bar."""

    text: str
    percent: bool
    quotient: bool


def answered(response: str) -> str | None:
    """The number that `response` answers with, as text without commas and currency, or None."""
    numeral = read(response)
    return None if numeral is None else numeral.text


def value(number: Numeral) -> Fraction | None:
    """The exact value; None where there is none, as of 3/0, or the number is too long to calculate with."""
    text = number.text
    if len(text) > _LONGEST:
        return None
    if text.isdecimal():
        return Fraction(int(text))
    if len(text.partition("e")[2]) > _LONGEST_EXPONENT:
        return None
    whole, _, rest = text.removeprefix("-").removesuffix("%").rpartition(" ")
    above, _, below = rest.partition("/")
    try:
        size = Fraction(whole or 0) + Fraction(above) / Fraction(below or 1)
    except ZeroDivisionError:
        return None
    return (-size if text[0] == "-" else size) / (100 if number.percent else 1)


def read(text: str) -> Numeral | None:
    """The number that `text` gives as its answer, or None."""
    return _given(text)[0]


def _given(text: str) -> tuple[Numeral | None, bool]:
    """The same, and whether it is marked."""
    if not text.isascii():
        text = numerals_read(narrowed(text))
    claim = answers.claim(text)
    if claim is None:
        return last_number(text), False
    if any(map(str.isdigit, claim.correction)):
        return None, True
    if claim.closed and _PART_AFTER.match(_SPACES.sub(" ", _plain(claim.after[:40]))):
        return None, True
    return _only_number(_plain(claim.text), claim.closed), True


def last_number(text: str) -> Numeral | None:
    """The last number in `text`; None where there is none, or it is a part of something else."""
    for line in reversed(text.splitlines()):
        last = None
        for last in _NUMBER.finditer(" ".join(_plain(line).split())):  # noqa: B007
            pass
        if last:
            return _number(last) or last_number(_CLAUSE.sub("", line) if _CLAUSE.search(line) else "")
    return None


def _otherwise(text: str) -> Iterator[str]:
    """`text` with what may be the writing of another language, or a slip, read as that: 1.000,99, 58! and 4 e7."""
    for pattern, replaced in _LENIENT:
        if (lenient := pattern.sub(replaced, text)) != text:
            yield lenient


def _beside(text: str) -> list[Numeral]:
    """The numbers in the last sentence before the last one, where that is named in passing: "4 hours, with 3 stops"."""
    last = _SENTENCE_END.split(_plain(text.rstrip().rpartition("\n")[2]))[-1]
    numbers = [
        (_number(match), bool(_PASSING.search(last, match.start() - 24, match.start())))
        for match in _NUMBER.finditer(last)
    ]
    if "=" in last or not numbers or not numbers[-1][1]:
        return []
    return [number for number, in_passing in numbers if number and not in_passing]


def _only_number(plain: str, closed: bool) -> Numeral | None:
    """The only number in `plain`, after the last "=" where there is one; a list or "this or that" gives None."""
    *sides, last = " ".join(plain.split()).split("=")
    if _OR.search(plain) or any(map(_LIST.search, sides[1:])) or (closed and "," in _NUMBER.sub("", last)):
        return None
    numbers = list(islice(_NUMBER.finditer(last), 2))
    return _number(numbers[0]) if len(numbers) == 1 else None


@lru_cache
def _gold(answer: str) -> Numeral | None:
    """The gold answer as a number; None where there is more around it than a sign, a currency or a unit."""
    plain = _plain(numerals_read(narrowed(answer)).strip().strip("$"))
    return _only_number(plain, closed=True) if _GOLD.match(plain) else None


def _equal(answer: Numeral, gold: Numeral, tolerance: float) -> bool:
    given, right = value(answer), _gold_value(gold)
    if given is None or right is None:
        return False
    if answer.quotient and given.denominator == 1 and not gold.quotient:
        return False
    if _near(given, right, tolerance):
        return True
    if answer.percent == gold.percent:
        return False
    as_written = right * 100 if gold.percent else right
    return abs(as_written) >= 1 and _near(given * 100 if answer.percent else given, as_written, tolerance)


_gold_value = lru_cache(value)


def _near(value: Fraction, gold: Fraction, tolerance: float) -> bool:
    return value == gold or (tolerance > 0 and abs(value - gold) <= Fraction(str(tolerance)) * abs(gold))


# How a number is written, and what around it makes it a part of something else.

_LONGEST, _LONGEST_EXPONENT = 400, 4
"""A number of more characters, or with more in its exponent, is not calculated with."""
_DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(
    rf"""(?=[.\d])(?<![^\W_]|_)
    (?: (?P<whole>\d+)\ (?P<above>\d+)/(?P<below>\d+)
      | (?P<digits>{_DIGITS})
        (?: [eE](?P<exponent>[-+]?\d+)(?!\w)
          | \ ?(?:[x×*]|\\times|\\cdot)\ ?10(?:\^|\*\*)\ ?(?P<ten>[-+]?\d+)
          | \ ?/\ ?(?P<over>{_DIGITS})
          | \ (?P<scale>hundred|thousand|million|billion|trillion|[万萬만亿億억])(?![a-z])
        )?
    )
    (?P<percent>\ ?\\?%|\ percent\b|\ per\ cent\b)?""",
    re.VERBOSE,
)
_LENIENT: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"(?<=\d)k\b"), "e3"),
    (re.compile(r"(?<=\d)_(?=\d{3})"), ""),
    (re.compile(r"(?<=\d)!(?!\w)"), "."),
    (re.compile(r"(?<=\d) (?=[eE]\d)"), ""),
    (re.compile(rf"(?<![\w.,']){AMOUNT.pattern}(?![\d'’])"), lambda match: foreign_amount(match[0]) or ""),
]
_SENTENCE_END = re.compile(r"(?<=[\w)])[.!?]\s+(?=[A-Z])")
_CLAUSE = re.compile(r", (?:which|since|because|as)\b[^,]*$")
"""A reason at the end."""
_PASSING = re.compile(
    r"\b(?:in|for|of|at|with|per|over|on|by|after|every|each) (?:(?:the|a|an|his|her|their|its|all) )?[$€£]?$"
)
_GOLD = re.compile(r"\W*(?:(?:minus|negative)\W+)?\d")
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_LIST = re.compile(r"[;&]|,(?!\d)|\band\b")

_SCALES = units.SCALES | dict.fromkeys("万萬만", 4) | dict.fromkeys("亿億억", 8)
_BRACKETS = " ([$€£¥\\"
"""What may stand between a sign and its number."""
_SIGN = re.compile(r"(?:([-+])|\b(minus|negative|plus))$", re.IGNORECASE)
_OPERAND = re.compile(r"(?:[\d)\]²³!]|(?<![^\W_])[^\W\d_])$")
_PART_BEFORE = re.compile(
    r"""
      \d\ ?:?$ | (?:[\d)\]²³!]|(?<![^\W_])[^\W\d_])\ ?[-+*/×÷·]+$
    | [-+*/÷±∓^_<>≤≥≠√|]$ | \\[a-z]+$
    | \b(?:or|than|over|times|pi|ln|sin|cos|tan|sqrt|(?:divided|multiplied)\ by)$
    | \b(?:root|half|third|quarter|square|cube|log)(?:\ of)?$
    | \d\S*\ (?:to|and|plus|minus)$ | (?:分之|第|负|不到|超过|至少|至多|大于|小于)\ ?$
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:(?:\b(?:not|no|never|nor|neither|none|hardly|except|cannot|(?:anything|all) but)|n't)\b|不是|并非|而非)"
    r"(?:(?!\b(?:so|but|then|therefore)\b)[^.,;:=])*$",
    re.IGNORECASE,
)
_GLUED = re.compile(r"[\w)\]][(\[]+$|\d[.,'’]$")
_PART_AFTER = re.compile(
    r"""[)\]]*(?:
      [\d_²³¹⁰-⁹₀-₉!(…] | \^(?!\ ?(?:\\circ|°)) | [.,:]\d | \.\.
    | \ ?(?:[<>≤≥≠±∓|÷√∞]|\\(?!circ|end)[a-z]) | \ ?[-+*/×·]+\ ?(?:[\d(\[\\]|[a-z]\b)
    | \ ?(?:pi|sqrt|ln|log|hundred|thousand|[mbtr]+illion|bn|mn|dozen|squared|cubed|factorial|choose|mod)s?\b
    | \ ?(?:[千百十分点多倍不]|以上|以下|では|じゃ|가\ ?아니|이\ ?아니|[万亿億만억]\ ?\d)
    | ,?\ or\b | \ (?:plus|minus|divided\ by|(?:to|times|over)\ \d)
    | \ ?(?:is|was|isn't|wasn't)(?:(?<=n't)|\ not|\ wrong|\ incorrect)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_EAST = re.compile(f"[{CJK}]")
_LETTERS = re.compile(r"( ?)([^\W\d_]+)")

_PLAIN = str.maketrans(
    dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2015\u207b\ufe63\uff0d", "-")
    | dict.fromkeys("\u2044\u2215\uff0f", "/")
    | dict.fromkeys("≈≃→⇒", "=")
    | {sign: " " + unicodedata.normalize("NFKC", sign).replace("\u2044", "/") for sign in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
)
_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|\{,\}|,\\!|[\u2009\u202f])(?=\d{3})")
_FRACTION = re.compile(r"(\d?)\\[cdt]?frac *\{ *([-\d.,]*) *\} *\{ *([\d.,]*) *\}")
_SPACES = re.compile(r"[^\S\n]+")
_ARGUMENTS = re.compile(r"[}\]] ?\{")
_EQUAL = re.compile(r"\\(?:approx|implies|[Rr]ightarrow|to)(?![a-zA-Z])|[-=]>")
_UNEQUAL = re.compile(r"[!<>]=|\\(?:neq?|[lg]eq?|[lg]t)(?![a-zA-Z])")
_DRESS = re.compile(
    r"""\\(?:text\w*|math[br][fm]|left|right|displaystyle|q?quad)(?![a-zA-Z]) | \\[,;:!\ ] | [{}~]
    | </?[a-zA-Z]\w*> | (?<![\d)])\*\* | \*\*(?![\d(])""",
    re.VERBOSE,
)


def _plain(text: str) -> str:
    """`text` with one spelling of minus, thousands, fractions, "=" and "≠", and without markup."""
    if not text.isascii():
        text = _THOUSANDS.sub(",", text.translate(_PLAIN))
    if "\\" in text or "{" in text:
        text = _THOUSANDS.sub(",", text)
        text = _FRACTION.sub(lambda match: f"{match[1]}{' ' * bool(match[1])}{match[2]}/{match[3]}", text)
        text = _ARGUMENTS.sub("|", text)
    return _DRESS.sub(" ", _EQUAL.sub("=", _UNEQUAL.sub("≠", text)))


def _number(match: re.Match[str]) -> Numeral | None:
    """The number that was matched; None where it is a part of something else, denied, or has no value."""
    start, end = match.span()
    clause, after = match.string[max(0, start - 60) : start], match.string[end : end + 24]
    before = clause[-20:]
    letters = _LETTERS.match(after)
    if _GLUED.search(before) or _PART_AFTER.match(after) or (letters and not _unit(*letters.groups())):
        return None
    sign = _SIGN.search(before := before.rstrip(_BRACKETS))
    if sign:
        before = before[: sign.start()].rstrip()
    if (sign and _OPERAND.search(before)) or _PART_BEFORE.search(before) or _DENIED.search(clause):
        return None
    whole, above, below, digits, exponent, ten, over, scale, percent = match.groups()
    if whole and (len(above), above) >= (len(below), below):
        return None
    if whole:
        text = f"{whole} {above}/{below}"
    elif exponent or ten or scale:
        text = f"{digits}e{exponent or ten or _SCALES[scale.lower()]}"
    else:
        text = digits + (f"/{over}" if over else "")
    minus = sign and sign[0].lower() not in ("+", "plus")
    text = f"{'-' if minus else ''}{text}{'%' if percent else ''}".replace(",", "")
    number = Numeral(text, bool(percent), bool(over or whole))
    return number if len(text) > _LONGEST or value(number) is not None else None


def _unit(space: str, word: str) -> bool:
    """Whether letters after a number may be a unit: touching letters if the unit is known, single ones if usual."""
    if _EAST.match(word):
        return True
    if len(word) == 1:
        return word in ("mgshlLaI" if space else "mgshlL")
    return bool(space) or units.known(word)
