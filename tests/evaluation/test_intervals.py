"""The interval of a mean, and the test of whether a policy is worse, against what is known of them in closed form."""

import pytest
from byheart.evaluation.comparing import sampled
from byheart.evaluation.statistics import mean_interval, p_worse
from scipy.stats import binom

from tests.evaluation.marks import answers


@pytest.mark.parametrize(("right", "wrong"), [(2, 18), (30, 70)])
def test_the_interval_of_a_share_is_that_of_the_binomial_distribution(right: int, wrong: int) -> None:
    """The mean of n draws from 0 and 1 is a binomial count over n, of which these are the quantiles."""
    n = right + wrong
    known = binom(n, right / n).ppf([0.025, 0.975]) / n
    assert mean_interval([1.0] * right + [0.0] * wrong, 0.0) == pytest.approx(tuple(known), abs=1e-12)


def test_the_same_values_have_the_same_interval() -> None:
    values = [0.1 * n for n in range(11)]
    assert mean_interval(values, 0.0) == mean_interval(values, 0.0)


def test_values_that_are_all_equal_have_an_interval_within_what_is_possible() -> None:
    assert mean_interval([0.5] * 10, 0.0) == pytest.approx((0.2, 0.8))
    assert mean_interval([1.0] * 10, 0.0) == pytest.approx((0.7, 1.0))
    assert mean_interval([0.0] * 10, 0.0) == pytest.approx((0.0, 0.3))
    assert mean_interval([0.0] * 10, -1.0) == pytest.approx((-0.3, 0.3))
    assert mean_interval([], -1.0) == (-1.0, 1.0)


def test_the_interval_of_pass_at_k_reaches_down_to_0() -> None:
    rate = sampled(answers("+" * 4, classes=[(1, True), (1, False)]), 1)["pass@1"]
    assert (rate.rate, rate.low, rate.high) == (0.5, 0.0, 1.0)


def test_losses_against_gains_are_tested_as_coins_are() -> None:
    assert p_worse(0, 0) == 1.0
    assert p_worse(0, 3) == pytest.approx(1 / 8)
    assert p_worse(1, 3) == pytest.approx(5 / 16)
    assert p_worse(3, 0) == 1.0
