"""Two measures side by side: what metrics.json says of a round.

splits.<split>.<before|after>   problems, and below it
    fast, worked, slow          problems, unjudged; accuracy, low, high and tokens where any could be judged
                                (slow: before alone, development and held-out problems alone)
    pass@k, maj@k, unique       where each problem was sampled as well
    by.<value>.<fast|worked>    where evaluation.by is given
    back                        worked answers that go back, and those of them that are right; `straight`, where it is
                                forbidden: where curation.backtracks is given
    values                      how far the scorer's values of steps can be believed (see values.py), both on the
                                samples of the new policy
splits.<split>.paired.<fast|worked>   how the same problems moved
splits.<split>.by_heart               fast after / slow before, on the problems that have both; by_heart_base: fast
                                      after / slow of the base model in round 1
before, after, measured, promoted, decided_by; scorer_promoted
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from byheart import weights
from byheart.evaluation import values
from byheart.evaluation.measuring import Answer, Measure, Options, Outcome
from byheart.evaluation.statistics import maj_at_k, mean_interval, p_worse, pass_at_k, ratio_interval, wilson
from byheart.types import Policy
from byheart.wording import BACK

GREEDY = ("fast", "worked")


def compare(before: Measure, after: Measure, options: Options) -> dict[str, Any]:
    """Both measures side by side, split by split, and whether the new policy is `promoted`: if it is not worse on the
    development split by the paired test, and never for what the held-out split says. Where no development problem could
    be judged, before or after, nothing is `measured`, and the new policy is promoted as it is: no gold answer is known.
    A scorer that values steps has a test of its own, on the same split, and is promoted apart.
    """
    splits = {name: _split(before.splits[name], after.splits[name], after.base, options) for name in before.splits}
    valued = [answer.valued for answer in after.splits["dev"] if answer.valued]
    new, dev = before.policy != after.policy, splits["dev"]["paired"][options.decides]
    sides = (before.splits["dev"], after.splits["dev"])
    measured = any(getattr(answer, options.decides).right is not None for side in sides for answer in side)
    promoted = bool(new and ((dev["problems"] and dev["p_worse"] >= options.alpha) or not measured))
    return {
        "before": before.policy,
        "after": after.policy,
        "measured": measured,
        "promoted": promoted,
        "decided_by": options.decides,
        "scorer_promoted": not values.worse(valued) if valued else promoted,
        "splits": splits,
    }


def promoted(old: Policy, new: Policy, metrics: Mapping[str, Any]) -> Policy:
    """What a round ends with: the new policy or the old one, and the scorer of the one or the other."""
    chosen = new if metrics["promoted"] else old
    return weights.with_scorer(chosen, (new if metrics["scorer_promoted"] else old).scorer)


def _split(
    before: Sequence[Answer], after: Sequence[Answer], base: Mapping[str, bool | None], options: Options
) -> dict[str, Any]:
    row: dict[str, Any] = {"before": _side(before, options), "after": _side(after, options)}
    solutions = [answer.valued for answer in after]
    if any(solutions):
        row["after"]["values"] = values.reliability(solutions)
        if any(one.before for some in solutions for one in some):
            row["before"]["values"] = values.reliability([[one.old() for one in some] for some in solutions])
    row["paired"] = {kind: paired(before, after, kind) for kind in GREEDY}
    slow = {one.problem_id: one.slow.right for one in before if one.slow}
    found = {"by_heart": by_heart(after, slow), "by_heart_base": by_heart(after, base)}
    return row | {key: ratio for key, ratio in found.items() if ratio}


def _side(answers: Sequence[Answer], options: Options) -> dict[str, Any]:
    row = {"problems": len(answers)} | _greedy(answers)
    if slow := [answer.slow for answer in answers if answer.slow]:
        row["slow"] = accuracy(slow)
    if straight := [answer.straight for answer in answers if answer.straight]:
        row["back"] = back([answer.worked for answer in answers], straight)
    row |= sampled(answers, options.samples)
    if options.by:
        values = sorted({answer.group for answer in answers if answer.group is not None}, key=_in_order)
        row["by"] = {value: _greedy([one for one in answers if one.group == value]) for value in values}
    return row


def _greedy(answers: Sequence[Answer]) -> dict[str, Any]:
    return {kind: accuracy([getattr(answer, kind) for answer in answers]) for kind in GREEDY}


def accuracy(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The share that is right with its 95 % Wilson interval; what could not be judged is in a count of its own."""
    judged = [one.right for one in outcomes if one.right is not None]
    row: dict[str, Any] = {"problems": len(outcomes), "unjudged": len(outcomes) - len(judged)}
    if judged:
        low, high = wilson(sum(judged), len(judged))
        row |= {"accuracy": sum(judged) / len(judged), "low": low, "high": high}
        row["tokens"] = float(numpy.mean([one.num_tokens for one in outcomes]))
    return row


def back(worked: Sequence[Outcome], straight: Sequence[Outcome]) -> dict[str, Any]:
    """How many of the worked answers go back, how many of those are right, and the accuracy where that is forbidden."""
    gone = [one for one in worked if BACK.strip() in one.response]
    mended = sum(one.right is True for one in gone)
    return {"gone": len(gone), "mended": mended, "problems": len(worked), "straight": accuracy(straight)}


def sampled(answers: Sequence[Answer], samples: int) -> dict[str, Any]:
    """Mean pass@k and maj@k over the problems with so many judged samples, for 1, 2, 4... and all `samples`, with 95 %
    bootstrap intervals that draw problems, not samples; and how many of the right samples are different ones."""
    row: dict[str, Any] = {}
    for k in sorted({samples, *(2**power for power in range(samples.bit_length()))} if samples else ()):
        enough = [answer.classes for answer in answers if _count(answer.classes) >= k]
        if enough:
            row[f"pass@{k}"] = _rate(k, [pass_at_k(_count(classes), _right(classes), k) for classes in enough])
            row[f"maj@{k}"] = _rate(k, [maj_at_k(classes, k) for classes in enough])
    if right := sum(_right(answer.classes) for answer in answers):
        distinct = sum(answer.distinct for answer in answers)
        row["unique"] = {"rate": distinct / right, "right": right, "distinct": distinct}
    return row


def paired(before: Sequence[Answer], after: Sequence[Answer], kind: str) -> dict[str, Any]:
    """How the same problems moved: mean change of the greedy accuracy `kind` with its 95 % bootstrap interval, the ids
    gained and lost, and `p_worse`, McNemar's test of whether the new policy is worse."""
    old = {answer.problem_id: getattr(answer, kind).right for answer in before}
    new = {answer.problem_id: getattr(answer, kind).right for answer in after}
    both = [(name, old[name], now) for name, now in new.items() if now is not None and old.get(name) is not None]
    gained = [name for name, was, now in both if now and not was]
    lost = [name for name, was, now in both if was and not now]
    changes = [float(now) - float(was) for _, was, now in both]
    low, high = mean_interval(changes, -1.0)
    return {
        "problems": len(both),
        "change": float(numpy.mean(changes)) if changes else 0.0,
        "low": low,
        "high": high,
        "gained": gained,
        "lost": lost,
        "p_worse": p_worse(len(gained), len(lost)),
    }


def by_heart(after: Sequence[Answer], slow: Mapping[str, bool | None]) -> dict[str, Any] | None:
    """Fast accuracy / slow accuracy over the problems that have both, with a 95 % bootstrap interval that draws
    problems; None where nothing was solved slowly. `high` is None where the slow accuracy may as well be 0."""
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
    return {"ratio": sum(above) / sum(below), "low": low, "high": high, "problems": len(both)}


def _rate(k: int, rates: Sequence[float]) -> dict[str, Any]:
    low, high = mean_interval(rates, 0.0)
    return {"k": k, "rate": float(numpy.mean(rates)), "low": low, "high": high}


def _count(classes: Sequence[tuple[int, bool]]) -> int:
    return sum(size for size, _ in classes)


def _right(classes: Sequence[tuple[int, bool]]) -> int:
    return sum(size for size, right in classes if right)


def _in_order(value: str) -> tuple[float, str]:
    """Numbers come in their order, and before all else."""
    return (float(value) if value.isdecimal() else math.inf, value)
