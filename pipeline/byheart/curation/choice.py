"""Which of a problem's rows to keep: the most concise, the most different, the best valued, or any. Whatever is wanted,
those that were found without a hint come before the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf

from byheart.curation.distinct import distances
from byheart.curation.rows import by_problem, size
from byheart.types import Example, digest


def chosen(rows: Iterable[Example], by: str, keep: Mapping[str, int], seed: int) -> list[Example]:
    """At most keep[problem_id] rows of each problem: "shortest", "diverse", by "value" or at "random"."""
    ways: dict[str, Callable[[list[Example], int], list[Example]]] = {
        "shortest": shortest,
        "diverse": diverse,
        "value": most_valued,
        "random": lambda group, most: drawn(group, seed)[:most],
    }
    return [row for problem, group in by_problem(rows).items() for row in ways[by](group, keep[problem])]


def shortest(rows: list[Example], keep: int) -> list[Example]:
    """Those with the fewest tokens."""
    return sorted(rows, key=_unaided_concise)[:keep]


def diverse(rows: list[Example], keep: int) -> list[Example]:
    """The shortest, and then, one after another, the one farthest in edit distance from all that are kept already."""
    left = sorted(rows, key=_unaided_concise)
    kept, left = left[:1], left[1:]
    nearest = [inf] * len(left)
    while left and len(kept) < keep:
        nearest = [min(pair) for pair in zip(nearest, (far for [far] in distances(left, kept[-1:])), strict=True)]
        place = max(range(len(left)), key=lambda at: (not left[at]["hinted"], nearest[at]))
        kept.append(left.pop(place))
        nearest.pop(place)
    return kept


def most_valued(rows: list[Example], keep: int) -> list[Example]:
    """Those of the newest round with the highest value, then those of the round before it, as the scorers of two rounds
    have no scale in common; last those that nobody valued. Between equals, the fewest tokens."""

    def place(row: Example) -> tuple[object, ...]:
        unvalued = row["value"] is None
        return row["hinted"], unvalued, -row["round"], 0.0 if unvalued else -row["value"], size(row)

    return sorted(rows, key=place)[:keep]


def drawn(rows: list[Example], seed: int) -> list[Example]:
    """All of them as `seed` draws them; each row's lot is its own, so another row changes nothing among the rest."""
    return sorted(rows, key=lambda row: (row["hinted"], digest(seed, row["rollout_id"])))


def _unaided_concise(row: Example) -> tuple[bool, tuple[int, str]]:
    return row["hinted"], size(row)
