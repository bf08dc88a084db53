"""The temperature whose samples are right and yet differ."""

import pytest
from byheart.strategies.core.tuning import balance
from hypothesis import given
from hypothesis import strategies as st

counts = st.integers(0, 50)


@given(counts, counts, st.integers(1, 20))
def test_the_balance_is_in_0_to_1_and_1_only_where_all_that_is_wanted_is_there_and_nothing_else(
    n: int, more: int, wanted: int
) -> None:
    score = balance(n + more, n, wanted)
    assert 0 <= score <= 1
    assert (score == 1) == (n >= wanted and more == 0)
    assert (score == 0) == (n == 0)


@given(st.integers(1, 50), counts, st.integers(1, 20))
def test_it_rises_with_what_is_right_and_falls_with_what_is_sampled_in_vain(n: int, more: int, wanted: int) -> None:
    assert balance(n + more + 1, n + 1, wanted) > balance(n + more + 1, n, wanted) > balance(n + more + 2, n, wanted)


@pytest.mark.parametrize(
    ("n", "correct", "wanted", "score"), [(8, 4, 4, 0.5), (8, 2, 4, 0.125), (8, 8, 4, 1.0), (0, 0, 4, 0.0)]
)
def test_it_is_what_the_formula_says(n: int, correct: int, wanted: int, score: float) -> None:
    assert balance(n, correct, wanted) == score  # min(n'/n*, 1) * n'/n, worked out by hand
