"""Numbers with their intervals, and what decides a promotion."""

import itertools
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import recipe, strategies
from pipeline.engines.scripted import Scripted
from pipeline.errors import TaskError
from pipeline.evaluation import (
    Answer,
    Measure,
    Options,
    Outcome,
    baseline,
    compare,
    evaluate,
    maj_at_k,
    pass_at_k,
    read_measure,
)
from pipeline.evaluation.comparing import accuracy, by_heart, paired, sampled
from pipeline.evaluation.statistics import ratio_interval
from pipeline.files import Journal, write_records
from pipeline.run import Run
from pipeline.types import Attempts, Generate, Policy, Problem, Problems, Rollout, Solver, replace
from tests.conftest import judge_by

settled = settings(deadline=None, max_examples=60)
RIGHT = {"+": True, "-": False, "?": None}


def outcomes(marks: str) -> list[Outcome]:
    """'+' right, '-' wrong, '?' unjudged."""
    return [Outcome(RIGHT[mark], 3, "") for mark in marks]


def answers(marks: str, **rest: Any) -> list[Answer]:
    return [Answer(f"p{n}", **({"fast": one, "worked": one} | rest)) for n, one in enumerate(outcomes(marks))]


@settled
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(numbers: tuple[int, int, int]) -> None:
    n, c, k = numbers
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def won(draw: Sequence[tuple[int, bool]]) -> float:
    """The chance that the commonest class of a draw is right, where a lot decides between those that are alike."""
    sizes = Counter(draw)
    best = [right for (_, right), size in sizes.items() if size == max(sizes.values())]
    return sum(best) / len(best)


@settled
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5), st.data())
def test_maj_at_k_is_the_share_of_draws_whose_commonest_answer_is_right(
    classes: list[tuple[int, bool]], data: st.DataObject
) -> None:
    samples = [(place, right) for place, (size, right) in enumerate(classes) for _ in range(size)][:9]
    known = [(size, right) for (_, right), size in Counter(samples).items()]
    k = data.draw(st.integers(1, len(samples)))
    draws = list(itertools.combinations(samples, k))
    assert maj_at_k(known, k) == pytest.approx(sum(map(won, draws)) / len(draws))


def test_a_vote_finds_what_one_sample_mostly_misses_and_loses_what_the_crowd_gets_wrong() -> None:
    scattered = [(4, True), *[(1, False)] * 12]
    assert [round(maj_at_k(scattered, k), 2) for k in (1, 16)] == [0.25, 1.0]
    assert [round(maj_at_k([(7, True), (9, False)], k), 2) for k in (1, 16)] == [0.44, 0.0]


@pytest.mark.parametrize("k", [0, 5])
def test_more_samples_than_there_are_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.4"):
        pass_at_k(4, 1, k)
    with pytest.raises(ValueError, match=r"1\.\.4"):
        maj_at_k([(3, True), (1, False)], k)


def test_accuracy_has_its_wilson_interval() -> None:
    found = accuracy(outcomes("++++++++--"))
    assert (found["problems"], found["unjudged"], found["accuracy"], found["tokens"]) == (10, 0, 0.8, 3.0)
    assert found["low"] == pytest.approx(0.4901625, abs=1e-6)
    assert found["high"] == pytest.approx(0.9433178, abs=1e-6)


def test_an_unjudged_answer_is_neither_right_nor_wrong_but_counted() -> None:
    found = accuracy(outcomes("+?-?+?+"))
    assert (found["problems"], found["unjudged"], found["accuracy"]) == (7, 3, 0.75)
    assert accuracy(outcomes("??")) == {"problems": 2, "unjudged": 2}
    assert accuracy([]) == {"problems": 0, "unjudged": 0}


@settled
@given(st.text("+-", min_size=1, max_size=60))
def test_an_interval_holds_its_accuracy_and_stays_within_0_and_1(marks: str) -> None:
    found = accuracy(outcomes(marks))
    assert 0 <= found["low"] <= found["accuracy"] + 1e-12
    assert found["accuracy"] - 1e-12 <= found["high"] <= 1


def test_sampled_is_the_mean_over_problems_with_enough_judged_samples() -> None:
    found = sampled(
        [
            *answers("+", classes=[(3, False), (1, True)], distinct=1),
            *answers("+", classes=[(4, True)], distinct=2),
            *answers("+", classes=[(1, False)]),
        ],
        4,
    )
    assert set(found) == {"unique", *(f"{kind}@{k}" for kind in ("pass", "maj") for k in (1, 2, 4))}
    assert found["pass@2"]["k"] == 2
    assert found["pass@2"]["rate"] == pytest.approx((0.5 + 1) / 2)
    assert found["pass@2"]["low"] <= found["pass@2"]["rate"] <= found["pass@2"]["high"]
    assert found["maj@4"]["rate"] == pytest.approx((0 + 1) / 2)
    assert found["pass@1"]["rate"] == found["maj@1"]["rate"] == pytest.approx((0.25 + 1 + 0) / 3)
    assert found["unique"] == {"rate": 3 / 5, "right": 5, "distinct": 3}
    assert set(sampled(answers("++", classes=[(6, False)]), 6)) == {
        f"{a}@{k}" for a in ("pass", "maj") for k in (1, 2, 4, 6)
    }
    assert sampled(answers("++"), 0) == {}


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
    found = paired(answers(before), answers(after), "worked")
    assert (found["gained"], found["lost"]) == (gained, lost)
    assert found["p_worse"] == pytest.approx(p_worse)
    assert found["problems"] == len(before)
    assert found["change"] == pytest.approx((len(gained) - len(lost)) / max(len(before), 1))
    assert found["low"] <= found["change"] <= found["high"]


def test_what_was_not_judged_both_times_is_left_out_of_the_pairs() -> None:
    found = paired(answers("+?-+?"), answers("?+++?"), "fast")
    assert (found["problems"], found["gained"], found["lost"], found["change"]) == (2, ["p2"], [], 0.5)


def test_pairs_are_made_by_problem_and_not_by_place() -> None:
    found = paired(answers("+-"), list(reversed(answers("+-"))), "fast")
    assert (found["gained"], found["lost"]) == ([], [])


# By heart


def test_by_heart_is_fast_over_slow_on_the_problems_that_have_both() -> None:
    slow = dict(zip(["p0", "p1", "p2", "p3", "p4", "p9"], [True, True, True, False, None, True], strict=True))
    found = by_heart(answers("++-?++"), slow)
    assert found is not None
    assert (found["ratio"], found["problems"]) == (2 / 3, 3)
    assert by_heart(answers("++"), {"p0": False, "p1": False}) is None
    assert by_heart(answers("??"), {"p0": True, "p1": True}) is None
    assert by_heart(answers("++"), {}) is None


@settled
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50).filter(
        lambda both: any(b for _, b in both)
    )
)
def test_the_interval_of_a_ratio_holds_it_and_is_never_a_point(both: list[tuple[bool, bool]]) -> None:
    above, below = zip(*both, strict=True)
    low, high = ratio_interval(above, below)
    assert 0 <= low <= sum(above) / sum(below) + 1e-12
    assert high is None or (low < high and sum(above) / sum(below) <= high + 1e-12)


def test_the_interval_of_a_ratio_narrows_with_the_problems_and_may_have_no_upper_end() -> None:
    def width(n: int) -> float:
        low, high = ratio_interval([1.0, 0.0] * n, [1.0, 1.0] * n)
        assert high is not None
        return high - low

    assert width(100) < width(10) / 2
    assert ratio_interval([1.0] * 50, [1.0] + [0.0] * 49)[1] is None
    with pytest.raises(ValueError, match="mean of 0"):
        ratio_interval([1.0], [0.0])


def test_a_problem_counts_with_its_own_slow_answer() -> None:
    """Fast right exactly where slow is: a ratio of 1 with hardly any doubt, where independent draws would have much."""
    marks = [1.0, 0.0] * 50
    low, high = ratio_interval(marks, marks)
    assert [low, high] == pytest.approx([0.94, 1.06])  # 3/n of the problems, more or less


# What decides


def measure(policy: str, dev: str, held_out: str, train: str = "+-", **rest: Any) -> Measure:
    marks = {"train": train, "dev": dev, "held_out": held_out}
    return Measure(policy, {name: answers(part, **rest) for name, part in marks.items()})


@pytest.mark.parametrize(
    ("dev", "held_out", "promoted"),
    [
        (("+" * 20, "+" * 20), ("+" * 20, "-" * 20), True),
        (("+" * 20, "-" * 20), ("-" * 20, "+" * 20), False),
        (("+++++", "-----"), ("+", "+"), False),
        (("++++", "----"), ("+", "+"), True),
        (("----", "++++"), ("+", "+"), True),
    ],
    ids=["held-out lost", "held-out gained", "5 lost", "4 lost", "4 gained"],
)
def test_the_development_split_alone_decides(dev: tuple[str, str], held_out: tuple[str, str], promoted: bool) -> None:
    before, after = (measure(f"policy {side}", dev[side], held_out[side], "++--") for side in (0, 1))
    assert compare(before, after, Options())["promoted"] is promoted


def test_how_bad_is_too_bad_is_an_option() -> None:
    before, after = measure("a", "++++", "+"), measure("b", "----", "+")
    assert compare(before, after, Options(alpha=0.1))["promoted"] is False
    assert compare(before, after, Options(alpha=0.01))["promoted"] is True


@pytest.mark.parametrize("decides", ["fast", "worked"])
def test_which_accuracy_decides_is_an_option(decides: str) -> None:
    before = measure("a", "+" * 9, "+")
    worse: dict[str, Any] = {decides: Outcome(False, 3, "")}
    after = measure("b", "+" * 9, "+", **worse)
    verdicts = {one: compare(before, after, Options(decides=one)) for one in ("fast", "worked")}
    assert {one: found["promoted"] for one, found in verdicts.items()} == {"fast": True, "worked": True} | {
        decides: False
    }
    assert all(found["decided_by"] == one for one, found in verdicts.items())


def test_the_same_policy_is_not_promoted() -> None:
    found = compare(measure("base", "+-", "+"), measure("base", "++", "+"), Options())
    assert found["promoted"] is False
    assert (found["before"], found["after"]) == ("base", "base")


def test_metrics_hold_both_sides_of_every_split_and_are_json() -> None:
    half, whole = {"classes": [(1, True), (1, False)], "distinct": 1}, {"classes": [(2, True)], "distinct": 1}
    thought = {"slow": Outcome(True, 40, "")}
    before = Measure("a", {"dev": answers("+-", **half, **thought), "held_out": answers("?")})
    after = Measure("b", {"dev": answers("++", **whole), "held_out": answers("+")}, {"p0": True, "p1": False})
    found = compare(before, after, Options(samples=2))
    assert json.loads(json.dumps(found)) == found
    dev = found["splits"]["dev"]
    for kind in ("fast", "worked"):
        assert (dev["before"][kind]["accuracy"], dev["after"][kind]["accuracy"]) == (0.5, 1.0)
        assert dev["paired"][kind]["gained"] == ["p1"]
    assert (dev["before"]["slow"]["accuracy"], dev["before"]["slow"]["tokens"]) == (1.0, 40.0)
    assert "slow" not in dev["after"] and "by" not in dev["after"]
    assert (dev["before"]["pass@1"]["rate"], dev["before"]["pass@2"]["rate"]) == (0.5, 1.0)
    assert (dev["by_heart"]["ratio"], dev["by_heart_base"]["ratio"]) == (1.0, 2.0)
    held_out = found["splits"]["held_out"]
    nothing = {"problems": 1, "unjudged": 1}
    assert held_out["before"] == {"problems": 1, "fast": nothing, "worked": nothing}
    assert held_out["paired"]["fast"]["problems"] == 0
    assert "by_heart" not in held_out


def test_each_group_has_accuracies_of_its_own_numbers_in_order() -> None:
    mixed = [*answers("++-", group="10"), *answers("--", group="2"), *answers("+", group="two")]
    side = Measure("a", {"dev": mixed})
    found = compare(side, side, Options(by="digits"))["splits"]["dev"]["after"]["by"]
    assert list(found) == ["2", "10", "two"]
    assert [round(group["fast"]["accuracy"], 2) for group in found.values()] == [0, 0.67, 1]
    assert found["10"]["worked"]["problems"] == 3


# The stages, on an engine whose answers are in a file


def asked(name: str) -> Problem:
    return Problem.of(f"{name}?", "4", "number", {"size": len(name)})


PROBLEMS = Problems(*([asked(name)] for name in ("train", "dev", "held_out")))


def opened(
    folder: Path, model: str = "one", redo_from: int | None = None, strategy: Any = None, **evaluation: Any
) -> Run:
    raw = {
        "name": "t",
        "model": {"name": model},
        "task": {"name": "times_table"},
        "strategy": strategy or {"name": "direct"},
        "engine": {"name": "scripted", "script": str(folder / "script.json")},
        "evaluation": {"num_slow": 0} | evaluation,
    }
    return Run(folder / "run", recipe.parse(raw), redo_from=redo_from)


def engine(run: Run, answers: dict[str, list[str]]) -> Scripted:
    Path(run.recipe.engine.script).write_text(json.dumps(answers))
    return Scripted(run.recipe.engine, Path(), run.recipe.model, run.dir / "engine.log")


def measured(run: Run, answers: dict[str, list[str]], n: int = 1, problems: Problems = PROBLEMS) -> Measure:
    policy, options = Policy(run.recipe.model.name), run.recipe.evaluation
    made: Measure = run.stage(n, "baseline", baseline, problems, policy, options, engine(run, answers), judge_by())
    return made


ANSWERS = {"train?": ["4 in full", "5"], "dev?": ["5"], "held_out?": ["it is 4", "4"]}


def test_a_policy_is_measured_on_every_split_and_the_measure_is_read_again(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=4)
    made = measured(run, ANSWERS)
    assert {name: [one.worked.right for one in part] for name, part in made.splits.items()} == {
        "train": [True],
        "dev": [False],
        "held_out": [True],
    }
    assert [one.slow for part in made.splits.values() for one in part] == [None] * 3
    assert (made.splits["dev"][0].classes, made.splits["held_out"][0].classes) == ([(4, False)], [(4, True)])
    assert sum(size for size, _ in made.splits["train"][0].classes) == 4
    assert (made.splits["dev"][0].distinct, made.splits["held_out"][0].distinct) == (0, 2)
    assert made.splits["train"][0].fast.response == "4 in full"
    assert read_measure("baseline")(run.round_dir(1)) == made
    run.close()


def test_each_way_is_asked_as_the_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    submit = Scripted.submit

    def listening(self: Scripted, request: Generate) -> int:
        heard.append(request)
        return submit(self, request)

    monkeypatch.setattr(Scripted, "submit", listening)
    told = {f"{one} Quick!": ["4"] for one in ANSWERS} | {f"{one} Think!": ["I think it is 5"] for one in ANSWERS}
    fast, worked = {"prompt": "{problem} Quick!", "max_tokens": 9}, {"prompt": "{problem} Think!"}
    run = opened(tmp_path, fast=fast, worked=worked, samples=2, temperature=0.5)
    [one] = measured(run, told).splits["dev"]
    assert (one.fast, one.worked) == (Outcome(True, 2, "4"), Outcome(False, 6, "I think it is 5"))
    assert {(one.prompt, one.max_tokens, one.temperature, one.n) for one in heard if "dev" in one.prompt} == {
        ("dev? Quick!", 9, 0, 1),
        ("dev? Think!", 64, 0, 1),
        ("dev? Think!", 64, 0.5, 2),
    }
    run.close()


@pytest.mark.parametrize(("budget", "asked"), [(9, 3), (10, 6)])
def test_fast_and_worked_are_asked_once_where_they_are_the_same(tmp_path: Path, budget: int, asked: int) -> None:
    run = opened(tmp_path, fast={"max_tokens": 9}, worked={"max_tokens": budget})
    [one] = measured(run, ANSWERS).splits["dev"]
    assert one.fast == one.worked
    assert sum(len(path.read_text().splitlines()) for path in (run.dir / "measures").iterdir()) == asked
    run.close()


def test_an_answer_that_nobody_can_read_is_a_class_of_its_own(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=60)
    one = measured(run, ANSWERS | {"dev?": ["none", "well", "6", "it is 6", "4"]}).splits["dev"][0]
    sizes = [size for size, _ in one.classes]
    assert sum(sizes) == 60
    assert sizes.count(1) > 10  # "none" and "well" agree with nobody
    assert sizes[0] > 12 and one.classes[0] == (sizes[0], False)  # both ways to say 6 are one answer
    assert [size for size, right in one.classes if right] == [sizes[1]]
    run.close()


def test_answers_that_are_written_differently_are_one_class_where_the_verifier_finds_them_equal(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=60)
    one = measured(run, ANSWERS | {"dev?": ["4", "4.0", "so 4.00", "5", "5.0"]}).splits["dev"][0]
    assert sorted(right for _, right in one.classes) == [False, True]
    assert sum(size for size, _ in one.classes) == 60
    run.close()


def test_an_answer_that_was_cut_off_is_wrong_in_every_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Scripted._completions
    monkeypatch.setattr(
        Scripted,
        "_completions",
        lambda self, request: [replace(one, finish_reason="length") for one in whole(self, request)],
    )
    run = opened(tmp_path, samples=20)
    one = measured(run, ANSWERS | {"dev?": ["4"]}).splits["dev"][0]
    assert (one.fast.right, one.worked.right) == (False, False)
    assert one.classes == [(1, False)] * 20 and one.distinct == 0, "it has no vote"
    run.close()
    unknown = Problems([], [Problem.of("dev?", None, "number")], [])
    run = opened(tmp_path / "unknown", samples=20)
    [one] = measured(run, {"dev?": ["4"]}, problems=unknown).splits["dev"]
    assert (one.fast.right, one.classes) == (None, []), "nobody knows whether the whole would be right"
    run.close()


def test_no_more_samples_than_can_be_counted() -> None:
    with pytest.raises(ValueError, match="less than or equal to 512"):
        Options(samples=513)
    assert maj_at_k([(1, True)] * 256 + [(1, False)] * 256, 256) == pytest.approx(0.5)
    assert maj_at_k([(1, False)] * 512, 512) == 0


def test_groups_are_made_by_what_the_meta_says(tmp_path: Path) -> None:
    run = opened(tmp_path, by="size")
    assert [part[0].group for part in measured(run, ANSWERS).splits.values()] == ["5", "3", "8"]
    run.close()
    run = opened(tmp_path, by="sise", redo_from=1)
    with pytest.raises(TaskError, match=r"evaluation\.by: .* no 'sise' in its meta, which has size"):
        measured(run, {})
    run.close()


def test_what_was_asked_of_a_policy_before_is_not_asked_again(tmp_path: Path) -> None:
    run = opened(tmp_path)
    made = measured(run, ANSWERS)
    assert measured(run, {}, n=2) == made  # an engine without answers fails if it is asked
    run.close()


def test_another_model_is_measured_anew_though_its_run_stays(tmp_path: Path) -> None:
    run = opened(tmp_path, model="one")
    assert measured(run, ANSWERS).splits["held_out"][0].worked.right is True
    run.close()
    run = opened(tmp_path, model="two", redo_from=1)
    assert measured(run, ANSWERS | {"held_out?": ["it is 5"]}).splits["held_out"][0].worked.right is False
    run.close()


# Slow thinking, by a strategy whose attempts are in the problem's meta: (response, what else the rollout says)


class Thinking(recipe.Choice):
    pass


def think(problem: Problem, options: Thinking) -> Solver:
    [completions] = yield [Generate(problem.prompt, n=2, temperature=0)]
    one = Rollout.of(problem, completions[0], "think")
    return [
        replace(one, id=f"{problem.id} {place}", response=text, **rest)
        for place, (text, rest) in enumerate(problem.meta["attempts"])
    ]


@pytest.fixture
def strategy(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    place = ModuleType("thinking")
    place.Options, place.solve = Thinking, think  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "thinking", place)
    monkeypatch.setattr(think, "__module__", "thinking")
    monkeypatch.setitem(strategies.REGISTRY, "think", "thinking:solve")
    return {"name": "think"}


def thinkable(*attempts: tuple[str, dict[str, Any]], answer: str | None = "4") -> Problem:
    return Problem.of(json.dumps(attempts), answer, "number", {"attempts": attempts})


WRONG: tuple[str, dict[str, Any]] = ("5", {})
RIGHT_ONE: tuple[str, dict[str, Any]] = ("4", {})
SLOW = {
    "a right one": (thinkable(RIGHT_ONE), True),
    "a right one among others": (thinkable(WRONG, RIGHT_ONE, WRONG), True),
    "wrong": (thinkable(WRONG), False),
    "given the answer": (thinkable(WRONG, ("4", {"hinted": True})), False),
    "not preferred": (thinkable(WRONG, ("4", {"chosen": False})), False),
    "cut off": (thinkable(WRONG, ("4", {"finish_reason": "length"})), False),
    "nothing": (thinkable(), False),
    "unjudged": (thinkable(RIGHT_ONE, WRONG, answer=None), None),
    "unjudged, and so none chosen": (thinkable(("4", {"chosen": False}), answer=None), None),
    "one unjudged among wrong ones": (thinkable(WRONG, ("", {"chosen": False, "note": "unjudged"})), None),
    "one unjudged beside a right one": (thinkable(RIGHT_ONE, ("", {"chosen": False, "note": "unjudged"})), True),
    "unjudged, with the answer given": (thinkable(("4", {"hinted": True}), answer=None), False),
}


def test_slow_thinking_is_right_where_it_chose_ended_and_was_not_told_a_right_solution(
    tmp_path: Path, strategy: dict[str, str]
) -> None:
    dev = [problem for problem, _ in SLOW.values()]
    train, held_out = [asked("train")], [thinkable(RIGHT_ONE, RIGHT_ONE), thinkable(WRONG, WRONG)]
    said = {str(problem.prompt): ["three words here"] for problem in dev + held_out} | ANSWERS
    run = opened(tmp_path, strategy=strategy, num_slow=len(dev))
    made = measured(run, said, problems=Problems(train, dev, held_out))
    slow = [one.slow for one in made.splits["dev"]]
    assert dict(zip(SLOW, [one.right for one in slow if one], strict=True)) == {
        name: right for name, (_, right) in SLOW.items()
    }
    assert {one.num_tokens for one in slow if one} == {2 * 4}  # both completions, though one became a rollout
    assert slow[1] and slow[1].response == "4"
    assert made.splits["train"][0].slow is None
    assert len(Journal(run.round_dir(1), "slow-*", Attempts).read()) == len(dev) + 2
    run.close()


def test_only_so_many_problems_of_a_split_are_thought_about(tmp_path: Path, strategy: dict[str, str]) -> None:
    dev = [thinkable(RIGHT_ONE), thinkable(WRONG), thinkable(WRONG, WRONG)]
    held_out = [thinkable(WRONG, RIGHT_ONE), thinkable(RIGHT_ONE, WRONG)]
    said = {str(problem.prompt): ["4"] for problem in dev + held_out} | ANSWERS
    run = opened(tmp_path, strategy=strategy, num_slow=1)
    made = measured(run, said, problems=Problems([asked("train")], dev, held_out))
    assert {name: [one.slow is not None for one in part] for name, part in made.splits.items()} == {
        "train": [False],
        "dev": [True, False, False],
        "held_out": [True, False],
    }
    run.close()


def test_the_new_policy_is_held_against_its_own_start_and_against_the_base_model(
    tmp_path: Path, strategy: dict[str, str]
) -> None:
    """The base model thinks one of two problems through; the policy of round 2 both, and knows one of them fast."""
    dev = [thinkable(RIGHT_ONE), thinkable(WRONG, RIGHT_ONE)]
    held_out = [thinkable(RIGHT_ONE, WRONG)]
    said = {str(problem.prompt): ["5"] for problem in dev + held_out} | ANSWERS
    said |= {f"adapter: {dev[0].prompt}": ["4"]}
    problems = Problems([asked("train")], dev, held_out)
    run = opened(tmp_path, strategy=strategy, num_slow=9)
    base = measured(run, said, problems=problems)
    weaker = [replace(base.splits["dev"][0], slow=Outcome(False, 8, "")), base.splits["dev"][1]]
    base = replace(base, splits=base.splits | {"dev": weaker})
    write_records(run.round_dir(1) / "baseline.jsonl", [base])

    policy, options, judge = Policy("one", None, "adapter-1"), run.recipe.evaluation, judge_by()
    before = run.stage(2, "baseline", baseline, problems, policy, options, engine(run, said), judge)
    after = run.stage(
        2, "evaluate", evaluate, problems, replace(policy, id="adapter-2"), options, engine(run, said), judge
    )
    assert after.base == {dev[0].id: False, dev[1].id: True, held_out[0].id: True}
    assert not any(one.slow for part in after.splits.values() for one in part)
    found = compare(before, after, options)["splits"]["dev"]
    assert (found["by_heart"]["ratio"], found["by_heart_base"]["ratio"]) == (0.5, 1.0)
    assert read_measure("evaluate")(run.round_dir(2)) == after
    run.close()
