"""Whether a value model can be believed: what it said after each step of sampled solutions, against what they came to.

brier         mean of (value - outcome)^2 over the steps of a problem's solutions, then over problems; 0 is perfect,
              0.25 what always saying 0.5 earns
ece           expected calibration error: how far the mean value of a tenth of the scale is from the share that came
              out right there, averaged over the steps (1706.04599, equation 3)
auc           the chance that a step of a right solution is valued above one of a wrong solution; ties count half
first_error   of the wrong solutions of problems that another sample solved, the share in which the first value
              under 0.5 is that of the first step with no right sample behind it; and of the right solutions the
              share with no value under 0.5 (as ProcessBench, 2412.06559, counts both)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from scipy import stats

from byheart.evaluation.statistics import mean_interval
from byheart.types import Record

BINS = 10


@dataclass(frozen=True, slots=True)
class Valued(Record):
    """One sampled solution: what the value model said after each step (0..1), what the scorer before it did, where
    there was one, whether some sample that begins so is right, and whether this one is."""

    values: list[float]
    before: list[float] | None
    possible: list[bool]
    right: bool

    def old(self) -> Valued:
        """The same by the scorer before."""
        assert self.before is not None
        return Valued(self.before, None, self.possible, self.right)


def reliability(problems: Sequence[Sequence[Valued]]) -> dict[str, Any]:
    """All measures, and the steps by tenths of the scale. `problems` are the solutions of each; none is empty-handed:
    raises ValueError where there is no step at all."""
    solutions = [one for some in problems for one in some]
    said = numpy.array([value for one in solutions for value in one.values])
    came = numpy.array([one.right for one in solutions for _ in one.values], float)
    if not len(said):
        raise ValueError("no step was valued")
    bins = numpy.minimum((said * BINS).astype(int), BINS - 1)
    rows = []
    for place in range(BINS):
        inside = bins == place
        if inside.any():
            rows.append(
                {"steps": int(inside.sum()), "value": float(said[inside].mean()), "right": float(came[inside].mean())}
            )
    briers = [brier(some) for some in problems if some]
    low, high = mean_interval(briers, 0.0)
    return {
        "solutions": len(solutions),
        "steps": len(said),
        "brier": float(numpy.mean(briers)),
        "low": low,
        "high": high,
        "ece": sum(row["steps"] * abs(row["value"] - row["right"]) for row in rows) / len(said),
        "auc": auc(said[came == 1], said[came == 0]),
        "first_error": first_error(problems),
        "bins": rows,
    }


def brier(solutions: Sequence[Valued]) -> float:
    """Over the steps of one problem's solutions."""
    return float(numpy.mean([(value - one.right) ** 2 for one in solutions for value in one.values]))


def auc(right: Sequence[float], wrong: Sequence[float]) -> float | None:
    """None where there are none of one kind."""
    if not (len(right) and len(wrong)):
        return None
    return float(stats.mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong)))


def first_error(problems: Sequence[Sequence[Valued]]) -> dict[str, float | int | None]:
    found, unseen = [], []
    for some in problems:
        for one in some:
            seen = next((place for place, value in enumerate(one.values) if value < 0.5), None)
            if one.right:
                unseen.append(seen is None)
            elif any(other.right for other in some):
                found.append(seen == one.possible.index(False))
    return {
        "wrong": len(found),
        "found": sum(found) / len(found) if found else None,
        "right": len(unseen),
        "unseen": sum(unseen) / len(unseen) if unseen else None,
    }


def worse(problems: Sequence[Sequence[Valued]]) -> bool:
    """Whether the value model is worse than the scorer before it by more than chance: by the 95 % bootstrap interval of
    the paired differences of their Brier scores, problem by problem. It is not where there was none before."""
    both = [some for some in problems if some and all(one.before for one in some)]
    differences = [brier(some) - brier([one.old() for one in some]) for some in both]
    return bool(differences) and mean_interval(differences, -1.0)[0] > 0
