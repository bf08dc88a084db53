"""How the samples of a round came out, and what stands in the way where there is little to learn from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain

from byheart.contracts import Strategy
from byheart.progress import console
from byheart.runs.records import VerifyStats
from byheart.runs.stages import Stage
from byheart.types import Rollout, RolloutGroup, Verdict

FIRST_PROBLEMS, FIRST_SAMPLES = 32, 64
"""After so many problems, or samples, it is said how they came out."""


def counted(groups: Iterable[RolloutGroup], verdicts: Iterable[Verdict]) -> VerifyStats:
    """How the rollouts of `groups` came out, as far as there are `verdicts` on them."""
    by_id = {verdict.rollout_id: verdict for verdict in verdicts}
    problems = [
        [_word(rollout, by_id.get(rollout.id)) for rollout in group.rollouts] for group in groups if group.rollouts
    ]
    counts = Counter(chain.from_iterable(problems))
    num_all_right = sum(set(words) == {"right"} for words in problems)
    num_none_right = sum("right" not in words for words in problems)
    return VerifyStats(
        num_all_right=num_all_right,
        num_some_right=len(problems) - num_all_right - num_none_right,
        num_none_right=num_none_right,
        num_samples=counts.total(),
        num_judged=len(by_id),
        samples_right=counts["right"],
        samples_cut_off=counts["cut off"],
        samples_unread=counts["unread"],
        samples_unjudged=counts["unjudged"],
    )


def _word(rollout: Rollout, verdict: Verdict | None) -> str:
    if rollout.finish_reason == "length":
        return "cut off"
    if verdict is None:
        return "not judged yet"
    if verdict.score is None:
        return "unjudged"
    return "right" if verdict.correct else "unread" if verdict.answer is None else "wrong"


def num_out_of_context(groups: Iterable[RolloutGroup], strategy: Strategy) -> int:
    """How many rollouts were cut off before they had the tokens that `strategy` allows, as the context was full; 0
    where nothing is known of what it allows."""
    budget = strategy.budget()
    cut_off = [rollout for group in groups for rollout in group.rollouts if rollout.finish_reason == "length"]
    return sum(rollout.num_tokens < budget.max_tokens for rollout in cut_off) if budget else 0


def shares(stats: VerifyStats) -> str:
    """How the samples came out, as a sentence without its end."""
    if not stats.num_judged:
        return f"of {_samples(stats)} {stats.samples_cut_off} are cut off; none is judged yet"
    return (
        f"of {stats.num_problems} problems {stats.num_all_right} have all samples right, {stats.num_some_right} some "
        f"and {stats.num_none_right} none; of {_samples(stats)} {stats.samples_right} are right, "
        f"{stats.samples_cut_off} cut off, {stats.samples_unread} without an answer that can be read and "
        f"{stats.samples_unjudged} unjudged"
    )


def advice(stats: VerifyStats, out_of_context: int) -> str:
    """The one thing to change, where something stands in the way of learning from the samples; else "". Of those cut
    off so many were `out_of_context`."""
    half = stats.num_samples / 2
    if stats.samples_cut_off > half:
        limit = "model.max_context" if out_of_context > stats.samples_cut_off / 2 else "strategy.max_tokens"
        return f"Most samples are cut off: raise {limit}."
    if stats.samples_unjudged > half:
        return "Most samples could not be judged: take another task.verifier, or gold answers that it can read."
    if stats.samples_unread > half:
        return "Most samples have no answer that the verifier can read: say in the prompt what form it has to have."
    if not stats.num_judged:
        return ""
    if stats.samples_right == 0:
        return "No sample is right: take easier problems, more samples, or the strategy few_shot."
    if stats.num_all_right == stats.num_problems:
        return "All samples are right, so there is little left to learn: take harder problems."
    return ""


def said(stats: VerifyStats, out_of_context: int) -> str:
    """Both, as sentences."""
    return f"{shares(stats)}. {advice(stats, out_of_context)}".rstrip()


class FirstSamples:
    """Says once how the first samples of a round came out: what is in the way is known before all is sampled."""

    def __init__(self, work: Stage, strategy: Strategy) -> None:
        """Of the `strategy` in the stage `work`."""
        self._work, self._strategy = work, strategy
        self._groups: list[RolloutGroup] = []
        self._said = False

    def add(self, group: RolloutGroup) -> None:
        """Take in what a problem came to."""
        if self._said:
            return
        self._groups.append(group)
        num_samples = sum(len(group.rollouts) for group in self._groups)
        if num_samples and (num_samples >= FIRST_SAMPLES or len(self._groups) >= FIRST_PROBLEMS):
            stats = counted(self._groups, (verdict for group in self._groups for verdict in group.verdicts))
            out_of_context = num_out_of_context(self._groups, self._strategy)
            console.print(f"round {self._work.round} sample, so far: {said(stats, out_of_context)}")
            self._said, self._groups = True, []


def _samples(stats: VerifyStats) -> str:
    return "1 sample" if stats.num_samples == 1 else f"{stats.num_samples} samples"
