"""Whether two answers are the same, part by part: True, False, or None if undecided.

The gold answer comes first, since the order matters: a tuple for gold solutions in any order is judged differently from
a list of solutions for a gold tuple.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain

import mpmath
import sympy

from byheart.verifiers.mathematics import units
from byheart.verifiers.mathematics.algebra import Unreadable, equal, expression, real
from byheart.verifiers.mathematics.latex import number
from byheart.verifiers.mathematics.notation import (
    FLIPPED,
    Answer,
    Approximate,
    Matrix,
    Named,
    Ordered,
    Region,
    Relation,
    Several,
    Value,
    Words,
    numbers,
)


def same(gold: Answer, answer: Answer) -> bool | None:
    """Whether two answers of any form are the same. Raises Unreadable."""
    match gold, answer:
        case Approximate(), _:
            verdict = any_of(same(item, answer) for item in gold.items)
            return verdict if verdict is not True or consistent(gold) else None
        case _, Approximate():
            verdict = any_of(same(gold, item) for item in answer.items)
            return verdict if verdict is not True or consistent(answer) else None
        case Value(), Value():
            return same_value(gold, answer)
        case Words(), Words():
            return same_words(gold.text, answer.text)
        case Named(), Named():
            verdict = same(gold.item, answer.item)
            if _same_name(gold.name, answer.name):
                return None if verdict is False and gold.name.startswith("mod ") else verdict
            return None if verdict or len(gold.name) > 1 else verdict
        case Relation(), Relation():
            return same_relation(gold, answer)
        case (Named(name, Value(text)), Relation("=") as other) | (Relation("=") as other, Named(name, Value(text))):
            return same_relation(Relation("=", name, text), other)
        case Named(), _:
            return same(gold.item, answer)
        case _, Named():
            return None if isinstance(gold, Relation) else same(gold, answer.item)
        case Matrix(), Matrix():
            if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
                return False
            pairs = zip(gold.rows, answer.rows, strict=True)
            return all_of(same(a, b) for rows in pairs for a, b in zip(*rows, strict=True))
        case (Matrix(rows), Ordered(point)) | (Ordered(point), Matrix(rows)):  # a row or a column is a vector
            return in_order(tuple(chain.from_iterable(rows)), point) if 1 in (len(rows), len(rows[0])) else None
        case Ordered(), Ordered():
            verdict = in_order(gold.items, answer.items)
            if gold.brackets == answer.brackets:
                return verdict
            return False if verdict is False or {gold.brackets, answer.brackets} <= _INTERVALS else None
        case Several(), Several():
            return same_solutions(gold, answer)
        case (Several(), Ordered()) | (Ordered(), Several()):
            return same_listed(gold, answer)
        case (Region(), _) | (_, Region()):
            return same_region(gold, answer)
        case Value(), Relation("=", left, right) if same_number(left, right):  # something worked out
            return same_number(gold.text, right)
        case (Relation(), _) | (_, Relation()):
            return None
        case (Words() as words, Value()) | (Value(), Words() as words) if ":" in words.text:  # a time, or a ratio
            return None
        case (Several(items=()), Words() as words) | (Words() as words, Several(items=())):
            return True if _NOTHING.fullmatch(words.text) else None
    return False


_NOTHING = re.compile("none|no (?:real )?solutions?|empty set|dne|does not exist|undefined")
_INTERVALS = {"()", "[]", "(]", "[)"}


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """False if any is False, True if all are True, else None."""
    seen = list(verdicts)
    return False if False in seen else None if None in seen else True


def any_of(verdicts: Iterable[bool | None]) -> bool | None:
    """True if any is True, False if all are False, else None."""
    seen = list(verdicts)
    return True if True in seen else None if None in seen else False


def in_order(gold: tuple[Answer, ...], answer: tuple[Answer, ...]) -> bool | None:
    """Whether two tuples have the same items in the same order."""
    if len(gold) != len(answer):
        return False
    return all_of(same(a, b) for a, b in zip(gold, answer, strict=True))


def same_value(gold: Value, answer: Value) -> bool | None:
    """Equal numbers with the same unit, or with a unit on one side only; 5 m and 500 cm are the same."""
    if gold.unit == answer.unit or units.same_words(gold.unit, answer.unit):
        return same_number(gold.text, answer.text)
    if "%" in (gold.unit, answer.unit) and "" in (gold.unit, answer.unit):
        return same_share(gold, answer)
    if not gold.unit and answer.unit.startswith("base"):
        return False if same_number(gold.text, answer.text) is False else None
    if {gold.unit, answer.unit} in ({"°", ""}, {"degrees", ""}) and same_number(_radians(gold), _radians(answer)):
        return True
    if not gold.unit or not answer.unit:
        return same_number(gold.text, answer.text)
    a, b = units.measure(gold.unit), units.measure(answer.unit)
    if a is None or b is None:
        return False if same_number(gold.text, answer.text) is False else None
    return a[0] == b[0] and same_number(f"({gold.text})*{_plain(a[1])}", f"({answer.text})*{_plain(b[1])}")


def _radians(angle: Value) -> str:
    return rf"({angle.text})*\frac{{\pi}}{{180}}" if angle.unit else angle.text


def _plain(fraction: Fraction) -> str:
    top, _, bottom = str(fraction).partition("/")
    return rf"\frac{{{top}}}{{{bottom or 1}}}"


def same_share(gold: Value, answer: Value) -> bool | None:
    """50% is 0.5, and 50 if the gold answer is in percent; but 0.5% for 0.5 may mean either and is undecided."""
    as_share = [f"({side.text})*\\frac{{1}}{{100}}" if side.unit else side.text for side in (gold, answer)]
    if same_number(*as_share):
        return True
    verdict = same_number(gold.text, answer.text)
    if verdict and not gold.unit and abs(number(gold.text) or Fraction(0)) <= 1:
        return None
    return verdict


_LETTERS = re.compile("[A-Z]{2,}|[a-z]{3,}")


def same_number(gold: str, answer: str) -> bool | None:
    """Whether two expressions are equal. Words of letters are names, or products of variables."""
    if _LETTERS.fullmatch(gold) and _LETTERS.fullmatch(answer) and gold != answer:
        return None if sorted(gold) == sorted(answer) else False  # AB and BA, cat and act: products or names
    exact = number(gold), number(answer)
    verdict = exact[0] == exact[1] if None not in exact else equal(gold, answer)
    decimals = _DECIMAL.fullmatch(gold), _DECIMAL.fullmatch(answer)
    if verdict is False and bool(decimals[0]) != bool(decimals[1]):
        return _rounds(gold, decimals[1]) if decimals[1] else _rounds(answer, decimals[0])
    return verdict


_DECIMAL = re.compile(r"-?\d*\.(\d+)")


def _rounds(exact: str, decimal: re.Match[str] | None) -> bool | None:
    """Whether `exact`, which is no decimal, is `decimal` to all its digits, of which six count; None if they are cut
    off instead of rounded."""
    assert decimal is not None
    if len(re.sub(r"^-?[0.]*|\.|0*$", "", decimal[0])) < 6:
        return False
    try:
        size = real(exact)
        off = abs(size - mpmath.mpf(decimal[0])) * 10 ** len(decimal[1])
    except Unreadable:
        return False
    with mpmath.workdps(60):
        if abs(size * 10**30 - mpmath.nint(size * 10**30)) < 1e-9:
            return False  # a decimal itself, and another
    return True if off <= 0.5 else None if off < 1 else False


def same_words(gold: str, answer: str) -> bool | None:
    """Whether two texts of words are equal; None if one has all words of the other, or both say that there is none."""
    if gold == answer:
        return True
    if _NOTHING.fullmatch(gold) and _NOTHING.fullmatch(answer):
        return None
    a, b = gold.split(), answer.split()
    return None if set(a) <= set(b) or set(b) <= set(a) else False


def _same_name(a: str, b: str) -> bool:
    """Whether two names may be of the same thing: a word, or none, may be anything's, and y is f(x)."""
    loose = [not name or re.fullmatch(r"[a-zA-Z]{4,}", name) is not None for name in (a, b)]
    return any(loose) or a.replace(" ", "") == b.replace(" ", "") or {a, b} == {"y", "f(x)"}


def consistent(sides: Approximate) -> bool:
    """Whether the sides of sqrt(2) ≈ 1.414 are numbers within one percent of each other."""
    texts = [item.text for item in map(_unnamed, sides.items) if isinstance(item, Value)]
    if len(texts) < len(sides.items):
        return False
    values = [real(text) for text in texts]
    return all(abs(value - values[0]) <= abs(values[0]) / 100 for value in values)


def _unnamed(answer: Answer) -> Answer:
    return answer.item if isinstance(answer, Named) else answer


def same_relation(gold: Relation, answer: Relation) -> bool | None:
    """Whether two equations of polynomials have the same solutions, or two inequalities differ by a constant factor."""
    sides = [expression(side.left) - expression(side.right) for side in (gold, answer)]
    symbols = sorted(sides[0].free_symbols | sides[1].free_symbols, key=str)
    try:
        a, b = (sympy.Poly(side, *symbols, domain="QQ") for side in sides)
    except (sympy.PolynomialError, sympy.CoercionFailed, ValueError):
        return None
    if gold.sign == answer.sign == "=":
        return bool(a.sqf_part().monic() == b.sqf_part().monic())
    reversed_sign = FLIPPED.get(answer.sign) if a.LC() * b.LC() < 0 else answer.sign
    return gold.sign == reversed_sign if a.monic() == b.monic() else None


def names(answer: Answer) -> list[str]:
    """The names of the items of an answer that have one, in their order."""
    items = answer.items if isinstance(answer, (Several, Ordered)) else ()
    return [item.name for item in items if isinstance(item, Named)]


def same_solutions(gold: Several, answer: Several) -> bool | None:
    """The same solutions in any order, each once; in their order if only one side names the unknowns."""
    system = [len(set(names(side))) > 1 for side in (gold, answer)]
    if any(system) and not all(names(side) for side in (gold, answer)):
        return same_listed(gold, answer) if len(gold.items) == len(answer.items) else None
    if len(gold.items) != len(answer.items):
        return False
    if all(system) and set(names(gold)) == set(names(answer)):
        verdict = all_of(same_solutions(_of(gold, name), _of(answer, name)) for name in set(names(gold)))
        numbered = len({name.partition("_")[0] for name in names(gold)}) == 1  # x_1 and x_2: solutions, or a sequence
        return None if numbered and verdict is False else verdict
    table = [[same(a, b) for b in answer.items] for a in gold.items]
    if _matching([[verdict is True for verdict in row] for row in table]):
        return True
    return (
        None
        if all(any(verdict is not False for verdict in row) for row in [*table, *zip(*table, strict=True)])
        else False
    )


def _of(system: Several, name: str) -> Several:
    return Several(tuple(item for item in system.items if isinstance(item, Named) and item.name == name))


def _matching(allowed: list[list[bool]]) -> bool:
    """Whether every row gets a column of its own among those that are allowed for it, the first that is left."""
    left = list(range(len(allowed)))
    for row in allowed:
        column = next((column for column in left if row[column]), None)
        if column is None:
            return False
        left.remove(column)
    return True


def same_listed(gold: Answer, answer: Answer) -> bool | None:
    """A tuple against a list: right in the same order; another order is wrong if the gold answer has an order."""
    assert isinstance(gold, (Several, Ordered)) and isinstance(answer, (Several, Ordered))
    verdict = in_order(tuple(map(_unnamed, gold.items)), tuple(map(_unnamed, answer.items)))
    unknowns = names(gold) or names(answer)
    if verdict and unknowns != sorted(unknowns) and _usual(unknowns):
        return None
    if verdict is False and isinstance(gold, Several) and len(gold.items) == len(answer.items):
        return None
    return verdict


def _usual(unknowns: list[str]) -> bool:
    """Whether the names have a usual order: x, y, z; or a, b, c."""
    letters = sorted(map(ord, unknowns)) if all(len(name) == 1 for name in unknowns) else []
    return letters == list(range(letters[0], letters[0] + len(letters))) if letters else True


def same_region(gold: Answer, answer: Answer) -> bool | None:
    """Whether both stand for the same real numbers; None where one stands for none."""
    if isinstance(gold, Region) and isinstance(answer, Region) and not _same_name(gold.name, answer.name):
        return None
    regions = numbers(gold), numbers(answer)
    if regions[0] is None or regions[1] is None:
        return None
    if regions[0] == regions[1]:
        return True
    symbolic = regions[0].free_symbols or regions[1].free_symbols
    bound = isinstance(gold, Value) and regions[0].is_subset(regions[1].boundary)  # 4, and n is at least 4
    return None if symbolic or bound else bool(sympy.SymmetricDifference(*regions).is_empty)
