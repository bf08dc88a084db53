"""Which of a problem's rows say the same: by their words, or by the equations they go through (RFT, 2308.01825)."""

from __future__ import annotations

from collections.abc import Iterable

from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from byheart.curation.equations import equations
from byheart.curation.rows import by_problem, size, text
from byheart.types import Example
from byheart.wording import normalised

MAX_COMPARED, MAX_CHARACTERS = 32, 2000
"""A row is compared with so many others of its problem, the most concise, and so much of each text is looked at."""


def by_text(rows: Iterable[Example]) -> list[Example]:
    """The first of a problem's rows that read alike but for case and spacing; numbers and steps tell them apart."""
    first: dict[tuple[str, str], Example] = {}
    for row in rows:
        first.setdefault((row["problem_id"], _words(row)), row)
    return list(first.values())


def by_equations(rows: Iterable[Example], concise: bool = False) -> list[Example]:
    """Of a problem's rows with the same equations, in the same order, the one whose text is the farthest from the
    problem's other rows, by the sum of its edit distances, or the most `concise` one; found without a hint where one
    was. None with a false equation; where a row has no equation its words stand in for them."""
    kept = []
    for group in by_problem(by_text(rows)).values():
        alike: dict[tuple[str, ...], list[Example]] = {}
        for row in group:
            found = equations(text(row))
            if all(equation.true is not False for equation in found):
                key = tuple(equation.text for equation in found) or ("", _words(row))
                alike.setdefault(key, []).append(row)
        others = sorted((row for same in alike.values() for row in same), key=size)[:MAX_COMPARED]
        for same in alike.values():
            unaided = [row for row in same if not row["hinted"]] or same
            if concise or len(unaided) == 1:
                kept.append(min(unaided, key=size))
            else:
                kept.append(_farthest(unaided, others))
    return kept


def distances(rows: list[Example], others: list[Example]) -> list[list[int]]:
    """The edit distance, in characters, of the text of each row to that of each of the `others`."""
    texts = [[text(row)[:MAX_CHARACTERS] for row in side] for side in (rows, others)]
    found: list[list[int]] = cdist(*texts, scorer=Levenshtein.distance).tolist()
    return found


def _farthest(rows: list[Example], others: list[Example]) -> Example:
    far = {row["rollout_id"]: -sum(to) for row, to in zip(rows, distances(rows, others), strict=True)}
    return min(rows, key=lambda row: (far[row["rollout_id"]], size(row)))


def _words(row: Example) -> str:
    return normalised(text(row))
