"""A written answer, split into its parts.

    x = 1 or x = -2   ->  Several(Named("x", Value("1")), Named("x", Value("-2")))
    [0,∞)             ->  Ordered(Value("0"), Value("∞")) in "[)"

The text is tidied already (latex.py). Only the outer form is read here; Values are evaluated by algebra.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, product

from byheart.verifiers.mathematics import units
from byheart.verifiers.mathematics.algebra import Unreadable
from byheart.verifiers.mathematics.latex import number


@dataclass(frozen=True)
class Value:
    """One expression, with its unit if it has one."""

    text: str
    unit: str = ""


@dataclass(frozen=True)
class Named:
    """A value with its name: x = 5."""

    name: str
    item: Answer


@dataclass(frozen=True)
class Several:
    """Solutions in no order."""

    items: tuple[Answer, ...]


@dataclass(frozen=True)
class Ordered:
    """A point, tuple or interval, with its two brackets."""

    items: tuple[Answer, ...]
    brackets: str


@dataclass(frozen=True)
class Region:
    """Real numbers: intervals and single points, without some points."""

    pieces: tuple[Answer, ...]
    without: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Matrix:
    """A matrix, row by row."""

    rows: tuple[tuple[Answer, ...], ...]


@dataclass(frozen=True)
class Relation:
    """An equation or inequality that does not give a single value or interval."""

    sign: str
    left: str
    right: str


@dataclass(frozen=True)
class Approximate:
    """sqrt(2) ≈ 1.414: either side is the answer if they are close."""

    items: tuple[Answer, ...]


@dataclass(frozen=True)
class Words:
    """An answer in words, such as "no solution"."""

    text: str


Answer = Value | Named | Several | Ordered | Region | Matrix | Relation | Approximate | Words


def expressions(answer: Answer) -> Iterator[str]:
    """The expressions in `answer`, which algebra.py evaluates."""
    match answer:
        case Value():
            yield answer.text
        case Relation():
            yield from (answer.left, answer.right)
        case Named():
            yield from expressions(answer.item)
        case Region():
            yield from chain.from_iterable(map(expressions, (*answer.pieces, *answer.without)))
        case Matrix():
            yield from chain.from_iterable(map(expressions, chain.from_iterable(answer.rows)))
        case Several() | Ordered() | Approximate():
            yield from chain.from_iterable(map(expressions, answer.items))


_BRACKET = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|[(\[{⦃)\]}⦄]")


def split(text: str, separator: str) -> list[str]:
    """The parts of `text` between matches of `separator` outside of brackets. Raises Unreadable."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(rf"{_BRACKET.pattern}|(?P<here>{separator})", text):
        if match["here"] is None:
            depth += 1 if match[0][0] in "([{⦃" or match[0].startswith("\\begin") else -1
            if depth < 0:
                raise Unreadable("a bracket is closed that was not opened")
            if depth > 40:
                raise Unreadable("nested too deeply")
        elif depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    if depth:
        raise Unreadable("a bracket is not closed")
    return [part.strip(" ¦") for part in [*parts, text[start:]]]


_OR, _AND = r"[¦\s,]*(?<![a-zA-Z\\])or(?![a-zA-Z])[¦\s]*", r"[¦\s,]*(?<![a-zA-Z\\])(?:and|&)(?![a-zA-Z])[¦\s]*"
_FILLER = re.compile(
    r"(?:either|both|approximately|about|roughly|exactly|simply|just|only)(?![a-zA-Z])[\s:]*|^[≈:]\s*", re.I
)
_PARAMETER = re.compile(r"[,;]?[\s¦(]*(?:where|for|with)?\s*[a-zA-Z]∈\\mathbb\{Z\}\)?$")
_NAME = re.compile(
    r"(?:[a-zA-Z]|\\(?!frac|sqrt)[a-zA-Z]+)(?:_(?:\w|\{[^{}]*\}))?'*(?:\([\w, ]*\))?|\([a-zA-Z](?:,[a-zA-Z])+\)"
    r"|[¦a-zA-Z ]{3,}|\\(?:overline|angle|triangle)[ {]?[A-Z]+\}?|(?:\\angle|∠)\s*[A-Z]+|[A-Z]{2,3}"
)
_SIGN = re.compile(r"[=<>≤≥≠∈]")
_FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "=": "=", "≠": "≠"}
_NUMERALS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_REALS = Region((Ordered((Value("-∞"), Value("∞")), "()"),))


@lru_cache(maxsize=8192)
def read(text: str) -> Answer:
    """The tidied `text` as an Answer. Raises Unreadable."""
    text = _FILLER.sub("", _PARAMETER.sub("", text)).strip(" ¦,;.")
    if not text or len(text) > 2000:
        raise Unreadable("too long an answer" if text else "an empty answer")
    if text.lower() in _NUMERALS:
        return Value(str(_NUMERALS.index(text.lower())))
    if wordy(text) and not re.search(rf"{_OR}|{_AND}|,", text):
        return _words(text)
    for separator in (_OR, _AND, r"[,;]"):
        parts = split(text, separator)
        if len(parts) > 1:
            return _several([read(part) for part in parts if part], separator)
    for separator, form in (("≈", Approximate), ("∪", _union)):
        parts = split(text, separator)
        if len(parts) > 1:
            return form(tuple(read(part) for part in parts))
    if len(split(text, _SIGN.pattern)) > 1:
        return _relation(text)
    return _one(text)


def _several(items: list[Answer], separator: str) -> Answer:
    flat = [inner for item in items for inner in (item.items if isinstance(item, Several) else [item])]
    regions = [item for item in flat if isinstance(item, Region)]
    if len(regions) == len(flat) and len(flat) > 1 and separator == _OR:
        return _union(tuple(flat))
    if regions:
        raise Unreadable("conditions joined by a comma or 'and'")
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Several(unique)


def _union(items: tuple[Answer, ...]) -> Region:
    pieces: list[Answer] = []
    for item in items:
        if isinstance(item, Region) and item.without:
            raise Unreadable("a union of sets with points left out")
        pieces += item.pieces if isinstance(item, Region) else item.items if isinstance(item, Several) else [item]
    return Region(tuple(pieces))


def _relation(text: str) -> Answer:
    signs = _SIGN.findall("".join(_outside(text)))
    parts = split(text, _SIGN.pattern)
    first, last = parts[0], parts[-1]
    if "" in parts or len(signs) != len(parts) - 1:
        raise Unreadable(f"{text[:60]!r} lacks a side")
    if signs == ["∈"]:
        return read(last)
    if set(signs) == {"="}:
        if _NAME.fullmatch(first):
            return Named(re.sub(r"[¦\s]", "", first), read(last))
        if len(parts) == 2 and _NAME.fullmatch(last):
            return Named(re.sub(r"[¦\s]", "", last), read(first))
        if not re.search(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", "", text)):
            return Approximate(tuple(map(read, parts)))
    if len(parts) == 2:
        if _NAME.fullmatch(last) and not _NAME.fullmatch(first):
            first, last, signs = last, first, [_FLIPPED[signs[0]]]
        if _NAME.fullmatch(first) and not _mentions(last, first) and signs[0] != "=":
            return _half_line(signs[0], read(last))
        return Relation(signs[0], first, last)
    if len(parts) == 3 and _NAME.fullmatch(parts[1]) and not _mentions(first + last, parts[1]):
        if set(signs) <= set(">≥"):
            first, last, signs = last, first, [_FLIPPED[sign] for sign in reversed(signs)]
        if set(signs) <= set("<≤"):
            brackets = "(["[signs[0] == "≤"] + ")]"[signs[1] == "≤"]
            return Region((Ordered((read(first), read(last)), brackets),))
    raise Unreadable(f"{text[:60]!r} is no relation of a known form")


def _outside(text: str) -> list[str]:
    """The characters outside of brackets."""
    depth, outside = 0, []
    for character in text:
        depth += (character in "([{⦃") - (character in ")]}⦄")
        if depth == 0:
            outside.append(character)
    return outside


def _mentions(text: str, name: str) -> bool:
    return bool(re.search(rf"(?<![\\a-zA-Z]){re.escape(name)}(?![a-zA-Z])", text))


def _half_line(sign: str, end: Answer) -> Region:
    if sign == "≠":
        return Region(_REALS.pieces, (end,))
    below = (Value("-∞"), end), "()" if sign == "<" else "(]"
    above = (end, Value("∞")), "()" if sign == ">" else "[)"
    return Region((Ordered(*(below if sign in "<≤" else above)),))


def _one(text: str) -> Answer:
    if text in ("\\mathbb{R}", "all real numbers", "all reals"):
        return _REALS
    if text == "∅":
        return Several(())
    if "∖" in text:
        whole, _, rest = text.partition("∖")
        left, points = read(whole), read(rest)
        pieces = left.pieces if isinstance(left, Region) else (left,)
        return Region(pieces, points.items if isinstance(points, Several) else (points,))
    if match := _MATRIX.fullmatch(text):
        return _matrix(**match.groupdict())
    if time := _TIME.fullmatch(text):
        return Words(f"{int(time[1])}:{time[2]} {time[3] or ''}".strip().lower().replace(".", ""))
    if text[0] in "([⦃{" and _encloses(text):
        inside, brackets = text[1:-1], text[0] + text[-1]
        if brackets == "⦃⦄" or (brackets == "{}" and len(split(inside, ",")) > 1):
            if re.search(r"[|:]", inside):
                raise Unreadable("a set given by a condition")
            if inside.startswith("⦃"):
                raise Unreadable("a set of sets")
            return read(inside) if inside.strip() else Several(())
        items = split(inside, "[,;]")
        if len(items) > 1:
            return Ordered(tuple(map(read, items)), brackets)
        if brackets in ("()", "{}"):
            return read(inside)
    if "±" in text or "∓" in text:
        return _plus_minus(text)
    return _measured(text)


_MATRIX = re.compile(
    r"(?P<factor>[^&]*?)\*?[(\[|]?\\begin\{(?P<kind>[pbvBV]?matrix|array)\}(?:\{[lcr|]*\})?(?P<cells>.*)\\end\{(?P=kind)\}(?P<close>[)\]|]?)"
)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?:[ ¦]?([aApP]\.?[mM])\.?)?")


def _matrix(factor: str, kind: str, cells: str, close: str) -> Answer:
    """A matrix, a number times one, or the number that a determinant is."""
    rows = [split(row, "&") for row in re.split(r"\\\\(?:\[[^\]]*\])?", cells) if row.strip()]
    if kind == "vmatrix" or close == "|":
        return Value(f"({factor or 1})*({_determinant(rows)})")
    times = "-1" if factor == "-" else factor
    return Matrix(tuple(tuple(read(f"({times})*({cell})" if times else cell) for cell in row) for row in rows))


def _determinant(rows: list[list[str]]) -> str:
    if len(rows) > 4 or any(len(row) != len(rows) for row in rows):
        raise Unreadable("a determinant that is not square, or too large")
    if len(rows) == 1:
        return rows[0][0]
    minors = ([row[:i] + row[i + 1 :] for row in rows[1:]] for i in range(len(rows)))
    terms = (f"(-1)^{{{i}}}*({rows[0][i]})*({_determinant(minor)})" for i, minor in enumerate(minors))
    return "+".join(terms)


def _encloses(text: str) -> bool:
    """Whether the first character is a bracket that the last one closes."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{⦃") - (character in ")]}⦄")
        if depth == 0:
            return position == len(text) - 1
    return False


def _plus_minus(text: str) -> Answer:
    """The values for every choice of signs; with a minus-plus, all signs are chosen together."""
    count = text.count("±")
    if count > 4:
        raise Unreadable("too many signs")
    together = "∓" in text or count == 0
    values = []
    for signs in [("+",), ("-",)] if together else product("+-", repeat=count):
        first, *others = text.split("±")
        chosen = signs * len(others) if together else signs
        term = first + "".join(sign + part for sign, part in zip(chosen, others, strict=True))
        values.append(read(term.replace("∓", "-" if signs[0] == "+" else "+").removeprefix("+")))
    return _several(values, ",")


_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}


def _measured(text: str) -> Answer:
    """A value and its unit, before or after it. The base of a numeral counts as its unit."""
    if base := re.fullmatch(r"([\dA-F]+)_\{(?:10|\d)\}", text):
        return Value(base[1], f"base {text[len(base[1]) + 2 : -1]}")
    if money := re.fullmatch(r"(-?)([¤€£])(-?)(.*\d.*)", text):
        inner = _measured(money[1] + money[3] + money[4])
        if isinstance(inner, Value) and inner.unit in ("", "dollar", "euro"):
            return Value(inner.text, {"¤": "dollar", "€": "euro", "£": "sterling"}[money[2]])
        raise Unreadable("money with another unit")
    for cut in re.finditer(
        r"(?<=[\d)}\]!])(?=[°%])|(?<=[\d)}\]!])(?=[A-Za-z¦])|(?<=\w)[ ¦]+(?=[A-Za-z])|(?<=\w)¦", text
    ):
        value, unit = text[: cut.start()].strip(" ¦"), text[cut.end() :].strip(" ¦")
        joined = cut.start() == cut.end() and text[cut.start()] != "¦"
        exact = number(value) is not None
        scale = re.match(r"(hundred|thousand|million|billion|trillion)s?(?![a-zA-Z])[ ¦]*", unit)
        if scale and exact:
            value, unit = f"({value})*10^{{{_SCALES[scale[1]]}}}", unit[scale.end() :]
        if not unit:
            return Value(value)
        if joined and len(unit) == 1 and unit.isalpha():
            continue
        if unit[0] == "°" and re.search(r"\\(?:sin|cos|tan|cot|sec|csc)", value):
            break
        if units.known(unit) or (exact and units.plausible(unit)):
            return Value(value, unit)
    if re.search(r"[a-zA-Z]{4,}|¦", re.sub(r"\\[a-zA-Z]+", "", text)) and not text.startswith("\\"):
        plain = text.replace("¦", " ").strip()
        if re.search(r"(?<![\\a-zA-Z])[a-zA-Z]{3,}", plain):
            raise Unreadable(f"{text[:60]!r} is neither words nor an expression")
        return Value(plain)
    return Value(text.replace("¦", " "))


_SHORT = re.compile("yes|no|true|false|odd|even|none|dne|both|mon|tue|wed|thu|fri|sat|sun", re.IGNORECASE)


def wordy(text: str) -> bool:
    """Whether `text` is words, not an expression: yes, Evelyn, no solution; but not x, ab or sin x."""
    plain = text.replace("¦", " ").strip()
    if not re.fullmatch(r"[(]?[a-zA-Z][a-zA-Z ,'.&()-]*", plain):
        return False
    words = re.findall(r"[a-zA-Z]+", plain)
    return any(
        len(word) > 3 or _SHORT.fullmatch(word) or (len(word) == 3 and word[1:].islower() and word[0].isupper())
        for word in words
    )


def _words(text: str) -> Answer:
    plain = " ".join(re.findall(r"[a-z]+", text.casefold().replace("¦", " ")))
    if plain in ("all real numbers", "all reals"):
        return _REALS
    return Words(plain)
