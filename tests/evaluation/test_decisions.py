"""Why a policy is promoted, or is not: what the test says, and what is done where it can say nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from byheart.evaluation import Answer, EvaluationOptions, Measure, Outcome, RoundMetrics, compare
from byheart.evaluation.metrics import Decision
from byheart.runs.records import TrainStats

OPTIONS = EvaluationOptions()
RIGHT = {"+": True, "~": False, "#": False, "-": False, "?": None, "c": None}
ROSE, FELL = TrainStats(loss=8.7, first_loss=2.1), TrainStats(loss=0.3, first_loss=2.1)


def measure(policy: str, marks: str) -> Measure:
    """'+' right, '-' wrong, '~' wrong and cut off, '#' wrong as no answer is read; '?' unjudged, 'c' that too and cut
    off."""
    outcomes = [Outcome(RIGHT[mark], 3, "", cut_off=mark in "~c", unread=mark in "#~") for mark in marks]
    answers = [Answer(f"p{n}", fast=outcome, worked=outcome) for n, outcome in enumerate(outcomes)]
    return Measure(policy, {"train": [], "dev": answers, "held_out": []})


def decided(before: str, after: str, best: str | None = None, trained: TrainStats | None = FELL) -> RoundMetrics:
    return compare(
        measure("old", before), measure("new", after), OPTIONS, (best and measure("best", best)) or None, trained
    )


@pytest.mark.parametrize(
    ("before", "after", "best", "trained", "decision"),
    [
        ("+++---", "++++--", None, FELL, "not worse"),
        ("+++---", "++----", None, ROSE, "not worse"),  # what the test can say it says
        ("++++++--", "--------", None, FELL, "worse"),
        ("++++----", "++------", "++++++++", FELL, "worse than best"),
        ("++++----", "+++-----", "++++++++", FELL, "not worse"),  # 5 lost against the best: p is 0.031
        ("--------", "--------", "++++++--", FELL, "worse than best"),
        ("????", "-+-+", None, FELL, "incomparable"),
        ("------", "------", None, FELL, "as readable"),
        ("-~-#--", "------", None, FELL, "as readable"),
        ("~~~~", "~~~~", None, FELL, "as readable"),
        ("------", "--~---", None, FELL, "less readable"),
        ("------", "-----#", None, FELL, "less readable"),
        ("--------", "~~~~~~~~", None, FELL, "less readable"),
        ("------", "------", None, ROSE, "loss rose"),
        ("????", "????", None, FELL, "unmeasured"),
        ("????", "?ccc", None, FELL, "unmeasured"),
        ("????", "????", None, None, "unmeasured"),
        ("????", "cccc", None, FELL, "all cut off"),
        ("cccc", "cccc", None, FELL, "all cut off"),
        ("????", "????", None, ROSE, "loss rose"),
        ("", "", None, FELL, "unmeasured"),
    ],
)
def test_the_decision_is_on_record(
    before: str, after: str, best: str | None, trained: TrainStats | None, decision: Decision
) -> None:
    metrics = decided(before, after, best, trained)
    assert metrics.decision == decision
    assert metrics.promoted == (decision in ("not worse", "as readable", "unmeasured"))
    assert RoundMetrics.from_dict(metrics.to_dict()) == metrics


def test_a_policy_that_did_not_change_is_not_promoted() -> None:
    assert compare(measure("p", "--"), measure("p", "++"), OPTIONS).decision == "unchanged"


@pytest.mark.parametrize(
    ("before", "after", "best", "is_best"),
    [
        ("+---", "++--", None, True),
        ("+---", "+---", None, False),  # of equals the earliest
        ("+---", "-+--", None, False),
        ("+---", "++--", "+++-", False),
        ("+---", "++++", "+++-", True),
        ("????", "????", None, True),  # where nothing is known, the last
        ("----", "----", None, False),
        ("++++++++", "--------", None, False),
    ],
)
def test_the_best_solves_more_than_any_before(before: str, after: str, best: str | None, is_best: bool) -> None:
    assert decided(before, after, best).best == is_best


def test_the_best_is_held_against_where_it_is_not_the_policy_before() -> None:
    metrics = decided("++--", "+---", "+++-")
    assert metrics.against_best and len(metrics.against_best.lost) == 2
    assert decided("++--", "+---").against_best is None


def promotions(rounds: Sequence[str], first: str) -> list[bool]:
    """Whether each of `rounds` is promoted, one after the other, each against the last promoted and the best so far."""
    last = best = measure("base", first)
    promoted = []
    for n, marks in enumerate(rounds, 1):
        new = measure(f"policy {n}", marks)
        metrics = compare(last, new, OPTIONS, best, FELL, n=n)
        promoted.append(metrics.promoted)
        last = new if metrics.promoted else last
        best = new if metrics.best else best
    return promoted


def losing(num_problems: int, each: int, rounds: int) -> list[str]:
    return ["-" * each * n + "+" * (num_problems - each * n) for n in range(1, rounds + 1)]


@pytest.mark.parametrize(("num_problems", "each", "kept"), [(40, 1, 5), (100, 2, 2), (60, 3, 1)])
def test_rounds_that_each_lose_a_little_do_not_lose_it_all(num_problems: int, each: int, kept: int) -> None:
    """Each loss alone is too small for a test; together they are not."""
    promoted = promotions(losing(num_problems, each, 20), "+" * num_problems)
    assert promoted == [True] * kept + [False] * (20 - kept)


def test_what_was_won_first_is_not_lost_again_in_small_steps() -> None:
    won = ["+" * 20 + "-" * 20, "+" * 40]
    promoted = promotions([*won, *losing(40, 1, 20)], "+" * 10 + "-" * 30)
    assert promoted == [True] * 7 + [False] * 15
