"""How reliable a value model is: what it said after each step of sampled solutions, against what they came to.

brier         mean of (value - outcome)^2 over the steps of a problem's solutions, then over problems; 0 is perfect,
              0.25 is a constant 0.5
ece           expected calibration error: the distance between the mean value of the steps in a tenth of the scale and
              the share of them in right solutions, averaged over the steps (1706.04599, equation 3)
auc           the chance that a step of a right solution is valued above one of a wrong solution; ties count half
first_error   of the wrong solutions of problems that another sample solved, the share in which the first value
              below 0.5 is that of the first step with no right sample behind it; and of the right solutions the
              share with no value below 0.5 (as ProcessBench, 2412.06559, counts both)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from byheart.evaluation.metrics import Bin, FirstError, Reliability
from byheart.evaluation.statistics import mean_interval
from byheart.types import Record

BINS = 10


@dataclass(frozen=True, slots=True)
class Valued(Record):
    """One sampled solution: the value (0..1) after each step by the policy's scorer, and by the scorer `before` it if
    there was one; whether some right sample begins with these steps (`possible`), and whether this one is right."""

    values: list[float]
    before: list[float] | None
    possible: list[bool]
    right: bool

    def old(self) -> Valued:
        """The same solution with the values of the scorer before."""
        assert self.before is not None
        return Valued(self.before, None, self.possible, self.right)


def reliability(problems: Sequence[Sequence[Valued]]) -> Reliability:
    """All measures, and the steps by tenths of the scale. `problems` are the solutions of each problem. Raises
    ValueError where no step is valued."""
    solutions = [solution for group in problems for solution in group]
    values = numpy.array([value for solution in solutions for value in solution.values])
    outcomes = numpy.array([solution.right for solution in solutions for _ in solution.values], float)
    if not len(values):
        raise ValueError("no step was valued")
    tenths = numpy.minimum((values * BINS).astype(int), BINS - 1)
    bins = [
        Bin(int(inside.sum()), float(values[inside].mean()), float(outcomes[inside].mean()))
        for inside in (tenths == tenth for tenth in range(BINS))
        if inside.any()
    ]
    briers = [brier(group) for group in problems if group]
    low, high = mean_interval(briers, 0.0)
    return Reliability(
        solutions=len(solutions),
        steps=len(values),
        brier=float(numpy.mean(briers)),
        low=low,
        high=high,
        ece=sum(tenth.steps * abs(tenth.value - tenth.right) for tenth in bins) / len(values),
        auc=auc(values[outcomes == 1], values[outcomes == 0]),
        first_error=first_error(problems),
        bins=bins,
    )


def brier(solutions: Sequence[Valued]) -> float:
    """The Brier score over the steps of one problem's solutions."""
    return float(numpy.mean([(value - solution.right) ** 2 for solution in solutions for value in solution.values]))


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """The area under the ROC curve of values of `right` and `wrong` solutions; None where one of them is empty."""
    from scipy import stats  # which takes half a second

    if not (len(right) and len(wrong)):
        return None
    return float(stats.mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong)))


def first_error(problems: Sequence[Sequence[Valued]]) -> FirstError:
    """How often the first wrong step is found, and none is seen in right solutions."""
    found_in_wrong, unseen_in_right = [], []
    for group in problems:
        for solution in group:
            first_low = next((index for index, value in enumerate(solution.values) if value < 0.5), None)
            if solution.right:
                unseen_in_right.append(first_low is None)
            elif any(other.right for other in group):
                found_in_wrong.append(first_low == solution.possible.index(False))
    return FirstError(
        wrong=len(found_in_wrong),
        found=sum(found_in_wrong) / len(found_in_wrong) if found_in_wrong else None,
        right=len(unseen_in_right),
        unseen=sum(unseen_in_right) / len(unseen_in_right) if unseen_in_right else None,
    )


def worse(problems: Sequence[Sequence[Valued]], alpha: float) -> bool:
    """Whether the value model is significantly worse than the scorer before it, at the one-sided level `alpha`: by the
    bootstrap interval of the paired differences of their Brier scores, problem by problem. False where there was none
    before."""
    both = [group for group in problems if group and all(solution.before for solution in group)]
    differences = [brier(group) - brier([solution.old() for solution in group]) for group in both]
    return bool(differences) and mean_interval(differences, -1.0, 2 * alpha)[0] > 0
