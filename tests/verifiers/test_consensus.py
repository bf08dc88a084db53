"""Agreement between samples, by value and not by letters, and silence where there is none."""

from typing import Any

import pytest
from byheart.contracts import Verifier
from byheart.errors import RecipeError
from byheart.types import Judgement, Problem
from byheart.verifiers.core import service

from tests.conftest import verdicts_by

UNLABELLED = Problem.of("2 + 2", None, "consensus")


def agreed(*responses: str, **options: Any) -> list[Judgement]:
    by = {"name": "consensus", "equal": "number"} | options
    return [verdict.judgement for verdict in verdicts_by(by, UNLABELLED, responses)]


def test_most_samples_are_right_and_the_margin_says_by_how_much() -> None:
    verdicts = agreed("4", "so 4.0", "5", "it is 4", "+4", "6")
    assert [verdict.score for verdict in verdicts] == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert {verdict.margin for verdict in verdicts} == {(4 - 1) / 6}
    assert "4 of 6 samples" in verdicts[2].reason


def test_what_has_no_answer_has_no_vote_and_is_wrong() -> None:
    assert [verdict.score for verdict in agreed("4", "4", "4", "4", "I don't know")] == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert agreed("4", "4", "4", "4", "I don't know")[0].margin == 1.0


def test_without_agreement_nothing_is_judged() -> None:
    assert [verdict.score for verdict in agreed("4", "4", "5", "5")] == [None] * 4
    assert [verdict.score for verdict in agreed("4", "4", "4", "5", "5", margin=0.5)] == [None] * 5


def test_too_few_samples_agree_on_nothing() -> None:
    assert [verdict.score for verdict in agreed("4", "4", "4")] == [None] * 3
    assert [verdict.score for verdict in agreed("4", "4", min_samples=2)] == [1.0, 1.0]
    assert [verdict.score for verdict in agreed("4")] == [None]
    assert agreed() == []


def test_it_never_looks_at_a_gold_answer() -> None:
    labelled = Problem.of("2 + 2", "5", "consensus")
    by = {"name": "consensus", "equal": "number"}
    assert [verdict.score for verdict in verdicts_by(by, labelled, ["4"] * 4 + ["5"])] == [1.0] * 4 + [0.0]


def test_what_differs_in_case_and_full_stops_only_is_one_vote() -> None:
    verdicts = agreed("Paris", "paris.", " PARIS", "Rome", equal="exact")
    assert [verdict.score for verdict in verdicts] == [1.0, 1.0, 1.0, 0.0]


def test_mathematics_agrees_by_value() -> None:
    halves = [r"\boxed{\frac{1}{2}}", "0.5", "$1/2$", "The answer is 2/4", r"\boxed{2}"]
    assert [verdict.score for verdict in agreed(*halves, equal="math")] == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_answers_to_a_problem_that_is_judged_by_its_meta_are_not_compared() -> None:
    with pytest.raises(RecipeError, match="'procedural' reads no answers"):
        service.check(Verifier.parse({"name": "consensus", "equal": "procedural"}))


def test_equality_needs_a_verifier_that_reads_answers() -> None:
    with pytest.raises(RecipeError, match="'code' reads no answers"):
        service.check(Verifier.parse({"name": "consensus", "equal": "code"}))
