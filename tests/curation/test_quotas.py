"""Each problem has the rows that its difficulty earns it, and all of them together stay under their caps."""

from collections import Counter
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from byheart.curation.attempts import Attempt
from byheart.curation.quotas import fail_rate, few_hinted, newest, quota
from byheart.types import Row
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import drawn_rows, ids, judged, rolled, row, settled

fractions = st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda two: Fraction(min(two), max(two)))


def tried(n: int, *scores: float | None, **rest: Any) -> list[Attempt]:
    rollouts = [rolled(f"{n}-{index}", **rest) for index in range(len(scores))]
    return [Attempt(n, rollout, judged(rollout, score)) for rollout, score in zip(rollouts, scores, strict=True)]


def test_a_fail_rate_is_that_of_what_was_judged_without_a_hint() -> None:
    assert fail_rate([*tried(1, 1.0, 0.0, 0.0, None), *tried(1, 1.0, hinted=True)]) == Fraction(2, 3)
    assert fail_rate([*tried(1, 1.0), *tried(1, 0.0, finish="length")]) == Fraction(1, 2)


def test_a_fail_rate_is_that_of_the_last_round_that_tried_the_problem() -> None:
    assert fail_rate([*tried(1, 0.0, 0.0), *tried(2, 1.0, 0.0), *tried(3, None), *tried(3, 1.0, hinted=True)]) == 1 / 2


def test_a_problem_that_was_solved_with_a_hint_only_is_the_hardest() -> None:
    assert fail_rate(tried(1, 1.0, 0.0, hinted=True)) == fail_rate([]) == 1


def test_the_hardest_solved_problem_has_all_and_others_in_proportion_to_how_hard_they_are() -> None:
    rates = [Fraction(3, 4), Fraction(3, 8), Fraction(1, 8), Fraction(0)]
    assert [quota(4, rate, Fraction(3, 4)) for rate in rates] == [4, 2, 1, 1]


def test_where_nothing_failed_all_problems_are_alike() -> None:
    assert quota(3, Fraction(0), Fraction(0)) == 3


@settled
@given(st.lists(fractions, min_size=1), st.integers(1, 9))
def test_a_quota_is_one_to_keep_and_grows_with_the_fail_rate(rates: list[Fraction], keep: int) -> None:
    quotas = [quota(keep, rate, max(rates)) for rate in sorted(rates)]
    assert quotas[-1] == keep  # not one more, as in the authors' code
    assert quotas[0] >= 1
    assert quotas == sorted(quotas)


@settled
@given(drawn_rows, st.integers(1, 30), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_newest_stay_and_of_these_the_shortest(rows: list[Row], most: int, share: float) -> None:
    remaining = list(filter(newest(rows, most, share), rows))
    assert remaining == [row for row in rows if row in remaining]
    dropped = [row for row in rows if row not in remaining]
    hints, room = sum(row.hinted for row in remaining), floor(Fraction(str(share)) * most)
    assert hints <= room
    assert len(remaining) == most or not dropped or all(row.hinted for row in dropped)
    for left in remaining:
        for other in dropped:
            if left.hinted == other.hinted or not (other.hinted and hints == room):
                assert (left.round, -left.num_tokens) >= (other.round, -other.num_tokens)
    assert list(filter(newest(rows, None, share), rows)) == rows


def test_a_hinted_row_that_is_new_stays_where_an_old_one_goes() -> None:
    rows = [row("old", n=1), row("new", n=2, hinted=True)]
    assert ids(list(filter(newest(rows, 1, 1.0), rows))) == ["new"]
    assert ids(list(filter(newest(rows, 1, 0.9), rows))) == ["old"], "one row of one is more than nine tenths"


@settled
@given(drawn_rows, st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]))
def test_hinted_rows_are_no_more_than_their_share_and_no_fewer_than_they_may_be(rows: list[Row], share: float) -> None:
    remaining = list(filter(few_hinted(rows, share), rows))
    hinted = Counter(row.hinted for row in remaining)
    assert hinted[False] == sum(not row.hinted for row in rows)
    assert hinted[True] <= Fraction(str(share)) * len(remaining)
    dropped = [row for row in rows if row not in remaining]
    if dropped:
        assert hinted[True] + 1 > Fraction(str(share)) * (len(remaining) + 1)
        longest = max((row.num_tokens for row in remaining if row.hinted), default=0)
        assert longest <= min(row.num_tokens for row in dropped)
    assert remaining == [row for row in rows if row in remaining]


@settled
@given(drawn_rows, st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9]), st.integers(1, 30))
def test_both_caps_together_leave_no_more_hinted_ones_and_something_where_there_is_something(
    rows: list[Row], share: float, most: int
) -> None:
    new = list(filter(newest(rows, most, share), rows))
    remaining = list(filter(few_hinted(new, share), new))
    assert sum(row.hinted for row in remaining) <= Fraction(str(share)) * len(remaining)
    assert bool(remaining) == any(not row.hinted for row in rows)


@pytest.mark.parametrize(("share", "left"), [(0.5, ["a", "b"]), (0.0, ["a"]), (1.0, ["a", "b", "c"])])
def test_the_longest_hinted_row_goes_first(share: float, left: list[str]) -> None:
    rows = [row("a"), row("b", num_tokens=7, hinted=True), row("c", num_tokens=9, hinted=True)]
    assert ids(list(filter(few_hinted(rows, share), rows))) == left
