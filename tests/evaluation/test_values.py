"""Whether a value model can be believed, on solutions whose measures can be worked out by hand."""

import pytest
from byheart.evaluation.metrics import Bin, FirstError
from byheart.evaluation.values import Valued, auc, brier, first_error, reliability, worse
from hypothesis import given
from hypothesis import strategies as st


def solution(
    values: list[float], right: bool, possible: list[bool] | None = None, before: list[float] | None = None
) -> Valued:
    return Valued(values, before, possible or [right] * len(values), right)


def test_what_is_always_sure_and_right_is_perfect() -> None:
    result = reliability([[solution([1.0, 1.0], True), solution([0.0], False)]])
    assert (result.brier, result.ece, result.auc) == (0, 0, 1)
    assert result.bins == [Bin(steps=1, value=0, right=0), Bin(steps=2, value=1, right=1)]


def test_what_always_says_a_half_is_calibrated_and_knows_nothing() -> None:
    result = reliability([[solution([0.5], True), solution([0.5], False)]])
    assert (result.brier, result.ece, result.auc) == (0.25, 0, 0.5)


def test_the_distance_of_each_tenth_counts_by_its_steps() -> None:
    result = reliability([[solution([0.9, 0.9, 0.95], False), solution([0.25], True)]])
    assert result.ece == pytest.approx((3 * (0.9 + 0.9 + 0.95) / 3 + 0.75) / 4)
    assert (result.solutions, result.steps) == (2, 4)


def test_there_is_no_auc_of_one_kind() -> None:
    assert auc([0.2], []) is None and reliability([[solution([0.5], True)]]).auc is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_auc_is_the_share_of_pairs_in_order(right: list[float], wrong: list[float]) -> None:
    pairs = [(above > below) + (above == below) / 2 for above in right for below in wrong]
    assert auc(right, wrong) == pytest.approx(sum(pairs) / len(pairs))


def test_the_first_error_is_found_where_the_value_falls_there_and_not_before() -> None:
    solved = solution([0.9, 0.8], True)
    slip_in_two = [True, False, False]
    result = first_error(
        [[solved, solution([0.9, 0.1, 0.0], False, slip_in_two), solution([0.4, 0.1, 0.0], False, slip_in_two)]]
    )
    assert result == FirstError(wrong=2, found=0.5, right=1, unseen=1.0)
    nowhere = first_error([[solution([0.1], False)]])
    assert nowhere == FirstError(wrong=0, found=None, right=0, unseen=None), "nobody knows where it went wrong"


def test_a_scorer_is_worse_only_by_more_than_chance() -> None:
    old, new = [0.9], [0.4]
    certain = [[solution(new, True, before=old)], [solution([0.5], True, before=old)]] * 20
    assert worse(certain, 0.025)
    assert not worse([[solution(old, True, before=new)]] * 20, 0.025)
    assert not worse([[solution(new, True)]] * 20, 0.025), "there was none before"
    assert not worse([[solution([0.4], True, before=[0.45])], [solution([0.4], False, before=[0.45])]] * 20, 0.025)
    mild = [[solution(new, True, before=old)]] * 7 + [[solution(old, True, before=new)]]
    assert worse(mild, 0.025) and not worse(mild, 0.0001)
    assert brier(certain[0]) == pytest.approx(0.36)


def test_no_step_is_no_measure() -> None:
    with pytest.raises(ValueError, match="no step was valued"):
        reliability([[]])
