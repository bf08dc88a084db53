"""The regression corpus of maths answers: nothing wrong passes, and nearly everything right does.

A row of `math_corpus.jsonl` is a gold answer, a response, whether the response is right, the kind of difficulty, and
where the fact comes from. The labels are mathematics: where the verifier disagrees, the verifier is changed.
scripts/bench/verifiers.py holds bare math-verify against it on the same rows.
"""

import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Solver, Verify
from byheart.verifiers.math import Math

from tests.conftest import verifier_by

LINES = Path(__file__).with_name("math_corpus.jsonl").read_text(encoding="utf-8").splitlines()
ROWS: list[dict[str, Any]] = [json.loads(line) for line in LINES]


pytestmark = pytest.mark.corpus


def scores() -> list[float | None]:
    """Of every row, all of them asked at once of the workers that a run has."""
    scores: list[float | None] = []

    def asks() -> Solver:
        replies = yield [Verify(Problem.of("", row["gold"], "math"), [row["response"]]) for row in ROWS]
        scores.extend(verdict.score for [verdict] in replies)
        return []

    judge = verifier_by({"name": "math", "time_limit": 3.0})
    try:
        list(drive([(Problem.of("the corpus", None, "math"), asks())], None, judge))
    finally:
        judge.close()
    return scores


def test_nothing_wrong_passes_and_nearly_everything_right_does() -> None:
    judged = list(zip(ROWS, scores(), strict=True))
    passed = [row for row, score in judged if not row["right"] and score == 1.0]
    missed = [row for row, score in judged if row["right"] and score != 1.0]
    assert not passed, "\n".join(map(repr, passed))
    assert len(missed) <= 0.02 * sum(row["right"] for row in ROWS), "\n".join(map(repr, missed))


def test_every_gold_answer_can_be_read_and_fast_enough() -> None:
    golds = [Problem("", "", gold, "math") for gold in dict.fromkeys(row["gold"] for row in ROWS if row["right"])]
    math = Math()
    assert math.unreadable(golds[0]) is None  # and its libraries are loaded
    began = process_time()
    assert {problem.answer: reason for problem in golds if (reason := math.unreadable(problem))} == {}
    assert len(golds) / (process_time() - began) > 100
