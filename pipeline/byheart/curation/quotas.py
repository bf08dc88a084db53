"""How many rows a problem may have, and all problems together (DART, 2407.13690; the cap on hinted rows is for STaR's
rationalization, 2203.14465)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor

from byheart.curation.rows import by_problem, size
from byheart.types import Rollout, Row, Verdict


def fail_rates(rollouts: Iterable[Rollout], verdicts: Iterable[Verdict]) -> dict[str, Fraction]:
    """By problem id, the share of wrong ones among its judged rollouts, cut off ones included and hinted ones not. A
    problem without such a rollout has no rate."""
    by_id = {verdict.rollout_id: verdict for verdict in verdicts if verdict.score is not None}
    outcomes = [
        (rollout.problem_id, by_id[rollout.id].correct)
        for rollout in rollouts
        if rollout.id in by_id and not rollout.hinted
    ]
    judged = Counter(problem for problem, _ in outcomes)
    failed = Counter(problem for problem, correct in outcomes if not correct)
    return {problem: Fraction(failed[problem], judged[problem]) for problem in judged}


def uniform(rows: Iterable[Row], keep: int) -> dict[str, int]:
    """`keep` for every problem."""
    return dict.fromkeys(by_problem(rows), keep)


def proportional(rows: Iterable[Row], keep: int, rates: Mapping[str, Fraction]) -> dict[str, int]:
    """`keep` for the hardest problem that has rows, and for others in proportion to their fail `rates`, rounded up and
    at least 1. A problem without a rate was solved with a hint only: its rate counts as 1."""
    problems = by_problem(rows)
    hardest = max((rates.get(problem, Fraction(1)) for problem in problems), default=Fraction(0))
    if not hardest:
        return uniform(rows, keep)
    return {problem: max(1, ceil(keep * rates.get(problem, Fraction(1)) / hardest)) for problem in problems}


def newest(rows: Sequence[Row], limit: int | None, max_hinted: float) -> list[Row]:
    """At most `limit` rows, of which at most `max_hinted` (0..1) times `limit` are hinted: the newest, and within a
    round the shortest. Their order is unchanged. With `limit` None, all of them."""
    if limit is None:
        return list(rows)
    room, hinted_room = limit, floor(Fraction(str(max_hinted)) * limit)
    dropped: list[Row] = []
    for row in sorted(rows, key=lambda row: (-row.round, size(row))):
        if room and (hinted_room or not row.hinted):
            room, hinted_room = room - 1, hinted_room - row.hinted
        else:
            dropped.append(row)
    return _without(rows, dropped)


def few_hinted(rows: Sequence[Row], max_hinted: float) -> list[Row]:
    """`rows` without the longest hinted ones, so that at most `max_hinted` (0..1) of those that remain are hinted. If
    all rows are hinted none remains, unless `max_hinted` is 1."""
    hinted = sorted((row for row in rows if row.hinted), key=size)
    share, num_unhinted = Fraction(str(max_hinted)), len(rows) - len(hinted)
    return list(rows) if share == 1 else _without(rows, hinted[floor(num_unhinted * share / (1 - share)) :])


def _without(rows: Iterable[Row], dropped: Iterable[Row]) -> list[Row]:
    keys = {(row.rollout_id, row.round) for row in dropped}
    return [row for row in rows if (row.rollout_id, row.round) not in keys]
