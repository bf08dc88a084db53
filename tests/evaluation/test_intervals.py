"""Intervals, and the tests that they are shown beside, against what is known of them, and against each other."""

import math

import numpy
import pytest
from byheart.evaluation.comparing import sampled
from byheart.evaluation.promotion import level
from byheart.evaluation.statistics import mcnemar, mean_interval, p_worse, paired_interval
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm

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
    assert mean_interval([0.5] * 10, 0.0) == pytest.approx((0.2, 0.8), abs=1e-3)
    assert mean_interval([1.0] * 10, 0.0) == pytest.approx((0.7, 1.0), abs=1e-3)
    assert mean_interval([0.0] * 10, 0.0) == pytest.approx((0.0, 0.3), abs=1e-3)
    assert mean_interval([0.0] * 10, -1.0) == pytest.approx((-0.3, 0.3), abs=1e-3)
    assert mean_interval([0.0] * 10, 0.0, 0.001)[1] == pytest.approx(0.69, abs=1e-2), "wider at a higher level"
    assert mean_interval([], -1.0) == (-1.0, 1.0)


def test_the_interval_of_pass_at_k_reaches_down_to_0() -> None:
    rate = sampled(answers("+" * 4, classes=[(1, True), (1, False)]), 1)["pass@1"]
    assert (rate.rate, rate.low, rate.high) == (0.5, 0.0, 1.0)


def test_losses_against_gains_are_tested_as_coins_are() -> None:
    assert p_worse(0, 0) == 1.0
    assert p_worse(0, 3) == pytest.approx(1 / 8)
    assert p_worse(1, 3) == pytest.approx(5 / 16)
    assert p_worse(3, 0) == 1.0


@pytest.mark.parametrize("n", [60, 200, 1000])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.025, 0.05 / 6, 1e-5])
def test_the_interval_of_a_change_excludes_zero_exactly_where_the_test_rejects(n: int, alpha: float) -> None:
    for gained in range(0, 61, 2):
        for lost in range(0, 61 - gained, 3):
            low, high = paired_interval(gained, lost, n, alpha)
            assert (low > 0 or high < 0) == (mcnemar(gained, lost) < alpha), (gained, lost)
            assert (high < 0) == (p_worse(gained, lost) < alpha / 2), (gained, lost)
            assert -1 <= low <= (gained - lost) / n <= high <= 1
            assert paired_interval(lost, gained, n, alpha) == pytest.approx((-high, -low), abs=1e-9)


def test_four_gained_and_none_lost_are_no_proof() -> None:
    """p is 0.125, so the interval may not exclude zero."""
    assert paired_interval(4, 0, 40) == pytest.approx((0.0, 0.2305), abs=1e-4)


def test_small_and_extreme_numbers_have_an_interval() -> None:
    assert paired_interval(0, 0, 0) == (-1.0, 1.0)
    z2 = norm.isf(0.025) ** 2
    assert paired_interval(0, 0, 40) == pytest.approx((-z2 / (40 + z2), z2 / (40 + z2)))  # as a Wilson interval of 0
    assert paired_interval(0, 3, 3)[0] == -1.0 and paired_interval(40, 0, 40)[1] == 1.0
    assert paired_interval(18, 0, 20, 1e-5)[0] > 0 and mcnemar(18, 0) < 1e-5


@pytest.mark.parametrize(("gained", "lost", "n"), [(40, 20, 160), (12, 2, 50), (30, 5, 60)])
def test_the_ends_are_where_the_score_statistic_is_the_quantile(gained: int, lost: int, n: int) -> None:
    """The share of losses that is most likely given the change is looked for here, not solved for."""
    for change in paired_interval(gained, lost, n):

        def surprise(share: float, change: float = change) -> float:
            parts = ((gained, share + change), (lost, share), (n - gained - lost, 1 - 2 * share - change))
            return -sum(count * math.log(max(part, 1e-300)) for count, part in parts)

        bounds = (max(0.0, -change), (1 - change) / 2)
        share = minimize_scalar(surprise, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x
        statistic = (gained - lost - n * change) / math.sqrt(n * (2 * share + change * (1 - change)))
        assert abs(statistic) == pytest.approx(norm.isf(0.025), rel=1e-3)


@pytest.mark.parametrize(
    ("gaining", "losing", "n"), [(0.05, 0.05, 40), (0.3, 0.1, 40), (0.5, 0.02, 100), (0.02, 0.0, 60)]
)
def test_the_interval_of_a_change_holds_it_as_often_as_it_says(gaining: float, losing: float, n: int) -> None:
    """Summed over all outcomes, not simulated."""
    truth, covered = gaining - losing, 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            rest = (1 - gaining - losing) ** (n - gained - lost)
            chance = math.comb(n, gained) * math.comb(n - gained, lost) * gaining**gained * losing**lost * rest
            if chance > 1e-6:
                low, high = paired_interval(gained, lost, n)
                covered += chance * (low <= truth <= high)
    assert covered > 0.93


def test_the_levels_of_all_rounds_sum_to_alpha() -> None:
    assert level(0.05, 1) == 0.025 and level(0.05, 2) == pytest.approx(0.05 / 6)
    assert 0.0499 < sum(level(0.05, n) for n in range(1, 1000)) < 0.05


def test_a_mean_has_an_interval_of_any_level() -> None:
    values = list(numpy.random.default_rng(1).random(50))
    (low, high), (lower, higher) = mean_interval(values, 0.0), mean_interval(values, 0.0, 0.01)
    assert lower < low < high < higher
