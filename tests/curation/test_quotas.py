"""Each problem has the rows that its difficulty earns it, and all of them together stay under their caps."""

from collections import Counter
from fractions import Fraction
from math import floor

import pytest
from byheart.curation.quotas import fail_rates, few_hinted, newest, proportional, uniform
from byheart.types import Row
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import drawn_rows, ids, judged, rolled, row, settled

fractions = st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda two: Fraction(min(two), max(two)))


def test_a_fail_rate_is_that_of_what_was_judged_without_a_hint() -> None:
    rollouts = [rolled(f"r{n}", problem=name) for n, name in enumerate("ppppqq")]
    rollouts += [rolled("h", problem="q", hinted=True), rolled("cut", problem="q", finish="length")]
    scores = [1.0, 0.0, 0.0, None, None, 1.0, 1.0, 0.0]
    verdicts = [judged(rollout, score) for rollout, score in zip(rollouts, scores, strict=True)]
    assert fail_rates(rollouts, verdicts) == {"p": Fraction(2, 3), "q": Fraction(1, 2)}
    assert fail_rates(rollouts, []) == {}


def test_the_hardest_solved_problem_has_all_and_others_in_proportion_to_how_hard_they_are() -> None:
    rows = [row("a", problem="hard"), row("b", problem="half"), row("c", problem="easy"), row("d", problem="sure")]
    rates = {"hard": Fraction(3, 4), "half": Fraction(3, 8), "easy": Fraction(1, 8), "unsolved": Fraction(1)}
    rates["sure"] = Fraction(0)
    assert proportional(rows, 4, rates) == {"hard": 4, "half": 2, "easy": 1, "sure": 1}
    assert uniform(rows, 4) == dict.fromkeys(("hard", "half", "easy", "sure"), 4)


def test_where_nothing_failed_all_problems_are_alike() -> None:
    assert proportional([row("a", problem="p"), row("b", problem="q")], 3, {"p": Fraction(0), "q": Fraction(0)}) == {
        "p": 3,
        "q": 3,
    }


@settled
@given(st.dictionaries(st.sampled_from("pqrst"), fractions, min_size=1), st.integers(1, 9))
def test_a_quota_is_one_to_keep_and_grows_with_the_fail_rate(rates: dict[str, Fraction], keep: int) -> None:
    quotas = proportional([row(name, problem=name) for name in rates], keep, rates)
    assert quotas.keys() == rates.keys()
    assert max(quotas.values()) == keep  # not one more, as in the authors' code
    assert min(quotas.values()) >= 1
    ordered = sorted(rates, key=lambda name: rates[name])
    assert [quotas[name] for name in ordered] == sorted(quotas.values())


@settled
@given(drawn_rows, st.integers(1, 30), st.sampled_from([0.0, 0.3, 1.0]))
def test_the_newest_stay_and_of_these_the_shortest(rows: list[Row], most: int, share: float) -> None:
    remaining = newest(rows, most, share)
    assert remaining == [row for row in rows if row in remaining]
    dropped = [row for row in rows if row not in remaining]
    hints, room = sum(row.hinted for row in remaining), floor(Fraction(str(share)) * most)
    assert hints <= room
    assert len(remaining) == most or not dropped or all(row.hinted for row in dropped)
    for left in remaining:
        for other in dropped:
            if left.hinted == other.hinted or not (other.hinted and hints == room):
                assert (left.round, -left.num_tokens) >= (other.round, -other.num_tokens)
    assert newest(rows, None, share) == rows


def test_a_hinted_row_that_is_new_stays_where_an_old_one_goes() -> None:
    rows = [row("old", n=1), row("new", n=2, hinted=True)]
    assert ids(newest(rows, 1, 1.0)) == ["new"]
    assert ids(newest(rows, 1, 0.9)) == ["old"], "one row of one is more than nine tenths"


@settled
@given(drawn_rows, st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]))
def test_hinted_rows_are_no_more_than_their_share_and_no_fewer_than_they_may_be(rows: list[Row], share: float) -> None:
    remaining = few_hinted(rows, share)
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
    remaining = few_hinted(newest(rows, most, share), share)
    assert sum(row.hinted for row in remaining) <= Fraction(str(share)) * len(remaining)
    assert bool(remaining) == any(not row.hinted for row in rows)


@pytest.mark.parametrize(("share", "left"), [(0.5, ["a", "b"]), (0.0, ["a"]), (1.0, ["a", "b", "c"])])
def test_the_longest_hinted_row_goes_first(share: float, left: list[str]) -> None:
    rows = [row("a"), row("b", num_tokens=7, hinted=True), row("c", num_tokens=9, hinted=True)]
    assert ids(few_hinted(rows, share)) == left
