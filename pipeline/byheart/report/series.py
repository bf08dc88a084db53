"""The charts of a run and of a comparison: which numbers are points, and which points are a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from byheart.evaluation.metrics import Accuracy, Bin, ByHeart, Kind, Rate, SideMetrics, SplitMetrics
from byheart.report.charts import BY_TOKENS, BY_VALUE, Chart, Line, Point
from byheart.report.comparison import Comparison
from byheart.report.data import KINDS, Round, RunView, clip
from byheart.report.figures import main_rates

MAX_GROUPS = 12
"""Most groups in a chart, and most with a chart each."""


def run_charts(run: RunView) -> list[Chart]:
    """The charts of what could be measured: accuracy and tokens, by heart, repeated sampling, by group, and the values
    of steps."""
    return _drawn(_charts(run))


def comparison_charts(comparison: Comparison) -> list[Chart]:
    """Accuracy against tokens sampled so far, a line a run: of all problems, then of each group."""
    charts = []
    for group, ids in list(comparison.groups.items())[: 1 + MAX_GROUPS]:
        for kind in comparison.kinds:
            lines = []
            for look, run in enumerate(comparison.runs):
                points = [_point(stand.num_tokens, stand.accuracy(comparison.split, ids, kind)) for stand in run.stands]
                lines.append(_line(look, clip(run.name, 24, 24), points))
            title = f"{kind.capitalize()} accuracy{f', {comparison.group_by} {group}' if group else ''}"
            charts.append(Chart(title, f"{len(ids)} problems. Bars are 95 % intervals.", lines, x=BY_TOKENS))
    return _drawn(charts)


def _drawn(charts: Iterable[Chart]) -> list[Chart]:
    """The charts that have lines, of which those that have points."""
    plotted = (replace(chart, lines=[line for line in chart.lines if line.points]) for chart in charts)
    return [chart for chart in plotted if chart.lines]


def _charts(run: RunView) -> Iterator[Chart]:
    rounds = run.finished
    last = rounds[-1].metrics.held_out.after
    yield Chart(
        "Accuracy by round",
        "Share answered right. Bars are 95 % intervals.",
        [*(_accuracies(rounds, KINDS.index(kind), kind) for kind in (*run.greedy, "slow")), *_controls(rounds[-1])],
    )
    yield Chart(
        "Tokens an answer by round",
        "Mean length of an answer: fewer tokens are a faster answer.",
        [_tokens(rounds, look, kind) for look, kind in enumerate(run.greedy)],
        share=False,
    )
    yield Chart(
        "By heart",
        "Fast answers right for each slow answer right. At 1 what had to be worked out is known by heart.",
        [
            _ratios(rounds, 0, "over slow before", lambda split: split.by_heart),
            _ratios(rounds, 1, "over slow of the base", lambda split: split.by_heart_base),
        ],
        share=False,
        level=1,
    )
    yield Chart(
        "Sampled several times",
        "pass@k: one of k answers is right; maj@k: the most frequent of k is. Bars are 95 % intervals.",
        [_rates(rounds, look, name) for look, name in enumerate(main_rates(last))],
    )
    yield from _by_group(run, list(last.by or {}))
    if last.values:
        yield _reliability(last.values.bins)


def _by_group(run: RunView, groups: Sequence[str]) -> Iterator[Chart]:
    few = f", the first {MAX_GROUPS} of {len(groups)}" if len(groups) > MAX_GROUPS else ""
    for kind in run.greedy:
        yield Chart(
            f"{kind.capitalize()} accuracy by {run.group_by}",
            f"A line for each value of {run.group_by}{few}. Bars are 95 % intervals.",
            [_group(run.finished, look, group, kind) for look, group in enumerate(groups[:MAX_GROUPS])],
        )


def _sides(rounds: Sequence[Round]) -> list[tuple[int, bool, SideMetrics]]:
    """(round, whether promoted, held-out metrics): the base model as round 1 measured it, then what each round made."""
    before = (0, True, rounds[0].metrics.held_out.before)
    return [before, *((round_.n, round_.promoted, round_.metrics.held_out.after) for round_ in rounds)]


def _accuracies(rounds: Sequence[Round], look: int, kind: str) -> Line:
    """Slow answers are measured only before a round, so their line is that of the policies that rounds started from."""
    starts = [(round_.n - 1, True, round_.metrics.held_out.before) for round_ in rounds]
    sides = starts if kind == "slow" else _sides(rounds)
    return _line(look, kind, [_point(n, side.kind(kind), promoted) for n, promoted, side in sides])


def _controls(last: Round) -> list[Line]:
    """What the base came to with each control, by the answers that decide: level from round 0 to the `last`."""
    kind = last.metrics.decided_by
    return [
        replace(_line(look, f"base with {clip(control.words, 24, 8)}", points), dashed=True)
        for look, control in enumerate(last.metrics.controls, len(KINDS))
        if all(points := [_point(n, control.accuracy.get(kind)) for n in (0, last.n)])
    ]


def _group(rounds: Sequence[Round], look: int, group: str, kind: Kind) -> Line:
    sides = [(n, promoted, (side.by or {}).get(group)) for n, promoted, side in _sides(rounds)]
    return _line(look, group, [_point(n, by.kind(kind), promoted) for n, promoted, by in sides if by])


def _rates(rounds: Sequence[Round], look: int, name: str) -> Line:
    return _line(look, name, [_point(n, side.sampled.get(name), promoted) for n, promoted, side in _sides(rounds)])


def _tokens(rounds: Sequence[Round], look: int, kind: Kind) -> Line:
    sides = [(n, promoted, side.kind(kind)) for n, promoted, side in _sides(rounds)]
    points = [_exact(n, row.tokens, promoted) for n, promoted, row in sides if row and row.tokens is not None]
    return Line(kind, points, look)


def _ratios(rounds: Sequence[Round], look: int, words: str, which: Callable[[SplitMetrics], ByHeart | None]) -> Line:
    """The first line is solid, the others are dashed."""
    points = [_point(round_.n, which(round_.metrics.held_out), round_.promoted) for round_ in rounds]
    return replace(_line(look, words, points), dashed=look > 0)


def _reliability(bins: Sequence[Bin]) -> Chart:
    return Chart(
        "Values of steps and what came of them",
        "Held out, last round: the share of steps with such a value that are in right solutions. On the dashed line "
        "values are perfectly calibrated.",
        [
            Line("steps", [_exact(tenth.value, tenth.right) for tenth in bins], 0),
            Line("perfect", [_exact(end, end) for end in (0.0, 1.0)], 7, dashed=True),
        ],
        x=BY_VALUE,
    )


def _line(look: int, words: str, points: Sequence[Point | None]) -> Line:
    return Line(words, [point for point in points if point], look)


def _point(x: float, row: Accuracy | Rate | ByHeart | None, promoted: bool = True) -> Point | None:
    """None where nothing was measured or could be judged."""
    match row:
        case Rate(rate=value) | ByHeart(ratio=value):
            return Point(x, value, row.low, math.inf if row.high is None else row.high, promoted)
        case Accuracy(accuracy=float(value), low=float(low), high=float(high)):
            return Point(x, value, low, high, promoted)
    return None


def _exact(x: float, value: float, promoted: bool = True) -> Point:
    return Point(x, value, value, value, promoted)
