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


def counted(groups: Iterable[RolloutGroup], verdicts: Iterable[Verdict], reads_answers: bool) -> VerifyStats:
    """How the rollouts of `groups` came out, as far as there are `verdicts` on them, by a verifier that `reads_answers`
    or judges in another way. A problem that failed, or for which nothing was generated, is none of them."""
    by_id = {verdict.rollout_id: verdict for verdict in verdicts}
    problems = [
        [_word(rollout, by_id.get(rollout.id)) for rollout in group.rollouts] for group in groups if _sampled(group)
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
        samples_unjudged=counts["unjudged"],
        samples_unread=counts["unread"] if reads_answers else None,
        num_unsampled=problems.count([]),
    )


def _sampled(group: RolloutGroup) -> bool:
    return group.failure is None and group.num_tokens > 0


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
    if stats.num_samples and not stats.num_judged:
        return f"{stats.num_samples} samples ({stats.samples_cut_off} cut off, none judged yet)"
    unsampled = f", no complete sample in {stats.num_unsampled}" if stats.num_unsampled else ""
    unread = "" if stats.samples_unread is None else f"{stats.samples_unread} without a readable answer, "
    return (
        f"{stats.num_problems} problems (all samples right in {stats.num_all_right}, some in {stats.num_some_right}, "
        f"none in {stats.num_none_right}{unsampled}), {stats.num_samples} samples ({stats.samples_right} right, "
        f"{stats.samples_cut_off} cut off, {unread}{stats.samples_unjudged} unjudged)"
    )


def advice(stats: VerifyStats, out_of_context: int) -> str:
    """The one thing to change, where something stands in the way of learning from the samples; else "". Of those cut
    off so many were `out_of_context`."""
    half = stats.num_samples / 2
    if stats.num_unsampled > stats.num_problems / 2:
        return "Most problems have no complete sample: raise the limits of the strategy on steps and tokens."
    if stats.samples_cut_off > half:
        limit = "model.max_context" if out_of_context > stats.samples_cut_off / 2 else "strategy.max_tokens"
        return f"Most samples are cut off: raise {limit}."
    if stats.samples_unjudged > half:
        return "Most samples could not be judged: take another task.verifier, or gold answers that it can read."
    if (stats.samples_unread or 0) > half:
        return "Most samples have no answer that the verifier can read: the prompt has to say what form it takes."
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

    def __init__(self, work: Stage, strategy: Strategy, reads_answers: bool) -> None:
        """Of the `strategy` in the stage `work`, judged by a verifier that `reads_answers` or does not."""
        self._work, self._strategy, self._reads_answers = work, strategy, reads_answers
        self._groups: list[RolloutGroup] = []
        self._said = False

    def add(self, group: RolloutGroup) -> None:
        """Take in what a problem came to; where it failed, or nothing was generated for it, that is no word on
        samples."""
        if self._said or not _sampled(group):
            return
        self._groups.append(group)
        num_samples = sum(len(group.rollouts) for group in self._groups)
        if num_samples >= FIRST_SAMPLES or len(self._groups) >= FIRST_PROBLEMS:
            verdicts = chain.from_iterable(group.verdicts for group in self._groups)
            stats = counted(self._groups, verdicts, self._reads_answers)
            out_of_context = num_out_of_context(self._groups, self._strategy)
            console.print(f"round {self._work.round} sample, so far: {said(stats, out_of_context)}")
            self._said, self._groups = True, []
