"""What a round came to elsewhere, as text: on the other tasks that are measured with it."""

from __future__ import annotations

from collections.abc import Sequence

from byheart.evaluation.metrics import Paired, RoundMetrics
from byheart.report import figures
from byheart.report.figures import Figure, Row, Table


def rows(metrics: RoundMetrics) -> list[Row]:
    """A row for each task, and a second one against the policy that the run began with, where the round did not start
    from that."""
    made = []
    for name, task in metrics.also.items():
        sides = [(name, task.before, task.paired)]
        if task.since_first != task.paired or task.first != task.before:
            sides.append((f"{name}, since the base", task.first, task.since_first))
        for words, before, paired in sides:
            counts = figures.moved(paired), figures.p_value(paired.p_worse)
            tokens = f"{figures.tokens(before)} → {figures.tokens(task.after)}"
            values = figures.accuracy(before), figures.accuracy(task.after), figures.change(paired)
            made.append(Row(words, *values, *counts, tokens, task.after.problems))
    return made


def text(metrics: RoundMetrics) -> str:
    """Which tasks fell or rose significantly, in the round or else since the base, as sentences; "" where nothing else
    is measured."""
    if not metrics.also:
        return ""
    moved = []
    for name, task in metrics.also.items():
        if direction := _moved(task.paired):
            values = figures.accuracy(task.before).value, figures.accuracy(task.after).value
            moved.append(f"{name} {direction} from {values[0]} to {values[1]}: {_change(task.paired)}.")
        elif direction := _moved(task.since_first):
            values = figures.accuracy(task.first).value, figures.accuracy(task.after).value
            moved.append(
                f"{name} {direction} since the base from {values[0]} to {values[1]}: {_change(task.since_first)}."
            )
    return " ".join(moved) or f"no significant change on {', '.join(metrics.also)}."


def table(rounds: Sequence[tuple[int, RoundMetrics]]) -> Table:
    """The tasks round by round, `rounds` being their numbers and metrics; no row where no other task is measured."""
    lines: list[list[Figure | str]] = []
    for n, metrics in rounds:
        for name, task in metrics.also.items():
            values = (figures.accuracy(side) for side in (task.first, task.before, task.after))
            changes = figures.change(task.paired), figures.change(task.since_first)
            lines.append([str(n), Figure(name, note=str(task.after.problems)), *values, *changes])
    return Table(("round", "task", "base", "before", "after", "change", "since the base"), frozenset(), lines)


def _moved(paired: Paired) -> str:
    """In which direction accuracy moved significantly; "" where in neither."""
    return "fell" if paired.high < 0 else "rose" if paired.low > 0 else ""


def _change(paired: Paired) -> str:
    return " ".join(figures.change(paired)[:2])
