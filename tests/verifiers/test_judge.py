"""Verifiers as a service, and verdicts that are made anew when a verifier changes."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import recipe, verifiers
from pipeline.errors import RecipeError
from pipeline.run import Run
from pipeline.types import Attempts, Completion, Problem, Problems, Rollout, Verdict, Verify, replace
from pipeline.verifiers.judge import Judge, judge, judged, present, verify

SUM = Problem.of("2 + 2", "4", "number")


def rollout(problem: Problem, text: str, seed: int = 0) -> Rollout:
    return Rollout.of(problem, Completion(text, [1], "stop", "base", seed), "direct")


def test_each_verdict_is_polled_once_under_its_ticket() -> None:
    service = Judge()
    assert service.poll() == []
    tickets = {service.submit(Verify(SUM, text)): score for text, score in [("4", 1.0), ("5", 0.0), ("4.0", 1.0)]}
    assert len(tickets) == 3
    assert {ticket: verdict.score for ticket, verdict in service.poll()} == tickets
    assert service.poll() == []
    later = service.submit(Verify(SUM, "4"))
    assert later not in tickets
    assert [ticket for ticket, _ in service.poll()] == [later]


def test_the_verifier_of_the_problem_judges() -> None:
    verdict = judge(SUM, "it is 5", "r1")
    assert (verdict.rollout_id, verdict.score, verdict.answer) == ("r1", 0.0, "5")
    assert verdict.verifier == present("number")[1]
    assert judge(Problem.of("Capital?", "Paris", "exact"), "paris.").correct
    assert judge(Problem.of("Capital?", "Paris", "exact"), "it is paris").score == 0.0


def test_a_problem_without_an_answer_is_not_judged() -> None:
    verdict = judge(Problem.of("2 + 2", None, "number"), "4")
    assert verdict.score is None
    assert not verdict.correct
    assert verdict.reason == "the problem has no gold answer"


def test_an_unknown_verifier_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="did you mean 'number'"):
        judge(Problem.of("2 + 2", "4", "numbr"), "4")


def test_a_verifier_is_named_by_its_key_and_its_code() -> None:
    key, _, fingerprint = present("number")[1].partition("@")
    assert key == "number"
    assert len(fingerprint) == 8
    assert fingerprint != present("exact")[1].partition("@")[2]


def test_verdicts_of_the_present_verifier_are_kept_and_the_rest_made_anew() -> None:
    first, second, third = (rollout(SUM, "4", seed) for seed in range(3))
    kept = Verdict(first.id, present("number")[1], 0.0, "kept", "as it was given")
    outdated = Verdict(second.id, "number@00000000", 0.0, "4", "by code of before")
    verdicts = judged([SUM], [Attempts(SUM.id, [third, second, first], [outdated, kept])], Judge())
    assert [verdict.rollout_id for verdict in verdicts] == [third.id, second.id, first.id]
    assert verdicts[2] == kept
    assert [verdict.score for verdict in verdicts[:2]] == [1.0, 1.0]
    assert {verdict.verifier for verdict in verdicts} == {present("number")[1]}


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A verifier in a file of its own, which a test may change."""
    path = tmp_path / "byheart_test_strict.py"
    path.write_text(VERIFIER.format(score=0.0))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(verifiers.REGISTRY, "strict", "byheart_test_strict:verify")
    present.cache_clear()
    yield path
    present.cache_clear()
    sys.modules.pop("byheart_test_strict", None)


VERIFIER = """
from pipeline.verifiers.judge import Judgement

def verify(answer, response):
    return Judgement({score}, response, "says so")
"""


def changed(path: Path) -> None:
    path.write_text(VERIFIER.format(score=1.0) + "# longer, so that no cached bytecode fits\n")
    importlib.reload(sys.modules["byheart_test_strict"])
    present.cache_clear()


def test_the_verify_stage_judges_every_rollout_and_reads_it_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", recipe.parse({"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}))
    other = Problem.of("3 + 3", None, "number")
    attempts = [
        Attempts(other.id, [rollout(other, "6")], []),
        Attempts(SUM.id, [rollout(SUM, "4"), rollout(SUM, "5")], []),
        Attempts("refused", [], [], "too long"),
    ]
    problems = Problems([SUM, other, Problem("refused", "x", "1", "number")], [], [])
    made = run.stage(1, "verify", verify, problems, attempts, Judge())
    assert [verdict.score for verdict in made] == [None, 1.0, 0.0]
    assert [verdict.rollout_id for verdict in made] == [one.id for part in attempts for one in part.rollouts]
    assert run.stage(1, "verify", verify, problems, attempts, Judge()) == made
    run.close()


def test_a_changed_verifier_judges_anew_what_it_judged_before(strict: Path) -> None:
    problem = replace(SUM, verifier="strict")
    one = rollout(problem, "4")
    before = judge(problem, one.response, one.id)
    assert before.score == 0.0
    changed(strict)
    [after] = judged([problem], [Attempts(problem.id, [one], [before])], Judge())
    assert after.score == 1.0
    assert after.verifier != before.verifier


def test_the_verify_stage_of_a_round_at_hand_is_done_again_for_a_changed_verifier(strict: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", recipe.parse({"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}))
    problem = replace(SUM, verifier="strict")
    problems, attempts = Problems([problem], [], []), [Attempts(problem.id, [rollout(problem, "4")], [])]
    assert [verdict.score for verdict in run.stage(1, "verify", verify, problems, attempts, Judge())] == [0.0]
    changed(strict)
    assert [verdict.score for verdict in run.stage(1, "verify", verify, problems, attempts, Judge())] == [1.0]
    run.close()
