"""Whether two answers are the same, part by part: True, False, or None if undecided.

The gold answer comes first, since the order matters: a tuple for gold solutions in any order is judged differently from
a list of solutions for a gold tuple.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from byheart.verifiers.mathematics import units
from byheart.verifiers.mathematics.algebra import Unreadable, equal, ratio, real, same_zeros
from byheart.verifiers.mathematics.latex import number
from byheart.verifiers.mathematics.notation import (
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
            return verdict if not verdict or _same_name(gold.name, answer.name) else None
        case (Named(item=Value() as item), Relation(sign="=")) | (Relation(sign="="), Named(item=Value() as item)):
            named, other = (gold, answer) if isinstance(gold, Named) else (answer, gold)
            assert isinstance(named, Named) and isinstance(other, Relation)
            return same_relation(Relation("=", named.name, item.text), other)
        case Named(), _:
            return same(gold.item, answer)
        case _, Named():
            return None if isinstance(gold, Relation) else same(gold, answer.item)
        case Relation(), Relation():
            return same_relation(gold, answer)
        case Matrix(), Matrix():
            if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
                return False
            pairs = zip(gold.rows, answer.rows, strict=True)
            return all_of(same(a, b) for rows in pairs for a, b in zip(*rows, strict=True))
        case (Matrix(), Ordered()) | (Ordered(), Matrix()):
            matrix, point = (gold, answer) if isinstance(gold, Matrix) else (answer, gold)
            assert isinstance(matrix, Matrix) and isinstance(point, Ordered)
            return same_matrix(matrix, point)
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
    numbers = number(gold), number(answer)
    return numbers[0] == numbers[1] if None not in numbers else equal(gold, answer)


def same_words(gold: str, answer: str) -> bool | None:
    """Whether two texts of words are equal; None if one has all words of the other, or both say that there is none."""
    if gold == answer:
        return True
    if _NOTHING.fullmatch(gold) and _NOTHING.fullmatch(answer):
        return None
    a, b = gold.split(), answer.split()
    return None if set(a) <= set(b) or set(b) <= set(a) else False


def _same_name(a: str, b: str) -> bool:
    letters = [name for name in (a, b) if re.fullmatch(r"[a-zA-Z]|\\[a-z]+", name)]
    return len(letters) < 2 or a == b


def consistent(chain: Approximate) -> bool:
    """Whether the sides of sqrt(2) ≈ 1.414 are numbers within one percent of each other."""
    texts = [item.text for item in map(_unnamed, chain.items) if isinstance(item, Value)]
    if len(texts) < len(chain.items):
        return False
    values = [real(text) for text in texts]
    return all(abs(value - values[0]) <= abs(values[0]) / 100 for value in values)


def _unnamed(answer: Answer) -> Answer:
    return answer.item if isinstance(answer, Named) else answer


def same_relation(gold: Relation, answer: Relation) -> bool | None:
    """Whether one is a multiple of the other, with the inequality reversed if the factor is negative."""
    a, b = f"({gold.left})-({gold.right})", f"({answer.left})-({answer.right})"
    sign = ratio(a, b)
    if not sign:
        return same_zeros(a, b) if sign == 0 and gold.sign == answer.sign == "=" else None
    reversed_signs = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}
    return gold.sign == (answer.sign if sign > 0 else reversed_signs.get(answer.sign, answer.sign))


def same_matrix(matrix: Matrix, point: Ordered) -> bool | None:
    """A single row or column is a vector; a list of rows is a matrix."""
    cells = [cell for row in matrix.rows for cell in row]
    if len(cells) in (len(matrix.rows), len(matrix.rows[0])) and len(cells) == len(point.items):
        return in_order(tuple(cells), point.items)
    if len(matrix.rows) != len(point.items):
        return False
    rows = zip(matrix.rows, point.items, strict=True)
    return all_of(in_order(row, item.items) if isinstance(item, Ordered) else False for row, item in rows)


def names(answer: Answer) -> list[str]:
    """The names of the items of an answer that have one, in their order."""
    items = answer.items if isinstance(answer, (Several, Ordered)) else ()
    return [item.name for item in items if isinstance(item, Named)]


def same_solutions(gold: Several, answer: Several) -> bool | None:
    """The same solutions in any order, each once; in their order if only one side names the unknowns."""
    system = [len(set(names(side))) > 1 for side in (gold, answer)]
    if any(system) and not all(names(side) for side in (gold, answer)):
        return same_listed(gold, answer)
    if len(gold.items) != len(answer.items):
        return False
    if all(system) and set(names(gold)) == set(names(answer)):
        return all_of(same_solutions(_of(gold, name), _of(answer, name)) for name in set(names(gold)))
    table = [[same(a, b) for b in answer.items] for a in gold.items]
    if _matching([[verdict is True for verdict in row] for row in table]):
        return True
    return None if _matching([[verdict is not False for verdict in row] for row in table]) else False


def _of(system: Several, name: str) -> Several:
    return Several(tuple(item for item in system.items if isinstance(item, Named) and item.name == name))


def _matching(allowed: list[list[bool]]) -> bool:
    """Whether every row can get a different column among those allowed for it (augmenting paths)."""
    taken: dict[int, int] = {}

    def assign(row: int, tried: set[int]) -> bool:
        for column, possible in enumerate(allowed[row]):
            if possible and column not in tried:
                tried.add(column)
                if column not in taken or assign(taken[column], tried):
                    taken[column] = row
                    return True
        return False

    return all(assign(row, set()) for row in range(len(allowed)))


def same_listed(gold: Answer, answer: Answer) -> bool | None:
    """A tuple against a list: right in the same order; another order is wrong if the gold answer has an order."""
    assert isinstance(gold, (Several, Ordered)) and isinstance(answer, (Several, Ordered))
    verdict = in_order(tuple(map(_unnamed, gold.items)), tuple(map(_unnamed, answer.items)))
    unknowns = names(gold) or names(answer)
    if verdict and unknowns != sorted(unknowns):
        return None
    if verdict is False and isinstance(gold, Several) and len(gold.items) == len(answer.items):
        return None
    return verdict


def same_region(gold: Answer, answer: Answer) -> bool | None:
    """Whether both contain the same real numbers: it suffices to check every end and a point between any two."""
    regions = _region(gold), _region(answer)
    if regions[0] is None or regions[1] is None:
        return False if isinstance(gold, (Value, Words)) or isinstance(answer, (Value, Words)) else None
    try:
        sides = [_Line(region) for region in regions if region]
    except Unreadable:  # an end with a letter in it
        if regions[0].without or regions[1].without:
            return None
        return same_solutions(Several(regions[0].pieces), Several(regions[1].pieces)) or None
    ends = sorted(sides[0].ends | sides[1].ends)
    middles = [(a + b) / 2 for a, b in pairwise(ends)]
    outside = [ends[0] - 1, ends[-1] + 1] if ends else [0]
    return all((x in sides[0]) == (x in sides[1]) for x in [*ends, *middles, *outside])


def _region(answer: Answer) -> Region | None:
    match answer:
        case Region():
            return answer
        case Ordered(brackets="()" | "[]" | "(]" | "[)", items=(_, _)):
            return Region((answer,))
        case Several():
            return Region(answer.items)
    return None


class _Line:
    """The real numbers of a region. Raises Unreadable if an end is not a number."""

    def __init__(self, region: Region) -> None:
        self.intervals = [
            (*map(_number, piece.items), piece.brackets) for piece in region.pieces if isinstance(piece, Ordered)
        ]
        self.points = {_number(piece) for piece in region.pieces if not isinstance(piece, Ordered)}
        self.without = {_number(point) for point in region.without}
        ends = self.points | self.without | {end for a, b, _ in self.intervals for end in (a, b)}
        self.ends = {end for end in ends if abs(end) != float("inf")}

    def __contains__(self, x: Any) -> bool:
        inside = any(
            a < x < b or (x == a and brackets[0] == "[") or (x == b and brackets[1] == "]")
            for a, b, brackets in self.intervals
        )
        return (inside or x in self.points) and x not in self.without


def _number(answer: Answer) -> Any:
    if not isinstance(answer, Value):
        raise Unreadable("an end of an interval is no number")
    return real(answer.text)
