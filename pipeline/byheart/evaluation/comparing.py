"""Two measures side by side: the metrics of a round, and whether the new policy is promoted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy

from byheart.evaluation import values
from byheart.evaluation.also import KIND
from byheart.evaluation.controls import Control
from byheart.evaluation.gains import gains
from byheart.evaluation.measure import UNASKED, Answer, Measure, Outcome
from byheart.evaluation.measuring import EvaluationOptions
from byheart.evaluation.metrics import (
    GREEDY,
    Accuracy,
    AlsoMetrics,
    Back,
    ByHeart,
    ControlMetrics,
    Decision,
    Greedy,
    Kind,
    Paired,
    PairedKinds,
    Rate,
    RoundMetrics,
    SideMetrics,
    SplitMetrics,
    Unique,
)
from byheart.evaluation.promotion import PROMOTING, decide, is_judged, level, num_right
from byheart.evaluation.statistics import (
    maj_at_k,
    mean_interval,
    p_worse,
    paired_interval,
    pass_at_k,
    ratio_interval,
    wilson,
)
from byheart.models import weights
from byheart.runs.records import TrainStats
from byheart.text import BACK
from byheart.types import Policy, replace


def compare(
    before: Measure,
    after: Measure,
    options: EvaluationOptions,
    best: Measure | None = None,
    trained: TrainStats | None = None,
    controls: Sequence[Control] = (),
    n: int = 1,
    first: Measure | None = None,
) -> RoundMetrics:
    """The metrics of both measures, and whether the new policy of round `n` is promoted: see promotion.py.

    `best` is what the best policy so far was measured to, by default the one before; `trained` how training went.
    `controls`, against which the policy after the round is held, decide nothing, nor do other tasks, for which `first`
    is what the policy was measured to that the run began with, by default the one before. A scorer that values steps
    is promoted apart, by a test of its own on the development split.
    """
    best, kind, alpha = best or before, options.decides, options.alpha / 2
    splits = {name: _split(before.splits[name], after.splits[name], after.base, options) for name in before.splits}
    valued = [answer.valued for answer in after.splits["dev"] if answer.valued]
    old, new, highest = ([answer.kind(kind) for answer in measure.splits["dev"]] for measure in (before, after, best))
    changes = splits["dev"].paired.kind(kind)
    against_best = paired(best.splits["dev"], after.splits["dev"], kind)
    loss_rose = trained is not None and trained.rose
    decision: Decision = "unchanged"
    if before.policy != after.policy:
        decision = decide(changes, against_best, old, new, loss_rose, alpha)
    is_promoted, measured = decision in PROMOTING, is_judged(old, new)
    return RoundMetrics(
        before=before.policy,
        after=after.policy,
        measured=measured,
        promoted=is_promoted,
        decided_by=kind,
        scorer_promoted=not values.worse(valued, alpha) if valued else is_promoted,
        splits=splits,
        decision=decision,
        best=is_promoted and (not measured or num_right(new) > num_right(highest)),
        against_best=against_best if best.policy != before.policy else None,
        alpha=alpha,
        gained=is_promoted and p_worse(len(against_best.lost), len(against_best.gained)) < level(options.alpha, n),
        controls=[_control(control, after.splits["held_out"]) for control in controls],
        also={name: _also(name, first or before, before, after) for name in after.also},
        gains=gains(before.splits.get("held_out", ()), after.splits.get("held_out", ()), kind),
    )


def promoted(old: Policy, new: Policy, metrics: RoundMetrics) -> Policy:
    """The policy that a round ends with: the new or the old one, with the scorer of the new or the old one."""
    policy = new if metrics.promoted else old
    return weights.with_scorer(policy, (new if metrics.scorer_promoted else old).scorer)


def _control(control: Control, after: Sequence[Answer]) -> ControlMetrics:
    kinds = [kind for kind in GREEDY if any(answer.kind(kind) != UNASKED for answer in control.answers)]
    return ControlMetrics(
        words=control.words,
        accuracy={kind: accuracy([answer.kind(kind) for answer in control.answers]) for kind in kinds},
        against={kind: paired(control.answers, after, kind) for kind in kinds},
    )


def _also(name: str, first: Measure, before: Measure, after: Measure) -> AlsoMetrics:
    base, old, new = (measure.also[name] for measure in (first, before, after))
    return AlsoMetrics(
        before=accuracy([answer.kind(KIND) for answer in old]),
        after=accuracy([answer.kind(KIND) for answer in new]),
        first=accuracy([answer.kind(KIND) for answer in base]),
        paired=paired(old, new, KIND),
        since_first=paired(base, new, KIND),
    )


def _split(
    before: Sequence[Answer], after: Sequence[Answer], base: Mapping[str, bool | None], options: EvaluationOptions
) -> SplitMetrics:
    old, new = _side(before, options), _side(after, options)
    solutions = [answer.valued for answer in after]
    if any(solutions):
        new = replace(new, values=values.reliability(solutions))
        if any(solution.before for group in solutions for solution in group):
            valued_before = [[solution.old() for solution in group] for group in solutions]
            old = replace(old, values=values.reliability(valued_before))
    slow = {answer.problem_id: answer.slow.right for answer in before if answer.slow}
    return SplitMetrics(
        before=old,
        after=new,
        paired=PairedKinds(*(paired(before, after, kind) for kind in GREEDY)),
        by_heart=by_heart(after, slow),
        by_heart_base=by_heart(after, base),
    )


def _side(answers: Sequence[Answer], options: EvaluationOptions) -> SideMetrics:
    greedy = _greedy(answers)
    slow = [answer.slow for answer in answers if answer.slow]
    straight = [answer.straight for answer in answers if answer.straight]
    names = sorted({answer.group for answer in answers if answer.group is not None}, key=_in_order)
    groups = {name: _greedy([answer for answer in answers if answer.group == name]) for name in names}
    return SideMetrics(
        problems=len(answers),
        fast=greedy.fast,
        worked=greedy.worked,
        slow=accuracy(slow) if slow else None,
        back=back([answer.worked for answer in answers], straight) if straight else None,
        sampled=sampled(answers, options.samples),
        unique=unique(answers),
        by=groups if options.group_by else None,
    )


def _greedy(answers: Sequence[Answer]) -> Greedy:
    return Greedy(*(accuracy([answer.kind(kind) for answer in answers]) for kind in GREEDY))


def accuracy(outcomes: Sequence[Outcome]) -> Accuracy:
    """The share that is right, with its Wilson interval; unjudged outcomes are counted apart."""
    judged = [outcome.right for outcome in outcomes if outcome.right is not None]
    problems, unjudged = len(outcomes), len(outcomes) - len(judged)
    if not judged:
        return Accuracy(problems, unjudged)
    tokens = float(numpy.mean([outcome.num_tokens for outcome in outcomes]))
    return Accuracy(problems, unjudged, sum(judged) / len(judged), *wilson(sum(judged), len(judged)), tokens)


def back(worked: Sequence[Outcome], straight: Sequence[Outcome]) -> Back:
    """What comes of going back in the `worked` answers, and the accuracy of the `straight` ones, which may not."""
    gone = [outcome for outcome in worked if BACK.strip() in outcome.response]
    fixed = sum(outcome.right is True for outcome in gone)
    return Back(len(gone), fixed, len(worked), accuracy(straight))


def sampled(answers: Sequence[Answer], samples: int) -> dict[str, Rate]:
    """Mean pass@k and maj@k over the problems with at least k judged samples, for k = 1, 2, 4, ... and `samples`, with
    bootstrap intervals that resample problems, not samples."""
    rates: dict[str, Rate] = {}
    for k in sorted({samples, *(2**power for power in range(samples.bit_length()))} if samples else ()):
        enough = [answer.classes for answer in answers if _count(answer.classes) >= k]
        if enough:
            rates[f"pass@{k}"] = _rate(k, [pass_at_k(_count(classes), _right(classes), k) for classes in enough])
            rates[f"maj@{k}"] = _rate(k, [maj_at_k(classes, k) for classes in enough])
    return rates


def unique(answers: Sequence[Answer]) -> Unique | None:
    """How many of the right samples are different texts; None where none is right."""
    right = sum(_right(answer.classes) for answer in answers)
    distinct = sum(answer.distinct for answer in answers)
    return Unique(distinct / right, right, distinct) if right else None


def paired(before: Sequence[Answer], after: Sequence[Answer], kind: Kind) -> Paired:
    """How the greedy answers of one `kind` to the same problems changed, with the 95 % interval of the mean change
    and McNemar's test of whether the new policy is worse."""
    both = judged_both(before, after, kind)
    gained = [name for name, was, now in both if now and not was]
    lost = [name for name, was, now in both if was and not now]
    low, high = paired_interval(len(gained), len(lost), len(both))
    return Paired(
        problems=len(both),
        change=(len(gained) - len(lost)) / len(both) if both else 0.0,
        low=low,
        high=high,
        gained=gained,
        lost=lost,
        p_worse=p_worse(len(gained), len(lost)),
    )


def judged_both(before: Sequence[Answer], after: Sequence[Answer], kind: Kind) -> list[tuple[str, bool, bool]]:
    """The problems whose greedy answers of one `kind` were judged both times: (id, right before, right after)."""
    old = {answer.problem_id: answer.kind(kind).right for answer in before}
    new = {answer.problem_id: answer.kind(kind).right for answer in after}
    return [(name, was, now) for name, now in new.items() if now is not None and (was := old.get(name)) is not None]


def by_heart(after: Sequence[Answer], slow: Mapping[str, bool | None]) -> ByHeart | None:
    """Fast accuracy / slow accuracy over the problems that have both, with a bootstrap interval that resamples
    problems; None where nothing was solved slowly. `slow`: by problem id, whether the slow answer is right."""
    fast = {answer.problem_id: answer.fast.right for answer in after}
    both = [
        (float(now), float(was))
        for name, was in slow.items()
        if was is not None and (now := fast.get(name)) is not None
    ]
    above, below = [now for now, _ in both], [was for _, was in both]
    if not any(below):
        return None
    low, high = ratio_interval(above, below)
    return ByHeart(sum(above) / sum(below), low, high, len(both))


def _rate(k: int, rates: Sequence[float]) -> Rate:
    return Rate(k, float(numpy.mean(rates)), *mean_interval(rates, 0.0))


def _count(classes: Sequence[tuple[int, bool]]) -> int:
    return sum(size for size, _ in classes)


def _right(classes: Sequence[tuple[int, bool]]) -> int:
    return sum(size for size, right in classes if right)


def _in_order(value: str) -> tuple[float, str]:
    """Numbers come first, in their order."""
    return (float(value) if value.isdecimal() else math.inf, value)
