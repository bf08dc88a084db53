"""The controls of a round as text: what the model that the run began with comes to without training, and whether the
round gives more."""

from __future__ import annotations

from collections.abc import Sequence

from byheart.evaluation.metrics import ControlMetrics, Kind, RoundMetrics
from byheart.report import figures
from byheart.report.figures import Row


def rows(metrics: RoundMetrics, kinds: Sequence[Kind]) -> list[Row]:
    """A row for each control and each of `kinds` that it was measured by, on the held-out problems: what the base comes
    to with it, the policy after the round, and the change from the one to the other."""
    after = metrics.held_out.after
    made = []
    for control in metrics.controls:
        for kind in (kind for kind in kinds if kind in control.accuracy):
            base, paired = control.accuracy[kind], control.against[kind]
            counts = (figures.moved(paired), "", f"{figures.tokens(base)} → {figures.tokens(after.kind(kind))}")
            words = f"{kind}, base with {control.words}"
            made.append(
                Row(words, figures.accuracy(base), figures.accuracy(after.kind(kind)), figures.change(paired), *counts)
            )
    return made


def text(metrics: RoundMetrics, kind: Kind) -> str:
    """Whether the policy after the round does better than the base with the best of its controls, by one kind of
    answers to the held-out problems, as a sentence; "" where there is none to compare with."""
    measured = [(accuracy, control) for control in metrics.controls if (accuracy := _share(control, kind)) is not None]
    if not measured:
        return ""
    _, best = max(measured, key=lambda pair: pair[0])
    base, paired = figures.accuracy(best.accuracy[kind]), best.against[kind]
    change = figures.change(paired)
    with_ = f"The base model with {best.words} gets {base.value} {base.interval}"
    if paired.low > 0:
        return f"{with_}; the policy after the round adds {change.value} {change.interval} to that."
    verdict = "is worse" if paired.high < 0 else "is not significantly better"
    return f"{with_}, and the policy after the round {verdict}: {change.value} {change.interval}."


def _share(control: ControlMetrics, kind: Kind) -> float | None:
    return control.accuracy[kind].accuracy if kind in control.accuracy else None
