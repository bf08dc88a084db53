"""Form against substance as text: how much of what a round gained is answers of another form, and how much is right
where it was wrong."""

from __future__ import annotations

from collections.abc import Sequence

from byheart.evaluation.metrics import Causes, Gains, Kind, RoundMetrics
from byheart.report import figures
from byheart.report.figures import Figure, Table


def text(gains: Gains) -> str:
    """How much of a change is form and how much substance, as sentences."""
    sentences = []
    for causes, moved, when in ((gains.gained, "newly solved", "before"), (gains.lost, "newly lost", "now")):
        if causes.total:
            sentences.append(f"Of {_problems(causes.total, moved)}, by the answer {when}: {_counted(causes)}.")
    form, substance = (" ".join(figures.change(part)[:2]) for part in (gains.form, gains.substance))
    sentences.append(
        f"Form: {form} of the change of accuracy comes from answers that were cut off, could not be read or are right "
        f"in another form. Substance: {substance} comes from answers that were wrong."
    )
    if gains.unlooked:
        sentences.append(f"In {gains.unlooked} of them right answers in another form can't be looked for.")
    if both := gains.readable:
        sentences.append(
            f"Where both answers are complete and could be read ({_problems(both.problems)}), accuracy went from "
            f"{both.before:.3f} to {both.after:.3f}: {' '.join(figures.change(both.change)[:2])}."
        )
    return " ".join(sentences)


def superficial(metrics: RoundMetrics, kind: Kind) -> str:
    """Whether a round gained on its own task, by one kind of answers to the held-out problems, and another that is
    measured fell in the round or since the base, each by an interval without zero, as a sentence; "" where it did not.
    That a gain in the trained distribution comes with a loss out of it is what 2503.02103 calls superficial
    self-improvement."""
    lost = [name for name, task in metrics.also.items() if min(task.paired.high, task.since_first.high) < 0]
    if not lost or metrics.held_out.paired.kind(kind).low <= 0:
        return ""
    return f"The round gained on its own task, and {', '.join(lost)} fell: a superficial improvement (2503.02103)."


def table(rounds: Sequence[tuple[int, Gains | None]]) -> Table:
    """Form against substance by round; `rounds` are their numbers and gains. No row for one without gains."""
    causes = ("cut off", "unread", "other form", "wrong")
    rows: list[list[Figure | str]] = []
    for n, gains in rounds:
        if gains:
            counts = [_moved(*pair) for pair in zip(_by_cause(gains.gained), _by_cause(gains.lost), strict=True)]
            both, readable = gains.readable, figures.UNKNOWN
            if both:
                readable = figures.change(both.change)._replace(note=_problems(both.problems))
            rows.append([str(n), *counts, figures.change(gains.form), figures.change(gains.substance), readable])
    return Table(("round", *causes, "form", "substance", "both readable"), frozenset(causes), rows)


def _counted(causes: Causes) -> str:
    """How many answers are not right for each cause that there is."""
    words = ("cut off", "without an answer that could be read", "right in another form", "wrong")
    return ", ".join(
        f"{count} {cause}{f' ({right} already with the right answer)' if right else ''}"
        for cause, (count, right) in zip(words, _by_cause(causes), strict=True)
        if count
    )


def _by_cause(causes: Causes) -> list[tuple[int, int]]:
    """For each cause how many answers, and in how many of them the right answer stands already."""
    read = [(causes.other_form, 0), (causes.wrong, 0)]
    return [(causes.cut_off, causes.cut_off_right), (causes.unread, causes.unread_right), *read]


def _moved(gained: tuple[int, int], lost: tuple[int, int]) -> str:
    """The newly solved and the newly lost problems of one cause, such as "+3 (1), -2"."""
    signed = (("+", *gained), ("\u2212", *lost))
    return ", ".join(f"{sign}{count}{f' ({right})' if right else ''}" for sign, count, right in signed if count)


def _problems(count: int, which: str = "") -> str:
    return f"{count}{which and f' {which}'} problem{'' if count == 1 else 's'}"
