"""Means over seeds and problems: what is known of them in closed form, and how often they are wrong."""

from itertools import product

import numpy
import pytest
from byheart.evaluation.clusters import Mean, clustered
from scipy import stats


def test_seeds_with_problems_of_their_own_are_a_t_test_of_their_means() -> None:
    answers = [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    seeds = [seed for seed in range(3) for _ in range(4)]
    mean = clustered([value for part in answers for value in part], seeds, list(range(12)))
    known = stats.ttest_1samp([0.0, 0.75, 1.0], 0.0)
    interval = known.confidence_interval(0.95)
    assert mean.freedom == 2 and mean.p == pytest.approx(known.pvalue)
    assert mean.interval(0.05, -9.0) == pytest.approx((interval.low, min(1.0, interval.high)))


def test_what_seeds_and_problems_share_is_added_up() -> None:
    """V_seed + V_problem - V_value, each with its G / (G - 1)."""
    cells = list(product(range(3), range(40)))
    values = [float((seed + 2 * problem) % 3 == 0 or problem % 4 == 3) for seed, problem in cells]
    table = numpy.reshape(values, (3, 40)) - numpy.mean(values)
    seed, problem = 3 / 2 * (table.sum(1) ** 2).sum() / 120**2, 40 / 39 * (table.sum(0) ** 2).sum() / 120**2
    value = 120 / 119 * (table**2).sum() / 120**2
    mean = clustered(values, [seed for seed, _ in cells], [problem for _, problem in cells])
    assert mean.value == pytest.approx(numpy.mean(values))
    assert mean.error**2 == pytest.approx(max(seed + problem - value, seed, problem))


def test_the_interval_excludes_zero_exactly_where_the_test_rejects() -> None:
    for value, error, alpha in product((-0.4, -0.1, 0.0, 0.2), (0.02, 0.05, 0.1), (0.05, 0.01)):
        mean = Mean(value, error, 3)
        low, high = mean.interval(alpha, -1.0)
        assert (low > 0 or high < 0) == (mean.p < alpha)
        assert mean.p == pytest.approx(2 * min(mean.p_worse, 1 - mean.p_worse))


def test_values_that_are_all_equal_are_not_certain() -> None:
    mean = clustered([0.0] * 40, [0, 1] * 20, list(range(40)))
    assert mean.p == 1.0 and mean.error == 1 / 40
    again = clustered([0.0] * 120, [0, 1, 2] * 40, sorted(list(range(40)) * 3))
    assert again.error == 1 / 40, "the same problems again make it no more certain"


@pytest.mark.parametrize(("seeds", "problems"), [([1, 1], [1, 2]), ([1, 2], [1, 1])])
def test_one_seed_or_one_problem_says_nothing_about_others(seeds: list[int], problems: list[int]) -> None:
    with pytest.raises(ValueError, match="two of each"):
        clustered([0.0, 1.0], seeds, problems)


@pytest.mark.parametrize("shared", [True, False])
def test_it_holds_the_mean_about_as_often_as_it_says(shared: bool) -> None:
    """Seeds and problems have effects of their own; every seed has the same problems, or problems of its own."""
    rng, held = numpy.random.default_rng(0), 0
    for _ in range(300):
        problems = rng.normal(size=(1 if shared else 5, 30)) + numpy.zeros((5, 30))
        values = 0.3 + 0.3 * rng.normal(size=(5, 1)) + 0.5 * problems + rng.normal(size=(5, 30))
        names = [problem if shared else 30 * seed + problem for seed, problem in product(range(5), range(30))]
        low, high = clustered(list(values.ravel()), [seed for seed in range(5) for _ in range(30)], names).interval(
            0.05, -9
        )
        held += low <= 0.3 <= min(high, 9)
    assert held > 0.92 * 300
