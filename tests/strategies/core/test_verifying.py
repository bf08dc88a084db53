"""Verdicts that were given are kept; what is owed, or was said by another verifier, is asked for."""

from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.contracts import Verifier
from byheart.executors.local import LocalWorkers
from byheart.runs.run import Run
from byheart.strategies.core.verifying import verify
from byheart.types import (
    Completion,
    FinishReason,
    Generate,
    Policy,
    Problem,
    Problems,
    Rollout,
    RolloutGroup,
    Verdict,
    replace,
)

from tests.conftest import verifier_by
from tests.fakes import FakeEngine

SUM = Problem.of("2 + 2", "4", "number")
NUMBER = verifier_by().identity


def rollout(problem: Problem, text: str, seed: int = 0, finish: FinishReason = "stop") -> Rollout:
    return Rollout.of(problem, Completion(text, [1], finish, "base", seed), "direct")


def verified(folder: Path, problems: list[Problem], attempts: list[RolloutGroup], by: Any = "number") -> list[Verdict]:
    run = Run(folder / "run", recipe.parse({"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}))
    made = run.stage(
        1,
        "verify",
        verify,
        Problems(problems, [], []),
        attempts,
        Policy("base"),
        LocalWorkers(FakeEngine(unasked)),
        verifier_by(by),
    ).value
    run.close()
    return list(made)


def unasked(request: Generate) -> str:
    raise AssertionError("nobody waits for completions")


def test_every_rollout_has_a_verdict_in_order_and_they_are_read_again(tmp_path: Path) -> None:
    other = Problem.of("3 + 3", None, "number")
    attempts = [
        RolloutGroup(other.id, [rollout(other, "6")], []),
        RolloutGroup(SUM.id, [rollout(SUM, "4"), rollout(SUM, "5")], []),
        RolloutGroup("refused", [], [], "too long"),
    ]
    problems = [SUM, other, Problem("refused", "x", "1", "number")]
    made = verified(tmp_path, problems, attempts)
    assert [verdict.score for verdict in made] == [None, 1.0, 0.0]
    assert [verdict.rollout_id for verdict in made] == [one.id for part in attempts for one in part.rollouts]
    assert verified(tmp_path, problems, attempts) == made


class Broken(Verifier):
    """Fails for every response."""

    def verify(self, problem: Problem, response: str) -> Any:
        raise ZeroDivisionError("division by zero")


def test_a_verifier_that_fails_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attempts = [RolloutGroup(SUM.id, [rollout(SUM, "4"), rollout(SUM, "5")], [])]
    made = verified(tmp_path, [SUM], attempts, Broken())
    assert [verdict.score for verdict in made] == [None, None]
    words = "2 of 2 responses are unjudged: the verifier failed: ZeroDivisionError: division by zero"
    assert words in " ".join(capsys.readouterr().err.split())


def test_what_was_judged_on_the_way_is_not_asked_again(tmp_path: Path) -> None:
    one = rollout(SUM, "4")
    given = Verdict(one.id, NUMBER, 0.0, "kept", "as it was given")
    assert verified(tmp_path, [SUM], [RolloutGroup(SUM.id, [one], [given])]) == [given]


def test_what_another_verifier_said_is_judged_anew(tmp_path: Path) -> None:
    first, second = (rollout(SUM, "4", seed) for seed in range(2))
    outdated = Verdict(first.id, "number@00000000", 0.0, "4", "by code of before")
    present = Verdict(second.id, NUMBER, 1.0, "4", "")
    made = verified(tmp_path, [SUM], [RolloutGroup(SUM.id, [first, second], [outdated, present])])
    assert [(verdict.score, verdict.verifier) for verdict in made] == [(1.0, NUMBER)] * 2


def test_the_stage_is_done_again_for_another_verifier(tmp_path: Path) -> None:
    attempts = [RolloutGroup(SUM.id, [rollout(SUM, "it is 4")], [])]
    assert [verdict.score for verdict in verified(tmp_path, [SUM], attempts)] == [1.0]
    assert [verdict.score for verdict in verified(tmp_path, [SUM], attempts, "exact")] == [0.0]


def test_agreement_is_between_all_rollouts_of_a_problem_whatever_was_said_of_a_few(tmp_path: Path) -> None:
    by = {"name": "consensus", "equal": "number", "min_samples": 4}
    unlabelled = replace(SUM, answer=None)
    rollouts = [rollout(unlabelled, text, seed) for seed, text in enumerate(["4", "5", "is 4", "4.0", "so 4"])]
    said = Verdict(rollouts[0].id, verifier_by(by).identity, None, "4", "only 1 samples have an answer")
    made = verified(tmp_path, [unlabelled], [RolloutGroup(unlabelled.id, rollouts, [said])], by)
    assert [verdict.score for verdict in made] == [1.0, 0.0, 1.0, 1.0, 1.0]
    assert {verdict.margin for verdict in made} == {3 / 5}


def test_what_was_cut_off_has_no_vote(tmp_path: Path) -> None:
    by = {"name": "consensus", "equal": "number"}
    rollouts = [
        rollout(SUM, f"is {4 if seed < 4 else 5}", seed, "stop" if seed < 4 else "length") for seed in range(12)
    ]
    made = verified(tmp_path, [SUM], [RolloutGroup(SUM.id, rollouts, [])], by)
    assert [verdict.score for verdict in made] == [1.0] * 4 + [None] * 8
    assert [verdict.rollout_id for verdict in made] == [one.id for one in rollouts]
