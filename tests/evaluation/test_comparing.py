"""Numbers with their intervals, and what decides a promotion."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from byheart.evaluation import EvaluationOptions, Measure, Outcome, compare
from byheart.evaluation.comparing import accuracy, by_heart, paired, promoted, sampled, unique
from byheart.evaluation.metrics import GREEDY, Accuracy, RoundMetrics, Unique
from byheart.evaluation.values import Valued
from byheart.models import weights
from byheart.types import Policy
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.marks import answers, outcomes, settled


def test_accuracy_has_its_wilson_interval() -> None:
    result = accuracy(outcomes("++++++++--"))
    assert (result.problems, result.unjudged, result.accuracy, result.tokens) == (10, 0, 0.8, 3.0)
    assert result.low == pytest.approx(0.4901625, abs=1e-6)
    assert result.high == pytest.approx(0.9433178, abs=1e-6)


def test_an_unjudged_answer_is_neither_right_nor_wrong_but_counted() -> None:
    result = accuracy(outcomes("+?-?+?+"))
    assert (result.problems, result.unjudged, result.accuracy) == (7, 3, 0.75)
    assert accuracy(outcomes("??")) == Accuracy(2, 2)
    assert accuracy([]) == Accuracy(0, 0)
    assert Accuracy(2, 2).to_dict() == {"problems": 2, "unjudged": 2}


@settled
@given(st.text("+-", min_size=1, max_size=60))
def test_an_interval_holds_its_accuracy_and_stays_within_0_and_1(marks: str) -> None:
    result = accuracy(outcomes(marks))
    assert result.accuracy is not None and result.low is not None and result.high is not None
    assert 0 <= result.low <= result.accuracy + 1e-12
    assert result.accuracy - 1e-12 <= result.high <= 1


def test_sampled_is_the_mean_over_problems_with_enough_judged_samples() -> None:
    asked = [
        *answers("+", classes=[(3, False), (1, True)], distinct=1),
        *answers("+", classes=[(4, True)], distinct=2),
        *answers("+", classes=[(1, False)]),
    ]
    rates = sampled(asked, 4)
    assert set(rates) == {f"{kind}@{k}" for kind in ("pass", "maj") for k in (1, 2, 4)}
    assert rates["pass@2"].k == 2
    assert rates["pass@2"].rate == pytest.approx((0.5 + 1) / 2)
    assert rates["pass@2"].low <= rates["pass@2"].rate <= rates["pass@2"].high
    assert rates["maj@4"].rate == pytest.approx((0 + 1) / 2)
    assert rates["pass@1"].rate == rates["maj@1"].rate == pytest.approx((0.25 + 1 + 0) / 3)
    assert unique(asked) == Unique(rate=3 / 5, right=5, distinct=3)
    assert set(sampled(answers("++", classes=[(6, False)]), 6)) == {
        f"{a}@{k}" for a in ("pass", "maj") for k in (1, 2, 4, 6)
    }
    assert sampled(answers("++"), 0) == {} and unique(answers("++")) is None


@pytest.mark.parametrize(
    ("before", "after", "gained", "lost", "p_worse"),
    [
        ("++--", "++--", [], [], 1.0),
        ("-----+", "+++++-", ["p0", "p1", "p2", "p3", "p4"], ["p5"], 1 - 1 / 64),
        ("+++++-", "------", [], ["p0", "p1", "p2", "p3", "p4"], 1 / 32),
        ("++++", "----", [], ["p0", "p1", "p2", "p3"], 1 / 16),
        ("+++-+-", "---++-", ["p3"], ["p0", "p1", "p2"], 5 / 16),
        ("-+", "+-", ["p0"], ["p1"], 3 / 4),
        ("", "", [], [], 1.0),
    ],
)
def test_paired_is_the_exact_mcnemar_test_on_what_moved(
    before: str, after: str, gained: list[str], lost: list[str], p_worse: float
) -> None:
    changes = paired(answers(before), answers(after), "worked")
    assert (changes.gained, changes.lost) == (gained, lost)
    assert changes.p_worse == pytest.approx(p_worse)
    assert changes.problems == len(before)
    assert changes.change == pytest.approx((len(gained) - len(lost)) / max(len(before), 1))
    assert changes.low <= changes.change <= changes.high


def test_what_was_not_judged_both_times_is_left_out_of_the_pairs() -> None:
    changes = paired(answers("+?-+?"), answers("?+++?"), "fast")
    assert (changes.problems, changes.gained, changes.lost, changes.change) == (2, ["p2"], [], 0.5)


def test_pairs_are_made_by_problem_and_not_by_place() -> None:
    changes = paired(answers("+-"), list(reversed(answers("+-"))), "fast")
    assert (changes.gained, changes.lost) == ([], [])


# By heart


def test_by_heart_is_fast_over_slow_on_the_problems_that_have_both() -> None:
    slow = dict(zip(["p0", "p1", "p2", "p3", "p4", "p9"], [True, True, True, False, None, True], strict=True))
    heart = by_heart(answers("++-?++"), slow)
    assert heart is not None
    assert (heart.ratio, heart.problems) == (2 / 3, 3)
    assert by_heart(answers("++"), {"p0": False, "p1": False}) is None
    assert by_heart(answers("??"), {"p0": True, "p1": True}) is None
    assert by_heart(answers("++"), {}) is None


# What decides


def measure(policy: str, dev: str, held_out: str, train: str = "+-", **rest: Any) -> Measure:
    marks = {"train": train, "dev": dev, "held_out": held_out}
    return Measure(policy, {name: answers(part, **rest) for name, part in marks.items()})


@pytest.mark.parametrize(
    ("dev", "held_out", "promoted"),
    [
        (("+" * 20, "+" * 20), ("+" * 20, "-" * 20), True),
        (("+" * 20, "-" * 20), ("-" * 20, "+" * 20), False),
        (("++++++", "------"), ("+", "+"), False),
        (("+++++", "-----"), ("+", "+"), True),
        (("----", "++++"), ("+", "+"), True),
    ],
    ids=["held-out lost", "held-out gained", "6 lost", "5 lost", "4 gained"],
)
def test_the_development_split_alone_decides(dev: tuple[str, str], held_out: tuple[str, str], promoted: bool) -> None:
    before, after = (measure(f"policy {side}", dev[side], held_out[side], "++--") for side in (0, 1))
    assert compare(before, after, EvaluationOptions()).promoted is promoted


def test_how_bad_is_too_bad_is_an_option() -> None:
    before, after = measure("a", "++++", "+"), measure("b", "----", "+")
    assert compare(before, after, EvaluationOptions(alpha=0.2)).promoted is False
    assert compare(before, after, EvaluationOptions(alpha=0.1)).promoted is True


@pytest.mark.parametrize("decides", ["fast", "worked"])
def test_which_accuracy_decides_is_an_option(decides: str) -> None:
    before = measure("a", "+" * 9, "+")
    worse: dict[str, Any] = {decides: Outcome(False, 3, "")}
    after = measure("b", "+" * 9, "+", **worse)
    decisions = {kind: compare(before, after, EvaluationOptions(decides=kind)) for kind in GREEDY}
    assert {kind: metrics.promoted for kind, metrics in decisions.items()} == {kind: kind != decides for kind in GREEDY}
    assert all(metrics.decided_by == kind for kind, metrics in decisions.items())


def test_the_same_policy_is_not_promoted() -> None:
    metrics = compare(measure("base", "+-", "+"), measure("base", "++", "+"), EvaluationOptions())
    assert metrics.promoted is False
    assert (metrics.before, metrics.after) == ("base", "base")


def test_metrics_hold_both_sides_of_every_split_and_are_json() -> None:
    half, whole = {"classes": [(1, True), (1, False)], "distinct": 1}, {"classes": [(2, True)], "distinct": 1}
    thought = {"slow": Outcome(True, 40, "")}
    before = Measure("a", {"dev": answers("+-", **half, **thought), "held_out": answers("?")})
    after = Measure("b", {"dev": answers("++", **whole), "held_out": answers("+")}, {"p0": True, "p1": False})
    metrics = compare(before, after, EvaluationOptions(samples=2))
    written = metrics.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert RoundMetrics.from_dict(written) == metrics
    dev = metrics.dev
    for kind in GREEDY:
        assert (dev.before.kind(kind), dev.after.kind(kind)) == (getattr(dev.before, kind), getattr(dev.after, kind))
        assert (getattr(dev.before, kind).accuracy, getattr(dev.after, kind).accuracy) == (0.5, 1.0)
        assert dev.paired.kind(kind).gained == ["p1"]
    assert dev.before.slow == dev.before.kind("slow") == accuracy([Outcome(True, 40, "")] * 2)
    assert dev.before.slow and (dev.before.slow.accuracy, dev.before.slow.tokens) == (1.0, 40.0)
    after = written["splits"]["dev"]["after"]
    assert set(after) == {
        "problems",
        "fast",
        "worked",
        "unique",
        *(f"{a}@{k}" for a in ("pass", "maj") for k in (1, 2)),
    }
    assert (dev.before.sampled["pass@1"].rate, dev.before.sampled["pass@2"].rate) == (0.5, 1.0)
    assert dev.by_heart and dev.by_heart_base and (dev.by_heart.ratio, dev.by_heart_base.ratio) == (1.0, 2.0)
    held_out = written["splits"]["held_out"]
    nothing = {"problems": 1, "unjudged": 1}
    assert held_out["before"] == {"problems": 1, "fast": nothing, "worked": nothing}
    assert held_out["paired"]["fast"]["problems"] == 0
    assert "by_heart" not in held_out


def test_each_group_has_accuracies_of_its_own_numbers_in_order() -> None:
    mixed = [*answers("++-", group="10"), *answers("--", group="2"), *answers("+", group="two")]
    side = Measure("a", {"dev": mixed})
    groups = compare(side, side, EvaluationOptions(group_by="digits")).dev.after.by
    assert groups is not None
    assert list(groups) == ["2", "10", "two"]
    assert [group.fast.accuracy for group in groups.values()] == pytest.approx([0, 2 / 3, 1])
    assert groups["10"].worked.problems == 3


def trained(folder: Path, name: str) -> Policy:
    """A policy with a scorer, whose weights are their names."""
    adapter, scorer = folder / name / "adapter", folder / name / "scorer"
    for folder_ in (adapter, scorer):
        folder_.mkdir(parents=True)
        (folder_ / "adapter_model.safetensors").write_text(str(folder_))
    return Policy("m", adapter, weights.name(adapter, scorer), scorer)


def test_the_policy_and_its_scorer_are_promoted_each_for_itself(tmp_path: Path) -> None:
    old, new = trained(tmp_path, "old"), trained(tmp_path, "new")
    ids = {}
    for policy, scorer in product((True, False), repeat=2):
        ended = promoted(old, new, RoundMetrics("old", "new", True, policy, "worked", scorer, {}))
        assert ended.adapter == (new if policy else old).adapter
        assert ended.scorer == (new if scorer else old).scorer
        ids[policy, scorer] = ended.id
    assert (ids[True, True], ids[False, False]) == (new.id, old.id)
    assert len(set(ids.values())) == 4, "each pair is a policy of its own"


@pytest.mark.parametrize(("value", "promoted_scorer"), [(0.9, True), (0.1, False), (None, True)])
def test_a_scorer_is_promoted_unless_it_is_worse_than_the_one_before(
    value: float | None, promoted_scorer: bool
) -> None:
    """The policy itself gets worse and is not; without values the scorer goes with it."""
    valued = [] if value is None else [Valued([value], [0.5], [True], True)]
    before, after = Measure("a", {"dev": answers("+" * 9)}), Measure("b", {"dev": answers("-" * 9, valued=valued)})
    metrics = compare(before, after, EvaluationOptions())
    assert not metrics.promoted
    assert metrics.scorer_promoted == (promoted_scorer and value is not None)
    now, then = metrics.dev.after.values, metrics.dev.before.values
    if value is None:
        assert (now, then) == (None, None)
    else:
        assert now and then and [now.brier, then.brier] == pytest.approx([(1 - value) ** 2, 0.25])
