"""Which temperature to sample at: the one whose samples are right and yet differ (B-STaR, 2412.17256).

At too low a temperature the samples of a problem are all the same; at too high a one, few are right. The balance score
is high where enough different right samples are found and few others are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from byheart.contracts import Strategy, Tuning
from byheart.files import Journal
from byheart.text import normalised
from byheart.types import Problem, RolloutGroup


class Tuned(NamedTuple):
    """The best of the candidates and its temperature, the balance score of each by its temperature, and the tokens that
    the others took."""

    strategy: Strategy
    temperature: float
    balance: dict[str, float]
    num_tokens: int


def balance(num_selected: int, num_unique_correct: int, wanted: int) -> float:
    """min(n'/n*, 1) * n'/n in 0..1, where n' of n are right and differ and n* are wanted; 0 where n is 0.

    Source: 2412.17256, the balance score of one query.
    """
    if num_selected == 0:
        return 0.0
    return min(num_unique_correct / wanted, 1.0) * num_unique_correct / num_selected


def tuned(
    folder: Path,
    problems: Sequence[Problem],
    tuning: Tuning,
    attempts: Callable[[str, Sequence[Problem], Strategy], list[RolloutGroup]],
) -> Tuned:
    """The candidate with the best mean balance score over the first problems of the round.

    `attempts(name, problems, strategy)` samples, in a journal of that name. What was sampled at the best temperature is
    the beginning of the round's rollouts, in `folder`.
    """
    first = problems[: tuning.num_problems]
    groups = {
        temperature: attempts(f"tuning-{temperature}", first, strategy)
        for temperature, strategy in tuning.candidates.items()
    }
    scores = {
        temperature: mean(_balance(group, tuning.wanted) for group in tried) for temperature, tried in groups.items()
    }
    best = max(scores, key=lambda temperature: scores[temperature])
    journal = Journal(folder, "rollouts", RolloutGroup)
    known = {group.problem_id for group in journal.read()}
    for group in groups.pop(best):
        if group.problem_id not in known:
            journal.append(group)
    journal.close()
    return Tuned(
        strategy=tuning.candidates[best],
        temperature=best,
        balance={str(temperature): round(score, 4) for temperature, score in scores.items()},
        num_tokens=sum(group.num_tokens for tried in groups.values() for group in tried),
    )


def _balance(group: RolloutGroup, wanted: int) -> float:
    correct = {verdict.rollout_id for verdict in group.verdicts if verdict.correct}
    right = [rollout for rollout in group.rollouts if rollout.id in correct and rollout.finish_reason == "stop"]
    return balance(len(group.rollouts), len({normalised(rollout.response) for rollout in right}), wanted)
