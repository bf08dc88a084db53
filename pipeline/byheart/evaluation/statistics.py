"""Estimators, tests, and intervals: numbers in, numbers out.

An interval that is shown beside a test is at the level of that test, and excludes zero exactly where the test rejects.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy

RESAMPLES = 4000
"""Resamples of a bootstrap."""

Interval = tuple[float, float]


def wilson(right: int, judged: int) -> Interval:
    """The 95 % interval of an accuracy, `right` of `judged`: the shares that the score test does not reject (Wilson,
    JASA 22, 1927)."""
    from scipy import stats  # which takes half a second

    low, high = stats.binomtest(right, judged).proportion_ci(method="wilson")
    return float(low), float(high)


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that at least one of k samples is right, drawn from n of which c are right: 1 - C(n-c, k) / C(n, k).

    Source: 2107.03374, equation 1. Raises ValueError where k is not in 1..n.
    """
    _check(n, k)
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def maj_at_k(classes: Sequence[tuple[int, bool]], k: int) -> float:
    """The chance that the most frequent answer of k samples is right, ties broken at random. Like pass@k it is
    unbiased, as it is the mean over all draws of k of the samples.

    `classes` are the samples by their answers: (number of samples, whether the answer is right). For each size m of the
    largest class in a draw, `draws[j, t]` counts the draws of j samples with no class larger than m and t classes of
    size m, and `wins[j, t]` the same draws, each times the number of right ones among the t. Raises ValueError where k
    is not in 1..n.
    """
    n = sum(size for size, _ in classes)
    _check(n, k)
    chance = 0.0
    for m in range(1, min(k, max(size for size, _ in classes)) + 1):
        draws, wins = numpy.zeros((2, k + 1, k // m + 1))
        draws[0, 0] = 1.0
        for size, right in classes:
            more_draws, more_wins = numpy.zeros((2, *draws.shape))
            for x in range(min(size, m) + 1):
                choices, top = math.comb(size, x), int(x == m)
                old_draws = draws[: k + 1 - x, : draws.shape[1] - top]
                old_wins = wins[: k + 1 - x, : draws.shape[1] - top]
                more_draws[x:, top:] += choices * old_draws
                more_wins[x:, top:] += choices * (old_wins + old_draws if top and right else old_wins)
            draws, wins = more_draws, more_wins
        chance += float(sum(wins[k, t] / t for t in range(1, k // m + 1)))
    return chance / math.comb(n, k)


def best_at_k(samples: Sequence[tuple[float, bool]], k: int) -> float:
    """The chance that the highest scored of k samples is right, ties broken at random: the mean over all draws of k of
    the samples.

    `samples` are (score, whether it is right). The i-th best (from 0) is the best in C(n-i-1, k-1) of C(n, k) draws.
    Raises ValueError where k is not in 1..n.
    """
    n = len(samples)
    _check(n, k)
    tied: dict[float, list[bool]] = defaultdict(list)
    for score, right in samples:
        tied[score].append(right)
    ranked = [sum(tied[score]) / len(tied[score]) for score in sorted(tied, reverse=True) for _ in tied[score]]
    return sum(math.comb(n - i - 1, k - 1) * right for i, right in enumerate(ranked)) / math.comb(n, k)


def p_worse(gained: int, lost: int) -> float:
    """The p value of McNemar's test, exact and one-sided: the chance of at least `lost` losses among `gained` + `lost`
    changes if neither policy were better."""
    from scipy import stats  # which takes half a second

    moved = gained + lost
    return float(stats.binomtest(lost, moved, alternative="greater").pvalue) if moved else 1.0


def mcnemar(gained: int, lost: int) -> float:
    """The p value of McNemar's test, exact and two-sided: the chance that `gained` + `lost` problems split at least as
    unevenly if both policies were equally good. It is below alpha where the one-sided one is below alpha / 2."""
    return min(1.0, 2 * min(p_worse(gained, lost), p_worse(lost, gained)))


def paired_interval(gained: int, lost: int, n: int, alpha: float = 0.05) -> Interval:
    """The 1 - `alpha` interval of a change of accuracy, (gained - lost) / n, on `n` problems: the changes that are not
    rejected by Tango's score test (Statistics in Medicine 17, 1998, 891-908), and zero where McNemar's exact test does
    not reject it.

    So it excludes zero exactly where `mcnemar` is below alpha. The two seldom differ: then an end is at zero, or half a
    problem from it.
    """
    if not n:
        return -1.0, 1.0
    low, high = _tango(gained, lost, n, alpha), -_tango(lost, gained, n, alpha)
    if mcnemar(gained, lost) >= alpha:
        return min(low, 0.0), max(high, 0.0)
    return (max(low, 0.5 / n), high) if gained > lost else (low, min(high, -0.5 / n))


def _tango(gained: int, lost: int, n: int, alpha: float) -> float:
    """The lower end of Tango's interval: the change at which the score statistic is the normal quantile."""
    from scipy import optimize, stats  # which take half a second

    estimate, quantile = (gained - lost) / n, float(stats.norm.isf(alpha / 2))

    def excess(change: float) -> float:
        """The squared numerator of the statistic, less the squared quantile times its variance; `share` is the most
        likely share of losses given this change."""
        linear = (2 * n - gained + lost) * change - gained - lost
        root = math.sqrt(max(0.0, linear**2 + 8 * n * lost * change * (1 - change)))
        share = (root - linear) / (4 * n)
        return (gained - lost - n * change) ** 2 - quantile**2 * n * (2 * share + change * (1 - change))

    below = estimate - 1e-9  # at the estimate itself there may be no variance
    return float(optimize.brentq(excess, -1.0, below)) if excess(below) < 0 < excess(-1.0) else -1.0


def mean_interval(values: Sequence[float], lowest: float, alpha: float = 0.05) -> Interval:
    """A 1 - `alpha` interval of the mean of `values`, which are in `lowest`..1, one for each problem: the percentile
    bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), which resamples problems.

    Where all are equal it is -log(alpha) / n either way, for 95 % the rule of three: what was not seen in n trials."""
    from scipy import stats  # which takes half a second

    if not values:
        return lowest, 1.0
    if len(set(values)) == 1:
        margin = -math.log(alpha) / len(values)
        return max(lowest, values[0] - margin), min(1.0, values[0] + margin)
    rng = numpy.random.default_rng(0)
    drawn = stats.bootstrap(
        (values,), numpy.mean, confidence_level=1 - alpha, method="percentile", n_resamples=RESAMPLES, rng=rng
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def ratio_interval(above: Sequence[float], below: Sequence[float]) -> tuple[float, float | None]:
    """A bootstrap interval of mean(above) / mean(below) for values in 0..1 of the same n problems, which are resampled.

    The upper end is None where the mean below may be 0. Resamples with 0/0 are left out; where all others are equal,
    the interval is 3/n above either way. Raises ValueError where `below` is all 0.
    """
    if not any(below):
        raise ValueError("there is no ratio to a mean of 0")
    n = len(above)
    drawn = numpy.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    tops, bottoms = (numpy.asarray(values, float)[drawn].mean(axis=1) for values in (above, below))
    defined = (tops > 0) | (bottoms > 0)
    with numpy.errstate(divide="ignore"):
        ratios = tops[defined] / bottoms[defined]
    low, high = numpy.quantile(ratios, [0.025, 0.975], method="closest_observation")
    if ratios.min() == ratios.max():
        margin = 3 / sum(below)  # 3/n above, over the mean below
        low, high = max(0.0, low - margin), high + margin
    return float(low), None if math.isinf(high) else float(high)


def _check(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k must be in 1..{n}, this is {k}")
