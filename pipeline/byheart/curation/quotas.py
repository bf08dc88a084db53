"""How many rows each problem may have, and all of them together (DART, 2407.13690; the cap on hints is for STaR's
rationalization, 2203.14465)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor

from byheart.curation.rows import by_problem, size
from byheart.types import Example, Rollout, Verdict


def fail_rates(rollouts: Iterable[Rollout], verdicts: Iterable[Verdict]) -> dict[str, Fraction]:
    """The share of wrong ones among a problem's judged rollouts, cut off ones included, without those that a hint
    helped; problems without one have no rate."""
    by_id = {verdict.rollout_id: verdict for verdict in verdicts if verdict.score is not None}
    tried = [(one.problem_id, by_id[one.id].correct) for one in rollouts if one.id in by_id and not one.hinted]
    judged = Counter(problem for problem, _ in tried)
    failed = Counter(problem for problem, right in tried if not right)
    return {problem: Fraction(failed[problem], judged[problem]) for problem in judged}


def uniform(rows: Iterable[Example], keep: int) -> dict[str, int]:
    """`keep` for every problem."""
    return dict.fromkeys(by_problem(rows), keep)


def proportional(rows: Iterable[Example], keep: int, rates: Mapping[str, Fraction]) -> dict[str, int]:
    """`keep` for the hardest of the problems that have rows, and for others in proportion to their fail rates, rounded
    up and at least one. A problem without a rate is one that was solved with a hint only: it counts as hard."""
    problems = by_problem(rows)
    hardest = max((rates.get(problem, Fraction(1)) for problem in problems), default=Fraction(0))
    if not hardest:
        return uniform(rows, keep)
    return {problem: max(1, ceil(keep * rates.get(problem, Fraction(1)) / hardest)) for problem in problems}


def newest(rows: Sequence[Example], most: int | None, share: float) -> list[Example]:
    """At most so many of all the rows, hinted ones at most that `share` (0..1) of so many: the newest, of these those
    with the fewest tokens; in the order they came in."""
    if most is None:
        return list(rows)
    left, hints = most, floor(Fraction(str(share)) * most)
    dropped: list[Example] = []
    for row in sorted(rows, key=lambda row: (-row["round"], size(row))):
        if left and (hints or not row["hinted"]):
            left, hints = left - 1, hints - row["hinted"]
        else:
            dropped.append(row)
    return _all_but(rows, dropped)


def few_hinted(rows: Sequence[Example], share: float) -> list[Example]:
    """The rows, without as many of the longest hinted ones as it takes for these to be at most `share` (0..1) of all
    that are kept. Where there is no other row, that is all of them, unless the share is 1."""
    hinted = sorted((row for row in rows if row["hinted"]), key=size)
    most, others = Fraction(str(share)), len(rows) - len(hinted)
    return list(rows) if most == 1 else _all_but(rows, hinted[floor(others * most / (1 - most)) :])


def _all_but(rows: Iterable[Example], dropped: Iterable[Example]) -> list[Example]:
    names = {(row["rollout_id"], row["round"]) for row in dropped}
    return [row for row in rows if (row["rollout_id"], row["round"]) not in names]
