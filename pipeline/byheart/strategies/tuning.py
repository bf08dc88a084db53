"""How warm to sample: the temperature whose samples are right and yet differ (B-STaR, 2412.17256).

Too cold, and the samples of a problem are all the same; too warm, and few are right. The balance score is high where
enough different right ones are found and little else is sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any

from byheart.files import Journal
from byheart.run import Stage
from byheart.types import Attempts, Problem
from byheart.wording import normalised


def balance(num_selected: int, num_unique_correct: int, wanted: int) -> float:
    """min(n'/n*, 1) * n'/n in 0..1, where n' of n are right and differ and n* are wanted; 0 where n is 0.

    Source: 2412.17256, the balance score of one query.
    """
    if num_selected == 0:
        return 0.0
    return min(num_unique_correct / wanted, 1.0) * num_unique_correct / num_selected


def tuned(
    work: Stage,
    problems: Sequence[Problem],
    options: Any,
    tries: Callable[[str, Sequence[Problem], Any], list[Attempts]],
) -> tuple[Any, int]:
    """`options` with the best of its temperatures by the mean balance score over the first problems of the round, and
    the number of tokens that went into the others.

    `tries(name, problems, options)` samples, in a journal of that name. What was sampled at the best temperature is
    the beginning of the round's rollouts.
    """
    at = {warm: options.model_copy(update={"temperature": warm}) for warm in options.temperature}
    few = problems[: options.num_tuning]
    tried = {warm: tries(f"tuning-{warm}", few, asked) for warm, asked in at.items()}
    scores = {warm: mean(_balance(one, options.enough) for one in attempts) for warm, attempts in tried.items()}
    best = max(scores, key=lambda warm: scores[warm])
    work.notes |= {"temperature": best, "balance": {str(warm): round(score, 4) for warm, score in scores.items()}}
    journal = Journal(work.dir, "rollouts", Attempts)
    known = {one.problem_id for one in journal.read()}
    for one in tried.pop(best):
        if one.problem_id not in known:
            journal.append(one)
    journal.close()
    return at[best], sum(one.num_tokens for attempts in tried.values() for one in attempts)


def _balance(one: Attempts, wanted: int) -> float:
    correct = {verdict.rollout_id for verdict in one.verdicts if verdict.correct}
    right = [rollout for rollout in one.rollouts if rollout.id in correct and rollout.finish_reason == "stop"]
    return balance(len(one.rollouts), len({normalised(rollout.response) for rollout in right}), wanted)
