"""Which rows of a problem are duplicates: by their text, or by the equations in them (RFT, 2308.01825)."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from byheart.curation.equations import equations
from byheart.curation.rows import size, text
from byheart.text import normalised
from byheart.types import Row

MAX_COMPARED, MAX_CHARACTERS = 32, 2000
"""A row is compared with at most the MAX_COMPARED shortest rows of its problem, by the first MAX_CHARACTERS of each."""


def by_text(rows: Iterable[Row]) -> list[Row]:
    """The first of those rows of a problem that are equal but for case and spacing."""
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(_words(row), row)
    return list(first.values())


def by_equations(rows: Iterable[Row], concise: bool = False) -> list[Row]:
    """One of those rows of a problem that have the same equations in the same order, unhinted if there is one: the row
    with the greatest total edit distance to the problem's other rows or, with `concise`, the shortest. Rows with a
    false equation are dropped. Rows without equations are compared by their text."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in by_text(rows):
        written = equations(text(row))
        if all(equation.true is not False for equation in written):
            key = tuple(equation.text for equation in written) or ("", _words(row))
            alike.setdefault(key, []).append(row)
    others = sorted((row for same in alike.values() for row in same), key=size)[:MAX_COMPARED]
    distinct = []
    for same in alike.values():
        unaided = [row for row in same if not row.hinted] or same
        if concise or len(unaided) == 1:
            distinct.append(min(unaided, key=size))
        else:
            distinct.append(_farthest(unaided, others))
    return distinct


def distances(rows: list[Row], others: list[Row]) -> list[list[int]]:
    """The edit distances, in characters, between the texts of `rows` and `others`: (len(rows), len(others))."""
    texts = [[text(row)[:MAX_CHARACTERS] for row in side] for side in (rows, others)]
    matrix: list[list[int]] = cdist(*texts, scorer=Levenshtein.distance).tolist()
    return matrix


def _farthest(rows: list[Row], others: list[Row]) -> Row:
    total = {row.rollout_id: sum(to) for row, to in zip(rows, distances(rows, others), strict=True)}
    return min(rows, key=lambda row: (-total[row.rollout_id], size(row)))


def _words(row: Row) -> str:
    return normalised(text(row))
