"""What a round came to elsewhere, as text: on the other tasks that are measured with it."""

from __future__ import annotations

from collections.abc import Sequence

from byheart.evaluation.metrics import AlsoMetrics, Paired, RoundMetrics
from byheart.report import figures
from byheart.report.figures import Figure, Row, Table


def rows(metrics: RoundMetrics) -> list[Row]:
    """A row for each task, and a second one against the policy that the run began with, where the round did not start
    from that."""
    made = []
    for name, task in metrics.also.items():
        sides = [(name, task.before, task.paired)]
        if not _from_first(task):
            sides.append((f"{name}, since the base", task.first, task.since_first))
        for words, before, paired in sides:
            counts = figures.moved(paired), figures.p_value(paired.p_worse)
            tokens = f"{figures.tokens(before)} → {figures.tokens(task.after)}"
            values = figures.accuracy(before), figures.accuracy(task.after), figures.change(paired)
            made.append(Row(words, *values, *counts, tokens, task.after.problems))
    return made


def text(metrics: RoundMetrics) -> str:
    """Which tasks fell or rose significantly, in the round or since the base, as sentences; "" where nothing else is
    measured."""
    sentences: list[str] = []
    still: list[str] = []
    for name, task in metrics.also.items():
        moves = [(task.before, task.paired, ""), (task.first, task.since_first, " since the base")]
        moved = [
            f"{name} {_moved(paired)}{since} from {figures.accuracy(before).value} to "
            f"{figures.accuracy(task.after).value}: {' '.join(figures.change(paired)[:2])}."
            for before, paired, since in (moves[:1] if _from_first(task) else moves)
            if _moved(paired)
        ]
        if not task.paired.problems:
            moved = [f"nothing could be judged on {name}."]
        sentences += moved
        still += [] if moved else [name]
    return " ".join([*sentences, *([f"no significant change on {', '.join(still)}."] if still else [])])


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


def _from_first(task: AlsoMetrics) -> bool:
    """Whether the round started from the policy that the run began with."""
    return task.since_first == task.paired and task.first == task.before
