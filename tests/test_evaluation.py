"""Numbers with their intervals, and what decides a promotion."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import recipe
from pipeline.engines.scripted import Scripted
from pipeline.evaluation import (
    Answer,
    Measure,
    Options,
    accuracy,
    baseline,
    compare,
    paired,
    pass_at_k,
    read_measure,
    sampled,
)
from pipeline.run import Run
from pipeline.types import Policy, Problem, Problems
from tests.conftest import judge_by

settled = settings(deadline=None, max_examples=60)


def answers(marks: str, **rest: Any) -> list[Answer]:
    """'+' right, '-' wrong, '?' unjudged."""
    right = {"+": True, "-": False, "?": None}
    return [Answer(f"p{n}", right[mark], 3, "", **rest) for n, mark in enumerate(marks)]


@settled
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(numbers: tuple[int, int, int]) -> None:
    n, c, k = numbers
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize("k", [0, 5])
def test_pass_at_more_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.4"):
        pass_at_k(4, 1, k)


def test_accuracy_has_its_wilson_interval() -> None:
    found = accuracy(answers("++++++++--"))
    assert (found["problems"], found["unjudged"], found["accuracy"], found["tokens"]) == (10, 0, 0.8, 3.0)
    assert found["low"] == pytest.approx(0.4901625, abs=1e-6)
    assert found["high"] == pytest.approx(0.9433178, abs=1e-6)


def test_an_unjudged_answer_is_neither_right_nor_wrong_but_counted() -> None:
    found = accuracy(answers("+?-?+?+"))
    assert (found["problems"], found["unjudged"], found["accuracy"]) == (7, 3, 0.75)
    assert accuracy(answers("??")) == {"problems": 2, "unjudged": 2}
    assert accuracy([]) == {"problems": 0, "unjudged": 0}


@settled
@given(st.text("+-", min_size=1, max_size=60))
def test_an_interval_holds_its_accuracy_and_stays_within_0_and_1(marks: str) -> None:
    found = accuracy(answers(marks))
    assert 0 <= found["low"] <= found["accuracy"] + 1e-12
    assert found["accuracy"] - 1e-12 <= found["high"] <= 1


def test_sampled_is_the_mean_over_problems_with_enough_judged_samples() -> None:
    found = sampled(
        [
            *answers("+", samples=4, samples_right=1),
            *answers("+", samples=4, samples_right=4),
            *answers("+", samples=1, samples_right=0),
        ],
        2,
    )
    assert found is not None
    assert found["k"] == 2
    assert found["rate"] == pytest.approx((0.5 + 1) / 2)
    assert found["low"] <= found["rate"] <= found["high"]
    assert sampled(answers("++", samples=1), 2) is None


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
    found = paired(answers(before), answers(after))
    assert (found["gained"], found["lost"]) == (gained, lost)
    assert found["p_worse"] == pytest.approx(p_worse)
    assert found["problems"] == len(before)
    assert found["change"] == pytest.approx((len(gained) - len(lost)) / max(len(before), 1))
    assert found["low"] <= found["change"] <= found["high"]


def test_what_was_not_judged_both_times_is_left_out_of_the_pairs() -> None:
    found = paired(answers("+?-+?"), answers("?+++?"))
    assert (found["problems"], found["gained"], found["lost"], found["change"]) == (2, ["p2"], [], 0.5)


def test_pairs_are_made_by_problem_and_not_by_place() -> None:
    found = paired(answers("+-"), list(reversed(answers("+-"))))
    assert (found["gained"], found["lost"]) == ([], [])


def measure(policy: str, dev: str, held_out: str, train: str = "+-") -> Measure:
    return Measure(policy, {"train": answers(train), "dev": answers(dev), "held_out": answers(held_out)})


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


def test_the_same_policy_is_not_promoted() -> None:
    found = compare(measure("base", "+-", "+"), measure("base", "++", "+"), Options())
    assert found["promoted"] is False
    assert (found["before"], found["after"]) == ("base", "base")


def test_metrics_hold_both_sides_of_every_split_and_are_json() -> None:
    before = Measure("a", {"dev": answers("+-", samples=2, samples_right=1), "held_out": answers("?")})
    after = Measure("b", {"dev": answers("++", samples=2, samples_right=2), "held_out": answers("+")})
    found = compare(before, after, Options(samples=2))
    assert json.loads(json.dumps(found)) == found
    dev = found["splits"]["dev"]
    assert (dev["before"]["accuracy"], dev["after"]["accuracy"], dev["paired"]["gained"]) == (0.5, 1.0, ["p1"])
    assert (dev["before"]["pass@1"]["rate"], dev["before"]["pass@2"]["rate"]) == (0.5, 1.0)
    assert found["splits"]["held_out"]["before"] == {"problems": 1, "unjudged": 1}
    assert found["splits"]["held_out"]["paired"]["problems"] == 0


# The stage, on an engine whose answers are in a file


PROBLEMS = Problems(*([Problem.of(f"{name}?", "4", "number")] for name in ("train", "dev", "held_out")))


def opened(folder: Path, model: str = "one", redo_from: int | None = None, **evaluation: Any) -> Run:
    raw = {
        "name": "t",
        "model": {"name": model},
        "task": {"name": "times_table"},
        "engine": {"name": "scripted", "script": str(folder / "script.json")},
        "evaluation": evaluation,
    }
    return Run(folder / "run", recipe.parse(raw), redo_from=redo_from)


def engine(run: Run, answers: dict[str, list[str]]) -> Scripted:
    Path(run.recipe.engine.script).write_text(json.dumps(answers))
    return Scripted(run.recipe.engine, Path(), run.recipe.model, run.dir / "engine.log")


def measured(run: Run, answers: dict[str, list[str]], n: int = 1) -> Measure:
    policy, options = Policy(run.recipe.model.name), run.recipe.evaluation
    made: Measure = run.stage(n, "baseline", baseline, PROBLEMS, policy, options, engine(run, answers), judge_by())
    return made


ANSWERS = {"train?": ["4 in full", "5"], "dev?": ["5"], "held_out?": ["it is 4", "4"]}


def test_a_policy_is_measured_on_every_split_and_the_measure_is_read_again(tmp_path: Path) -> None:
    run = opened(tmp_path, samples=4)
    made = measured(run, ANSWERS)
    assert {name: [one.right for one in part] for name, part in made.splits.items()} == {
        "train": [True],
        "dev": [False],
        "held_out": [True],
    }
    assert [one.samples for part in made.splits.values() for one in part] == [4, 4, 4]
    assert (made.splits["dev"][0].samples_right, made.splits["held_out"][0].samples_right) == (0, 4)
    assert made.splits["train"][0].response == "4 in full"
    assert read_measure("baseline")(run.round_dir(1)) == made
    run.close()


def test_what_was_asked_of_a_policy_before_is_not_asked_again(tmp_path: Path) -> None:
    run = opened(tmp_path)
    made = measured(run, ANSWERS)
    assert measured(run, {}, n=2) == made  # an engine without answers fails if it is asked
    run.close()


def test_another_model_is_measured_anew_though_its_run_stays(tmp_path: Path) -> None:
    run = opened(tmp_path, model="one")
    assert measured(run, ANSWERS).splits["held_out"][0].right is True
    run.close()
    run = opened(tmp_path, model="two", redo_from=1)
    assert measured(run, ANSWERS | {"held_out?": ["it is 5"]}).splits["held_out"][0].right is False
    run.close()
