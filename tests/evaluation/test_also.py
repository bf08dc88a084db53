"""Other tasks are measured with each round, and decide nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from byheart.evaluation import EvaluationOptions, Measure, baseline, compare, evaluate
from byheart.evaluation.metrics import RoundMetrics
from byheart.executors.local import LocalWorkers
from byheart.runs.run import Run
from byheart.runs.stages import Made
from byheart.types import Policy, Problem, Problems, replace

from tests.conftest import verifier_by
from tests.evaluation.marks import answers
from tests.evaluation.test_measuring import PROBLEMS, opened
from tests.fakes import FakeEngine, saying

DOUBLE = [Problem.of(f"{n} twice?", str(2 * n), "number") for n in (2, 3)]
LETTER = [Problem.of("held_out?", "B", "exact")]  # the words of a held-out problem, judged otherwise
ALSO = {
    "double": {"task": {"name": "times_table"}, "prompt": "{problem} Now!", "max_tokens": 7},
    "letter": {"task": {"name": "times_table"}},
}
BOTH = replace(PROBLEMS, also={"double": DOUBLE, "letter": LETTER})


def says(prompt: str) -> str:
    return {"2 twice? Now!": "4", "3 twice? Now!": "5"}.get(prompt, "B")


def before(run: Run, n: int, asked: FakeEngine, problems: Problems = BOTH, policy: str = "one") -> Measure:
    by = {"double": verifier_by("number"), "letter": verifier_by("exact")}
    asks = (run.recipe.strategy, run.recipe.curation, run.recipe.evaluation, LocalWorkers(asked), verifier_by())
    return run.stage(n, "baseline", baseline, problems, Policy("one", id=policy), *asks, [], by).value


def after(run: Run, asked: FakeEngine, first: Measure) -> Measure:
    by = {"double": verifier_by("number"), "letter": verifier_by("exact")}
    asks = (run.recipe.curation, run.recipe.evaluation, LocalWorkers(asked), verifier_by())
    new, old = Policy("one", id="two"), Policy("one")
    return run.stage(1, "evaluate", evaluate, BOTH, new, old, Made("first", lambda: first), *asks, by).value


def test_each_task_gets_one_greedy_answer_a_problem_judged_by_its_own_verifier(tmp_path: Path) -> None:
    asked = saying(says)
    with opened(tmp_path, also=ALSO) as run:
        made = before(run, 1, asked)
    assert {name: [answer.worked.right for answer in part] for name, part in made.also.items()} == {
        "double": [True, False],
        "letter": [True],
    }
    assert [answer.worked.right for answer in made.splits["held_out"]] == [False]
    double = [request for request in asked.taken if "twice" in request.prompt]
    assert {(request.prompt, request.max_tokens, request.temperature, request.n) for request in double} == {
        ("2 twice? Now!", 7, 0, 1),
        ("3 twice? Now!", 7, 0, 1),
    }
    assert Measure.from_dict(made.to_dict()) == made


def test_a_policy_is_asked_once_in_all_rounds(tmp_path: Path) -> None:
    again = saying(says)
    with opened(tmp_path, also=ALSO) as run:
        first = before(run, 1, saying(says))
        assert before(run, 2, again) == first
        assert again.taken == []
        assert before(run, 3, again, policy="another").also == first.also
        assert len([request for request in again.taken if "twice" in request.prompt]) == 2


def test_the_policy_that_a_round_made_is_asked_too(tmp_path: Path) -> None:
    with opened(tmp_path, also=ALSO) as run:
        first = before(run, 1, saying(says))
        made = after(run, saying("6{:.0}".format), first)
    assert [answer.worked.right for answer in made.also["double"]] == [False, True]
    assert [answer.worked.right for answer in made.also["letter"]] == [False]


def test_without_other_tasks_a_measure_is_what_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        made = before(run, 1, saying(says), PROBLEMS)
    assert made.also == {} and "also" not in made.to_dict()
    assert "also" not in PROBLEMS.to_dict()


def of(policy: str, marks: str, dev: str = "+-") -> Measure:
    """A policy by its answers to another task, "digits", and to the development problems."""
    return Measure(policy, {"dev": answers(dev), "held_out": answers("+-")}, also={"digits": answers(marks)})


def metrics(first: str, old: str, new: str, dev: str = "+-") -> RoundMetrics:
    measures = of("one", old), of("two", new, dev), of("base", first)
    return compare(measures[0], measures[1], EvaluationOptions(), first=measures[2])


def test_before_after_and_first_and_how_they_changed() -> None:
    digits = metrics("+" * 8 + "--", "+" * 6 + "----", "++--+-----").also["digits"]
    assert (digits.first.accuracy, digits.before.accuracy, digits.after.accuracy) == (0.8, 0.6, 0.3)
    assert (digits.paired.problems, digits.since_first.problems) == (10, 10)
    assert digits.paired.change == pytest.approx(-0.3) and digits.since_first.change == pytest.approx(-0.5)
    assert digits.paired.lost == ["p2", "p3", "p5"] and digits.paired.gained == []
    assert digits.since_first.lost == ["p2", "p3", "p5", "p6", "p7"]


def test_what_could_not_be_judged_is_in_no_change() -> None:
    digits = metrics("++", "+?", "?+").also["digits"]
    assert (digits.before.unjudged, digits.after.unjudged, digits.paired.problems) == (1, 1, 0)


def test_they_decide_nothing() -> None:
    """A policy that loses everything elsewhere is promoted all the same, and one that gains there is not."""
    worse = metrics("+" * 40, "+" * 40, "-" * 40)
    assert worse.promoted and worse.also["digits"].paired.high < 0
    lost = compare(of("one", "----", "+" * 20), of("two", "++++", "-" * 20), EvaluationOptions())
    assert lost.decision == "worse" and not lost.promoted


def test_without_other_tasks_the_metrics_say_nothing_of_any() -> None:
    old, new = (replace(of(policy, ""), also={}) for policy in ("one", "two"))
    recorded = compare(old, new, EvaluationOptions()).to_dict()
    assert "also" not in recorded
    written = metrics("+-", "+-", "++")
    assert RoundMetrics.from_dict(written.to_dict()) == written
