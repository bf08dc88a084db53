"""Form against substance: how much of a change of accuracy is answers of another form, and how much is right where it
was wrong.

A problem that is newly solved is counted by its answer before, one that is newly lost by its answer after, the one that
is not right: it was cut off, no answer could be read in it, the right answer stands in it in another form, or it
is wrong. The first three are form, the last is substance, and the change of accuracy is the sum of both.

What was cut off might have become right or wrong, so that this split is no proof of either. The other view leaves form
out: the change on those problems alone whose answers before and after are complete and could be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from byheart.evaluation.measure import Answer, Outcome
from byheart.evaluation.metrics import Causes, Change, Gains, Kind, Readable
from byheart.evaluation.statistics import paired_interval

Pairs = Sequence[tuple[Outcome, Outcome]]
"""The answers before and after to the same problems, all of them judged."""


def gains(before: Sequence[Answer], after: Sequence[Answer], kind: Kind) -> Gains | None:
    """What the greedy answers of one `kind` gained and lost. None where no problem moved."""
    old = {answer.problem_id: answer.kind(kind) for answer in before}
    both = [(old[answer.problem_id], answer.kind(kind)) for answer in after if answer.problem_id in old]
    judged = [(was, now) for was, now in both if was.right is not None and now.right is not None]
    gained = [was for was, now in judged if now.right and not was.right]
    lost = [now for was, now in judged if was.right and not now.right]
    if not gained + lost:
        return None
    return Gains(
        gained=causes(gained),
        lost=causes(lost),
        form=_change(judged, form=True),
        substance=_change(judged, form=False),
        readable=readable(judged),
        unlooked=sum(outcome.mentioned is None for outcome in gained + lost),
    )


def causes(outcomes: Sequence[Outcome]) -> Causes:
    """Why answers are not right."""
    cut_off = [outcome for outcome in outcomes if outcome.cut_off]
    unread = [outcome for outcome in outcomes if outcome.unread and not outcome.cut_off]
    other = [outcome for outcome in outcomes if _is_form(outcome) and not outcome.cut_off and not outcome.unread]
    return Causes(
        cut_off=len(cut_off),
        unread=len(unread),
        other_form=len(other),
        wrong=len(outcomes) - len(cut_off) - len(unread) - len(other),
        cut_off_right=sum(bool(outcome.mentioned) for outcome in cut_off),
        unread_right=sum(bool(outcome.mentioned) for outcome in unread),
    )


def readable(judged: Pairs) -> Readable | None:
    """The change where both answers are complete and could be read; None where no problem has two such answers."""
    both = [(was, now) for was, now in judged if not any(answer.cut_off or answer.unread for answer in (was, now))]
    if not both:
        return None
    before, after = (sum(bool(answer.right) for answer in answers) for answers in zip(*both, strict=True))
    return Readable(len(both), before / len(both), after / len(both), _interval(both))


def _is_form(outcome: Outcome) -> bool:
    """Whether an answer that is not right may be so by its form."""
    return outcome.cut_off or outcome.unread or bool(outcome.mentioned)


def _change(judged: Pairs, form: bool) -> Change:
    """The mean change over all problems, in which only those count that moved by `form`, or not by it."""
    return _interval([(was, now) if _is_form(now if was.right else was) == form else (was, was) for was, now in judged])


def _interval(pairs: Pairs) -> Change:
    """The mean change, with the interval of paired accuracies."""
    gained = sum(bool(now.right and not was.right) for was, now in pairs)
    lost = sum(bool(was.right and not now.right) for was, now in pairs)
    return Change((gained - lost) / len(pairs), *paired_interval(gained, lost, len(pairs)))
