"""Whether the policy that a round made is promoted, and why. The development problems decide, the held-out ones do not.

It is promoted if it is significantly worse neither than the policy that the round started from nor than the best so
far, by McNemar's test: rounds that each lose a little, too little for a test, would lose everything together. The best
is the one that solves most development problems, and of equals the earliest.

Each of these tests is one-sided at alpha / 2, so that it rejects exactly where the 1 - alpha interval that is shown
lies below zero. They guard, and claim nothing: a level that fell from round to round would see a slow loss ever later,
while an error keeps a policy that is as good.

That a round has gained, which counts for `rounds.patience`, is a claim, and the same problems are asked in every
round. So round n tests it at alpha / (n (n + 1)), which sums to alpha over any number of rounds (alpha spending: Lan
and DeMets, Biometrika 70, 1983; by Bonferroni's bound, so however the rounds depend on each other). In a whole run the
chance is at most alpha that a gain is claimed of a policy that is not better than the best before it, which was chosen
by these very problems and so looks better on them than it is.

Where both policies solve nothing the test can say nothing. The new one is then promoted unless more of its answers are
cut off, or without an answer that can be read, than those of the old one. Where nothing could be judged, as no gold
answers are known, it is promoted unmeasured, unless all of its answers are cut off. In both cases a policy whose loss
rose in training is not promoted.
"""

from __future__ import annotations

from collections.abc import Sequence

from byheart.evaluation.measure import Outcome
from byheart.evaluation.metrics import Decision, Paired

PROMOTING: frozenset[Decision] = frozenset({"not worse", "as readable", "unmeasured"})
"""The decisions by which a policy is promoted."""


def decide(
    changes: Paired,
    against_best: Paired,
    before: Sequence[Outcome],
    after: Sequence[Outcome],
    loss_rose: bool,
    alpha: float,
) -> Decision:
    """Whether a new policy is promoted or not, and why, by its answers to the development problems, `after`.

    `changes` holds them against those `before`, and `against_best` against those of the best so far; both are tested at
    the one-sided level `alpha`."""
    if not is_judged(before, after):
        if after and all(outcome.cut_off for outcome in after):
            return "all cut off"
        return "loss rose" if loss_rose else "unmeasured"
    if not changes.problems:
        return "incomparable"
    if changes.p_worse < alpha:
        return "worse"
    if against_best.p_worse < alpha:
        return "worse than best"
    if any(outcome.right for outcome in (*before, *after)):
        return "not worse"
    if loss_rose:
        return "loss rose"
    more_cut_off = sum(outcome.cut_off for outcome in after) > sum(outcome.cut_off for outcome in before)
    more_unread = sum(outcome.unread for outcome in after) > sum(outcome.unread for outcome in before)
    return "less readable" if more_cut_off or more_unread else "as readable"


def level(alpha: float, n: int) -> float:
    """The one-sided level at which round `n` (from 1) is tested for a gain: alpha / (n (n + 1)), a half of alpha, a
    sixth, a twelfth and so on, which sum to less than alpha over any number of rounds."""
    return alpha / (n * (n + 1))


def is_judged(before: Sequence[Outcome], after: Sequence[Outcome]) -> bool:
    """Whether any of the answers could be judged."""
    return any(outcome.right is not None for outcome in (*before, *after))


def num_right(outcomes: Sequence[Outcome]) -> int:
    """How many of the answers are right."""
    return sum(outcome.right is True for outcome in outcomes)
