"""The figures of a run as text. They are made here, once: the terminal and the pages only lay them out.

Every interval is a 95 % interval, unless it says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from byheart.evaluation.metrics import (
    Accuracy,
    Back,
    ByHeart,
    Change,
    Decision,
    Kind,
    Paired,
    Rate,
    Reliability,
    RoundMetrics,
    SideMetrics,
    SplitMetrics,
    Unique,
)
from byheart.runs.records import Stages
from byheart.strategies.core import diagnosis


class Figure(NamedTuple):
    """A figure, its interval, and what else is to be known of it; the last two are "" where there is nothing."""

    value: str = ""
    interval: str = ""
    note: str = ""


UNKNOWN = Figure("–")
ALPHA = 0.05
"""The share that a 95 % interval leaves out."""


class Table(NamedTuple):
    """A table. The columns in `numbers`, by their headings, are aligned to the right."""

    headings: Sequence[str]
    numbers: frozenset[str]
    rows: list[list[Figure | str]]


class Row(NamedTuple):
    """What one kind of `answer` came to on a split, before and after a round. `problems` is how many were asked where
    not all were, `moved` how many were newly solved and how many lost."""

    answer: str
    before: Figure = Figure()
    after: Figure = Figure()
    change: Figure = Figure()
    moved: str = ""
    p_worse: str = ""
    tokens: str = ""
    problems: int | None = None


def results(split: SplitMetrics, kinds: Sequence[Kind]) -> list[Row]:
    """All measures of a round on one split: of the greedy answers those `kinds`."""
    rows = []
    for kind in kinds:
        before, after, paired = split.before.kind(kind), split.after.kind(kind), split.paired.kind(kind)
        counts = (moved(paired), p_value(paired.p_worse), f"{tokens(before)} → {tokens(after)}")
        rows.append(Row(kind, accuracy(before), accuracy(after), change(paired), *counts))
    if slow := split.before.slow:
        rows.append(Row("slow", accuracy(slow), tokens=tokens(slow), problems=slow.problems))
    if split.by_heart:
        rows.append(Row("by heart", after=ratio(split.by_heart)))
    old, new = split.before, split.after
    rows += [Row(name, rate(old.sampled.get(name)), rate(new.sampled[name])) for name in main_rates(new)]
    if new.unique:
        rows.append(Row("different", distinct(old.unique), distinct(new.unique)))
    return rows


def main_rates(side: SideMetrics) -> list[str]:
    """The most telling rates of repeated sampling: pass@1, and pass@k and maj@k for the greatest k."""
    greatest = max((rate.k for rate in side.sampled.values()), default=0)
    return list(dict.fromkeys(["pass@1", f"pass@{greatest}", f"maj@{greatest}"])) if greatest else []


def accuracy(row: Accuracy | None, digits: int = 3) -> Figure:
    """An accuracy, and how many answers could not be judged."""
    note = f"{row.unjudged} unjudged" if row and row.unjudged else ""
    if row is None or row.accuracy is None:
        return UNKNOWN._replace(note=note)
    return Figure(f"{row.accuracy:.{digits}f}", _interval(row.low, row.high), note)


def rate(row: Rate | None) -> Figure:
    """A pass@k or maj@k."""
    return Figure(f"{row.rate:.3f}", _interval(row.low, row.high)) if row else UNKNOWN


def distinct(row: Unique | None) -> Figure:
    """The share of right samples that are different."""
    return Figure(f"{row.rate:.2f}", note=f"{row.distinct} of {row.right} right") if row else UNKNOWN


def change(paired: Paired | Change, alpha: float = ALPHA) -> Figure:
    """The mean change of accuracy, with its interval, which is a 1 - `alpha` interval."""
    return Figure(f"{paired.change:+.3f}", f"({_end(paired.low)} to {_end(paired.high)}{level(alpha)})")


def level(alpha: float) -> str:
    """The level of an interval where it is not 95 %, as the end of a phrase."""
    return "" if math.isclose(alpha, ALPHA) else f", {100 * (1 - alpha):.4g} %"


def deciding(paired: Paired, alpha: float | None) -> Figure:
    """The change that is tested one-sided at the level `alpha`, with the interval that excludes zero where the test
    rejects; without one, as in older versions, as it was recorded."""
    p = f"p worse {p_value(paired.p_worse)}"
    if alpha is None:
        return change(paired)._replace(note=p)
    below = "below" if paired.p_worse < alpha else "not below"
    return change(paired.at(2 * alpha), 2 * alpha)._replace(note=f"{p}, {below} {alpha:.3g}")


def moved(paired: Paired) -> str:
    """How many problems were newly solved, and how many newly lost."""
    return f"{len(paired.gained)}, {len(paired.lost)}"


def ratio(heart: ByHeart | None) -> Figure:
    """A by-heart ratio, whose interval may have no upper end."""
    if heart is None:
        return UNKNOWN
    ends = ("" if end is None else _end(end, 1.0, "-") for end in (heart.low, heart.high))
    return Figure(f"{heart.ratio:.2f}", "({}–{})".format(*ends))


def tokens(*rows: Accuracy | None) -> str:
    """The mean tokens of each of several answers."""
    return ", ".join("–" if row is None or row.tokens is None else f"{row.tokens:.1f}" for row in rows)


def p_value(p: float) -> str:
    """A p value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share in percent."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def _end(end: float, null: float = 0.0, sign: str = "+") -> str:
    """An end of an interval: two digits, or as many as tell it from what is tested."""
    gap = abs(end - null)
    digits = max(2, math.ceil(-math.log10(gap))) if gap else 2
    return f"{end:{sign}.{digits}f}" if end else "0.00"


def _interval(low: float | None, high: float | None) -> str:
    return "({}–{})".format(*("" if end is None else f"{end:.2f}" for end in (low, high)))


def sentences(metrics: RoundMetrics) -> list[tuple[str, str]]:
    """What else a round came to on the held-out problems, as far as it was measured: (heading, sentences)."""
    after = metrics.held_out.after
    texts = {
        "Values of steps": values_text(after.values, metrics.scorer_promoted) if after.values else "",
        "Going back": back_text(after.back) if after.back else "",
    }
    return [(heading, text) for heading, text in texts.items() if text]


UNTELLING = "Neither policy solves a development problem, so the test can't tell them apart"
DECISIONS: dict[Decision, str] = {
    "not worse": "The new policy is promoted.",
    "as readable": f"{UNTELLING}: the new policy is promoted, as its answers end and can be read as often as before.",
    "unmeasured": "No development problem could be judged: the new policy is promoted unmeasured.",
    "unchanged": "There is no new policy.",
    "worse": "The new policy is worse and not promoted.",
    "worse than best": "The new policy is worse than the best so far and not promoted.",
    "incomparable": "No development problem could be judged both times: the new policy is not promoted.",
    "less readable": f"{UNTELLING}: the new policy is not promoted, as more of its answers are cut off or can't be "
    "read.",
    "all cut off": "No development problem could be judged, and all answers of the new policy are cut off: it is not "
    "promoted.",
    "loss rose": "No development problem is solved or could be judged, and the training loss ended above where it "
    "began: the new policy is not promoted; lower objective.learning_rate.",
}
"""Why a policy is promoted or is not, as sentences."""


def decision(metrics: RoundMetrics) -> str:
    """Whether the new policy is promoted, and why, as sentences."""
    decided = metrics.decision
    if decided is None and metrics.before == metrics.after:  # of an older version
        decided = "unchanged"
    elif decided is None:
        decided = ("not worse" if metrics.measured else "unmeasured") if metrics.promoted else "worse"
    return DECISIONS[decided]


def sampling(stages: Stages) -> str:
    """How the samples of a round came out, and what to change where they are of little use, as sentences; "" in runs of
    older versions."""
    if not (stages.verify and stages.verify.num_problems):
        return ""
    return diagnosis.said(stages.verify, stages.sample.num_out_of_context if stages.sample else 0)


def by_heart_text(heart: ByHeart) -> str:
    """What a by-heart ratio means, as a sentence."""
    if heart.low > 1:
        meaning = "The fast answer has overtaken the slow one"
    elif heart.ratio >= 1:
        meaning = "The fast answer has caught up with the slow one"
    elif heart.high is None or heart.high >= 1:
        problems = f"{heart.problems} problem{'' if heart.problems == 1 else 's'}"
        meaning = f"{problems} can't tell whether the fast answer has caught up with the slow one"
    else:
        meaning = "The fast answer has not caught up with the slow one yet"
    figure = ratio(heart)
    return f"{meaning}: it is right {figure.value} times as often {figure.interval}."


def values_text(values: Reliability, promoted: bool) -> str:
    """How reliable the values of steps are, and whether the value model is `promoted`, as sentences."""
    auc = "unknown" if values.auc is None else f"{values.auc:.2f}"
    first = values.first_error
    brier = f"Brier {values.brier:.3f} {_interval(values.low, values.high)}"
    text = f"{brier}, calibration error {values.ece:.3f}, AUC {auc}"
    if first.found is not None:
        text += f"; the first wrong step is found in {first.found:.2f} of {first.wrong} wrong solutions"
    if first.unseen is not None:
        text += f", none is seen in {first.unseen:.2f} of {first.right} right ones"
    worse = "" if promoted else "not promoted: it is worse on development problems than the one before"
    return f"{text} ({values.steps} steps). The value model is {worse or 'promoted'}."


def back_text(back: Back) -> str:
    """What came of going back, as a sentence."""
    straight = back.straight.accuracy
    return (
        f"{back.gone} of {back.problems} worked answers go back, of which {back.fixed} come out right; where that is "
        f"forbidden, accuracy is {'not judged' if straight is None else f'{straight:.3f}'}."
    )
