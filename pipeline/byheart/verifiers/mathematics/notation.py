"""A written answer, split into its parts.

    x = 1 or x = -2   ->  Several(Named("x", Value("1")), Named("x", Value("-2")))
    [0,∞)             ->  Ordered(Value("0"), Value("∞")) in "[)"

The text is tidied already (latex.py). Only the outer form is read here; Values are evaluated by algebra.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise, product

import mpmath
from sympy import Expr, FiniteSet, Intersection, Interval, Rational, Reals, Set, Symbol, Union, oo

from byheart.verifiers.mathematics import units
from byheart.verifiers.mathematics.algebra import Unreadable, equal, real
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
    """Real numbers, as an interval, an inequality or a union of them gives them; ends that are no rational numbers are
    to 50 digits."""

    numbers: Set
    name: str = ""


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
    r"(?:either|both|therefore|thus|hence|so|then|approximately|about|roughly|exactly|simply|just|only)(?![a-zA-Z])[\s:]*|^[≈:]\s*",
    re.I,
)
_PARAMETER = re.compile(r"[,;]?[\s¦(]*(?:where|for|with)?\s*[a-zA-Z]∈\\mathbb\{Z\}\)?$")
_QUANTITY = r"(?:[a-zA-Z]|\\(?!frac|sqrt)[a-zA-Z]+)(?:_(?:\w|\{[^{}]*\}))?'*(?:\([\w, ]*\))?|[A-Z]{2,3}"
_NAME = re.compile(
    rf"{_QUANTITY}|\([a-zA-Z](?:,[a-zA-Z])+\)|[¦a-zA-Z ]{{3,}}|\\(?:overline|angle|triangle)[ {{]?[A-Z]+\}}?"
    rf"|m?(?:\\angle|∠)\s*[A-Z]+|P\([^()]*\)|\\(?:sin|cos|tan|cot) ?(?:\\[a-z]+ ?|[A-Z])|\|[A-Z]{{2}}\|"
    rf"|(?:{_QUANTITY}):(?:{_QUANTITY})|\\frac\{{[A-Z]{{1,3}}\}}\{{[A-Z]{{1,3}}\}}"
)
_POINT = re.compile(r"([A-Z]'?)(\(.+,.+\))")
_SIGN = re.compile(r"[=<>≤≥≠∈≡]")
_MODULUS = re.compile(r"[ ¦(]*\\?[bp]?mod[ {]*(\w+)\}?\)?$")
FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "=": "=", "≠": "≠"}
_NUMERALS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_REALS = Region(Reals)


@lru_cache(maxsize=8192)
def read(text: str) -> Answer:
    """The tidied `text` as an Answer. Raises Unreadable."""
    text = _FILLER.sub("", _PARAMETER.sub("", text.rpartition("⇒")[2])).strip(" ¦,;.")
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
    for separator, form in (("≈", _approximate), ("∪", _union)):
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
        common = Intersection(*(item.numbers for item in regions))
        if len(regions) < len(flat) or common.is_empty:
            raise Unreadable("conditions joined by a comma or 'and'")
        return Region(common, _common_name(regions))
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Several(unique)


def _approximate(items: tuple[Answer, ...]) -> Answer:
    return Approximate(tuple(chain.from_iterable(x.items if isinstance(x, Approximate) else (x,) for x in items)))


def _union(items: tuple[Answer, ...]) -> Region:
    return Region(Union(*map(_set, items)), _common_name([item for item in items if isinstance(item, Region)]))


def _common_name(regions: list[Region]) -> str:
    """The unknown that all conditions are on; "" where none names one."""
    given = {region.name for region in regions if region.name}
    if len(given) > 1:
        raise Unreadable("conditions on several unknowns")
    return given.pop() if given else ""


def numbers(answer: Answer) -> Set | None:
    """The real numbers that an answer gives, a pair in brackets being an interval; None where it gives none. Raises
    Unreadable if an end is no real number."""
    match answer:
        case Region(region, _):
            return region
        case Ordered((low, high), "()" | "[]" | "(]" | "[)" as brackets):
            return Interval(_end(low), _end(high), brackets[0] == "(", brackets[1] == ")")
        case Several(items):
            return Union(*map(_set, items))
        case Value():
            return FiniteSet(_end(answer))
        case Named(_, item):
            return numbers(item)
    return None


def _set(answer: Answer) -> Set:
    if (given := numbers(answer)) is None:
        raise Unreadable("a set of something else than numbers")
    return given


def _end(answer: Answer) -> Expr:
    if not isinstance(answer, Value):
        raise Unreadable("an end of an interval is no number")
    if re.search(r"(?<![\\a-zA-Z])[a-zA-Z]", answer.text) and answer.text not in ("e", "i"):
        return Symbol(answer.text, real=True)  # compared as it is written
    size = real(answer.text)
    return int(mpmath.sign(size)) * oo if mpmath.isinf(size) else Rational(mpmath.nstr(size, 50))


def _relation(text: str) -> Answer:
    signs = _SIGN.findall("".join(_outside(text)))
    parts = split(text, _SIGN.pattern)
    first, last = parts[0], parts[-1]
    if "" in parts or len(signs) != len(parts) - 1:
        raise Unreadable(f"{text[:60]!r} lacks a side")
    if signs == ["∈"]:
        return read(last)
    if signs[-1] == "≡":
        modulus = _MODULUS.search(last)
        return Named(f"mod {modulus[1] if modulus else ''}", read(_MODULUS.sub("", last)))
    if set(signs) == {"="}:
        if _NAME.fullmatch(first):
            return Named(re.sub(r"[¦\s]", "", first), read(last))
        if len(parts) == 2 and _NAME.fullmatch(last):
            return Named(re.sub(r"[¦\s]", "", last), read(first))
        if not re.search(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", "", text)):
            return Approximate(tuple(map(read, parts)))
        if r"\begin" in first and (len(parts) == 2 or r"\begin" in last):
            return Named("", read(last))
        if r"\begin" in last and re.fullmatch(r"[A-Z]\^(?:\{-?\w+\}|T)", first):
            return Named(first, read(last))
        if len(parts) > 2 and all(equal(a, b) for a, b in pairwise(parts[1:])):  # a chain ends in the answer
            return Named("", read(last))
    if len(parts) == 2:
        if _NAME.fullmatch(last) and not _NAME.fullmatch(first):
            first, last, signs = last, first, [FLIPPED[signs[0]]]
        if _NAME.fullmatch(first) and not _mentions(last, first) and signs[0] != "=":
            return Region(_half_line(signs[0], read(last)), first)
        return Relation(signs[0], first, last)
    if len(parts) == 3 and _NAME.fullmatch(parts[1]) and not _mentions(first + last, parts[1]):
        if set(signs) <= set(">≥"):
            first, last, signs = last, first, [FLIPPED[sign] for sign in reversed(signs)]
        if set(signs) <= set("<≤"):
            brackets = "(["[signs[0] == "≤"] + ")]"[signs[1] == "≤"]
            return Region(_set(Ordered((read(first), read(last)), brackets)), parts[1])
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


def _half_line(sign: str, end: Answer) -> Set:
    if sign == "≠":
        return Reals - _set(end)
    x = _end(end)
    beyond = {"<": Interval.open(-oo, x), "≤": Interval(-oo, x), ">": Interval.open(x, oo), "≥": Interval(x, oo)}
    return beyond[sign]


def _one(text: str) -> Answer:
    if text in ("\\mathbb{R}", "all real numbers", "all reals"):
        return _REALS
    if text == "∅":
        return Several(())
    if "∖" in text:
        whole, _, rest = text.partition("∖")
        return Region(_set(read(whole)) - _set(read(rest)))
    if match := _MATRIX.fullmatch(text):
        return _matrix(**match.groupdict())
    if point := _POINT.fullmatch(text):
        return Named(point[1], read(point[2]))
    if time := _TIME.fullmatch(text):
        return Words(f"{int(time[1])}:{time[2]} {time[3] or ''}".strip().lower().replace(".", ""))
    if text[0] in "([⦃{" and _encloses(text):
        inside, brackets = text[1:-1], text[0] + text[-1]
        if brackets == "⦃⦄" or (brackets == "{}" and len(split(inside, ",")) > 1):
            if condition := re.fullmatch(r"[a-zA-Z](?:∈\\mathbb\{R\})?[|:](.+)", inside):
                return read(condition[1])
            if re.search(r"[|:]", inside):
                raise Unreadable("a set given by a condition")
            if inside.startswith("⦃"):
                raise Unreadable("a set of sets")
            return read(inside) if inside.strip() else Several(())
        items = split(inside, "[,;]")
        if len(items) > 1:
            read_items = tuple(map(read, items))
            rows = [
                item.items for item in read_items if isinstance(item, Ordered) and item.brackets == brackets == "[]"
            ]
            return Matrix(tuple(rows)) if len(rows) == len(items) else Ordered(read_items, brackets)
        if brackets in ("()", "{}"):
            return read(inside)
    if "±" in text or "∓" in text:
        return _plus_minus(text)
    return _measured(text)


_MATRIX = re.compile(
    r"(?P<factor>[^&]*?)\*?[(\[|]?\\begin\{(?P<kind>(?:small|[pbvBV])?matrix|array)\}(?:\{[lcr|]*\})?(?P<cells>.*)\\end\{(?P=kind)\}(?P<close>[)\]|]?)"
)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?:[ ¦]?([aApP]\.?[mM])\.?)?")


def _matrix(factor: str, kind: str, cells: str, close: str) -> Answer:
    """A matrix, or a number times one."""
    if kind == "vmatrix" or close == "|":
        raise Unreadable("a determinant")
    rows = [split(row, "&") for row in re.split(r"\\\\(?:\[[^\]]*\])?", cells) if row.strip()]
    times = "-1" if factor == "-" else factor
    return Matrix(tuple(tuple(read(f"({times})*({cell})" if times else cell) for cell in row) for row in rows))


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


def _measured(text: str) -> Answer:
    """A value and its unit, before or after it. The base of a numeral counts as its unit."""
    if r"\begin" in text:
        raise Unreadable("matrices that are not worked out")
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
            value, unit = f"({value})*10^{{{units.SCALES[scale[1]]}}}", unit[scale.end() :]
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
