"""The equations in a solution, and whether they are true: "23 + 27 = 50" is, "7 x 8 = 54" is not.

An equation is a chain of arithmetic expressions of plain numbers: "2 + 3 = 5 = 4 + 1". A part of something else is not
one, such as the "3 = 5" in "x + 3 = 5" or in "half of 3 = 5": in doubt nothing is read, since a false equation costs a
solution. Values are exact, but decimals may be rounded: 10 / 3 = 3.33 is true. An equation that is too long to compute,
or divides by zero, is neither true nor false. Nothing that a model wrote is executed.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import groupby, islice, pairwise
from typing import NamedTuple

MAX_PARTS, MAX_DIGITS = 60, 30
"""A side with more numbers and operators is not read; one with a number of more characters is not computed."""

Side = list[str]
"""One side of an equation: its numbers, operators and brackets, in order."""


class Equation(NamedTuple):
    """An equation. `text` is without spaces; `true` is None where it was not computed."""

    text: str
    true: bool | None


def equations(text: str) -> list[Equation]:
    """The equations in `text`, in order."""
    text = _plain(text)
    result: list[Equation] = []
    for run in _RUN.finditer(text):
        if "=" not in run[0]:
            continue
        sides = [_side(side) for side in run[0].replace(",", "").split("=")]
        before, after = text[max(0, run.start() - 20) : run.start()], text[run.end() : run.end() + 60]
        if _remarks(run[0], after):
            sides[-1] = sides[-1][:-1]
        sides[-1] = _last(sides[-1], after)
        readings = [_chains([first, *sides[1:]]) for first in _firsts(sides[0], run[0], before)]
        true = (reading for reading in readings if reading and all(equation.true for equation in reading))
        result += next(true, readings[-1])
    return result


def _chains(sides: list[Side]) -> list[Equation]:
    """The equations that `sides` are: each ends before a side that can't be computed."""
    result: list[Equation] = []
    for sound, group in groupby(sides, lambda side: _tree(side) is not None):
        chain = list(group)
        if sound and len(chain) > 1 and any(len(side) > 1 for side in chain):
            result.append(Equation("=".join(map("".join, chain)), _holds(chain)))
    return result


def _side(text: str) -> Side:
    """The parts of a side; empty where there are too many."""
    parts = [part[0] for part in islice(_PART.finditer(text), MAX_PARTS + 1)]
    return parts if len(parts) <= MAX_PARTS else []


def _firsts(side: Side, run: str, before: str) -> list[Side]:
    """The possible readings of the first side. If it begins like a bullet or with the number of a step, that is read as
    part of the side if this makes the equation true, and is left out otherwise."""
    whole = _first(side, before)
    if run.lstrip(" ").startswith("- ") and before[-1:] in ("", "\n"):
        return [whole, _first(side[1:], "")]
    if side[1:2] == ["-"] and _LABEL_BEFORE.search(before):
        return [whole, _first(side[2:], "")]
    return [whole]


def _first(side: Side, before: str) -> Side:
    """The first side, from after its last unclosed bracket; empty where it is part of what stands before it."""
    unclosed = [index for index in range(len(side)) if side[index] == "(" and _depth(side[index:]) > 0]
    if unclosed:
        return side[unclosed[-1] + 1 :]
    alone = len(side) == 1 or side[:1] == ["-"]
    return [] if _NOT_BEFORE.search(before) or (alone and _WORD_BEFORE.search(before)) else side


def _remarks(run: str, after: str) -> bool:
    """Whether `run` ends with a dash or a bracket that opens a remark."""
    return bool((run.endswith(" - ") and _CLAUSE.match(after)) or (run.endswith(" (") and _ASIDE.match(after)))


def _last(side: Side, after: str) -> Side:
    """The last side, up to its first unopened bracket; empty where it is part of what stands after it."""
    for index in range(len(side)):
        if side[index] == ")" and _depth(side[: index + 1]) < 0:
            return side[:index]
    return [] if _NOT_AFTER.match(after) else side


def _depth(side: Side) -> int:
    return side.count("(") - side.count(")")


def _holds(chain: list[Side]) -> bool | None:
    values = [_value(side) for side in chain]
    if any(
        left is not None and right is not None and abs(left - right) > max(_rounding(a), _rounding(b))
        for (left, a), (right, b) in pairwise(zip(values, chain, strict=True))
    ):
        return False
    return None if None in values else True


def _rounding(side: Side) -> Fraction:
    """The rounding error allowed to a side that is a single decimal: half a unit of its last digit."""
    decimals = len(side[0].partition(".")[2]) if len(side) == 1 else 0
    return Fraction(1, 2 * 10 ** min(decimals, MAX_DIGITS)) if decimals else Fraction(0)


def _value(side: Side) -> Fraction | None:
    tree = _tree(side)
    numbers = [part for part in side if part not in _SIGNS]
    if tree is None or max(map(len, numbers)) > MAX_DIGITS:
        return None
    try:
        return _computed(tree, iter(map(Fraction, numbers)))
    except ZeroDivisionError:
        return None


def _tree(side: Side) -> ast.expr | None:
    """The syntax tree of a side, each number as the name n; None where it is not an arithmetic expression."""
    return _parsed(" ".join(part if part in _SIGNS else "n" for part in side)) if side else None


@lru_cache(maxsize=1024)
def _parsed(form: str) -> ast.expr | None:
    try:
        tree = ast.parse(form, mode="eval").body
    except SyntaxError:
        return None
    return tree if all(isinstance(node, _SUM) for node in ast.walk(tree)) else None


def _computed(node: ast.expr, numbers: Iterator[Fraction]) -> Fraction:
    """The value of an expression whose names stand for `numbers`, in their order."""
    if isinstance(node, ast.BinOp):
        left = _computed(node.left, numbers)
        return _OPERATORS[type(node.op)](left, _computed(node.right, numbers))
    if isinstance(node, ast.UnaryOp):
        return -_computed(node.operand, numbers)
    return next(numbers)


_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SUM: tuple[type[ast.AST], ...] = (ast.BinOp, *_OPERATORS, ast.UnaryOp, ast.USub, ast.Name, ast.Load)
_SIGNS = set("+-*/()")


# Where the sides of an equation are, and the contexts in which they are part of something else.

_NUMBER = r"(?>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_PART = re.compile(rf"{_NUMBER}|[-+*/()]", re.ASCII)
_RUN = re.compile(rf"(?<![\w.,:])(?:{_NUMBER}(?!\w|:\d)|\)(?!\w)|[-+*/(= ])++", re.ASCII)
_WORD_BEFORE = re.compile(r"\w *\Z")
_NOT_BEFORE = re.compile(
    r"[^\s\w,;:.<>{\[] *\Z"
    r"|\b(?:of|to|by|from|over|than|plus|minus|times|half|twice|double|triple|root|mod|negative) *\Z",
    re.IGNORECASE,
)
"""Before a part of something else: "half of 10 + 6 = 11" is not about 16."""
_LABEL_BEFORE = re.compile(
    r"\b(?:step|part|case|problem|question|exercise|example|task|item|line|row|round|stage|phase|option|method|attempt"
    r"|chapter|section|lesson|figure|table|number|page|pp|day|week|month|year|age)s?\.? *\Z",
    re.IGNORECASE,
)
"""Before a number that is a label, so that the sign after it is a dash: "Step 1 - 10 + 5 = 15", "pages 10-15"."""
_CLAUSE = re.compile(
    r"(?:that|this|it|so|which|and|but|because|as|since|then|therefore|thus|hence|we|you|they|there|now|not|or|done|yes"
    r"|no|correct|right|wrong)\b",
    re.IGNORECASE,
)
"""After a dash that is not a minus, unlike that of "30 - 5 = 27 - discount"."""
_ASIDE = re.compile(
    r"(?=[^\W\d_]{2})(?![^)]*\b(?:mod|rem|left|round|trunc|drop|ignor|approx|about|near|almost|roughly|estimat|integer"
    r"|whole|floor|ceil|base|binary|octal|hex|clock|per ?cent|or\b))",
    re.IGNORECASE,
)
"""In brackets that only comment: words, and none that qualify the result, as in "7 / 2 = 3 (rounded)"."""
_NOT_AFTER = re.compile(
    r"[^\s\w,;:.<>}\]]|[.:]\d"
    r"|(?:r\d*|rem\w*|rest|with|and (?:a|\d+ ?/ ?\d+)|plus|minus|times|divided|over|mod|squared|cubed|percent|per cent"
    r"|dozen|hundred|thousand|\w+illion|[knxyz])\b",
    re.IGNORECASE,
)
"""After a part of something else: "7 / 2 = 3 remainder 1" is not false."""

_PLAIN = str.maketrans(
    dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-")
    | dict.fromkeys("×·∙⋅✕", "*")
    | dict.fromkeys("÷⁄∕", "/")
    | dict.fromkeys("$€£¥", "")
    | dict.fromkeys("→⇒", ";")
)
_TIMES = re.compile(r"(?<=[\d)]) ?[xX] ?(?=[\d(])")
_BOLD = re.compile(r"(?<![\d)])\*\*|\*\*(?![\d(])")
_BULLET = re.compile(r"^ ?(?:[*+•]|\d+[.)]) ", re.MULTILINE)


def _plain(text: str) -> str:
    """`text` with one character for each operator, and without bullets, currencies and formatting."""
    text = re.sub(r"[^\S\n]+", " ", text).translate(_PLAIN)
    text = re.sub(r"\\(?:times|cdot)(?![a-zA-Z])", "*", text)
    text = re.sub(r"\\div(?![a-zA-Z])", "/", text)
    text = re.sub(r"(?<![-=])[-=]+>", ";", re.sub(r"\\[()\[\],;!]", " ", text))
    return _TIMES.sub(" * ", _BULLET.sub("", _BOLD.sub("", text)))
