"""How many rows a problem may have, and all problems together (DART, 2407.13690; the cap on hinted rows is for STaR's
rationalization, 2203.14465)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import ceil, floor

from byheart.curation.attempts import Attempt
from byheart.curation.rows import size
from byheart.types import Row


def fail_rate(attempts: Sequence[Attempt]) -> Fraction:
    """The share of wrong ones among the judged rollouts of a problem, cut off ones included and hinted ones not, in the
    last round that has any. 1 where there is none: the problem was solved with a hint only."""
    judged = [attempt for attempt in attempts if attempt.verdict.score is not None and not attempt.rollout.hinted]
    wrong = [not attempt.verdict.correct for attempt in judged if attempt.round == judged[-1].round]
    return Fraction(sum(wrong), len(wrong)) if wrong else Fraction(1)


def quota(keep: int, rate: Fraction, hardest: Fraction) -> int:
    """Most rows of a problem with this fail rate: `keep` at the rate `hardest`, and in proportion below it, rounded up
    and at least 1. Where nothing failed it is `keep`."""
    return max(1, ceil(keep * rate / hardest)) if hardest else keep


def newest(rows: Iterable[Row], limit: int | None, max_hinted: float) -> Callable[[Row], bool]:
    """Whether a row is kept if at most `limit` of `rows` may be, of which at most `max_hinted` (0..1) times `limit` are
    hinted: the newest, and within a round the shortest. With `limit` None, all are kept."""
    first_dropped: dict[bool, tuple[int, int, str]] = {}  # of hinted rows, and of others
    if limit is not None:
        room, hinted_room = limit, floor(Fraction(str(max_hinted)) * limit)
        for age, hinted in sorted((_age(row), row.hinted) for row in rows):
            if room and (hinted_room or not hinted):
                room, hinted_room = room - 1, hinted_room - hinted
            else:
                first_dropped.setdefault(hinted, age)
    return lambda row: row.hinted not in first_dropped or _age(row) < first_dropped[row.hinted]


def few_hinted(rows: Iterable[Row], max_hinted: float) -> Callable[[Row], bool]:
    """Whether a row is kept if at most `max_hinted` (0..1) of the rows that remain may be hinted: all but the longest
    hinted ones. If all of `rows` are hinted none is kept, unless `max_hinted` is 1."""
    share, num_unhinted = Fraction(str(max_hinted)), 0
    hinted: list[tuple[int, str]] = []
    for row in rows:
        if row.hinted:
            hinted.append(size(row))
        else:
            num_unhinted += 1
    dropped = [] if share == 1 else sorted(hinted)[floor(num_unhinted * share / (1 - share)) :]
    return lambda row: not (dropped and row.hinted and size(row) >= dropped[0])


def _age(row: Row) -> tuple[int, int, str]:
    return -row.round, *size(row)
