"""Means over seeds and problems: numbers that depend on each other where they share a seed or a problem."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy

from byheart.evaluation.statistics import Interval


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its standard `error`, which has so many degrees of `freedom`. Interval and p value are those of one
    t statistic, so that the interval excludes zero exactly where the p value is below alpha."""

    value: float
    error: float
    freedom: int

    @property
    def p_worse(self) -> float:
        """The one-sided p value: the chance of a mean at least so low if it were zero."""
        from scipy import stats  # which takes half a second

        return float(stats.t.cdf(self.value / self.error, self.freedom))

    @property
    def p(self) -> float:
        """The two-sided p value."""
        from scipy import stats  # which takes half a second

        return float(2 * stats.t.sf(abs(self.value / self.error), self.freedom))

    def interval(self, alpha: float, lowest: float) -> Interval:
        """The 1 - `alpha` interval, within what is possible: `lowest`..1."""
        from scipy import stats  # which takes half a second

        margin = float(stats.t.isf(alpha / 2, self.freedom)) * self.error
        return max(lowest, self.value - margin), min(1.0, self.value + margin)


def clustered(values: Sequence[float], seeds: Sequence[Hashable], problems: Sequence[Hashable]) -> Mean:
    """The mean of `values`, each of a seed and a problem, with an error that is robust to what values of one seed, and
    those of one problem, have in common.

    The variance is V_seed + V_problem - V_value (Cameron, Gelbach and Miller, Journal of Business & Economic Statistics
    29, 2011, section 2), each times G / (G - 1) for its G clusters, but not less than V_seed or V_problem (the max-se
    of 2406.08880), nor than if one problem alone had differed by 1 in all seeds. The degrees of freedom are those of
    the fewer clusters (Cameron and Miller, Journal of Human Resources 50, 2015). Raises ValueError for fewer than two
    seeds, or two problems: one says nothing about others.
    """
    fewest = min(len(set(seeds)), len(set(problems)))
    if fewest < 2:
        raise ValueError("a mean over seeds and problems takes two of each at least")
    n, mean = len(values), float(numpy.mean(values))
    residuals = numpy.asarray(values, float) - mean

    def variance(labels: Sequence[Hashable]) -> float:
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        sums = numpy.bincount([numbers[label] for label in labels], weights=residuals)
        return float(sums @ sums) / n**2 * len(sums) / (len(sums) - 1)

    by_seed, by_problem = variance(seeds), variance(problems)
    both = by_seed + by_problem - variance(range(n))
    return Mean(mean, math.sqrt(max(both, by_seed, by_problem, 1 / len(set(problems)) ** 2)), fewest - 1)
