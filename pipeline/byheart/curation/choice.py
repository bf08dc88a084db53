"""Which rows of a problem are trained on: the shortest, the most diverse, the highest valued or random ones. Those that
were found without a hint always come first."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from byheart.curation.distinct import distances
from byheart.curation.rows import size
from byheart.types import Row, digest


def choose(rows: list[Row], by: str, keep: int, seed: int) -> list[Row]:
    """At most `keep` of the rows of a problem, `by` "shortest", "diverse", "value" or "random"."""
    rules: dict[str, Callable[[list[Row], int], list[Row]]] = {
        "shortest": shortest,
        "diverse": diverse,
        "value": most_valued,
        "random": lambda rows, keep: shuffled(rows, seed)[:keep],
    }
    return rules[by](rows, keep)


def shortest(rows: list[Row], keep: int) -> list[Row]:
    """The `keep` rows with the fewest tokens."""
    return sorted(rows, key=_unaided_concise)[:keep]


def diverse(rows: list[Row], keep: int) -> list[Row]:
    """The shortest row, then repeatedly the row with the greatest edit distance to its nearest selected row."""
    remaining = sorted(rows, key=_unaided_concise)
    selected, remaining = remaining[:1], remaining[1:]
    nearest: list[float] = [inf] * len(remaining)
    while remaining and len(selected) < keep:
        to_last = (distance for [distance] in distances(remaining, selected[-1:]))
        nearest = [min(pair) for pair in zip(nearest, to_last, strict=True)]
        index = max(range(len(remaining)), key=lambda i: (not remaining[i].hinted, nearest[i]))
        selected.append(remaining.pop(index))
        nearest.pop(index)
    return selected


def most_valued(rows: list[Row], keep: int) -> list[Row]:
    """The `keep` rows with the highest values, newest round first, as values of different scorers are not comparable.
    Rows without a value come last; ties go to the fewest tokens."""

    def rank(row: Row) -> tuple[object, ...]:
        return row.hinted, row.value is None, -row.round, -(row.value or 0.0), size(row)

    return sorted(rows, key=rank)[:keep]


def shuffled(rows: list[Row], seed: int) -> list[Row]:
    """`rows` in an order drawn by `seed`, hinted ones last. Each row is drawn by itself, so that one row more does not
    change the order of the others."""
    return sorted(rows, key=lambda row: (row.hinted, digest(seed, row.rollout_id)))


def _unaided_concise(row: Row) -> tuple[bool, tuple[int, str]]:
    return row.hinted, size(row)
