"""Whether the right answer stands in a response that is not right."""

import pytest
from byheart.contracts import Verifier
from byheart.evaluation.mentions import mentions, parts
from byheart.types import Completion, FinishReason, Problem, Rollout
from byheart.verifiers.choice import Choice
from byheart.verifiers.code import Code
from byheart.verifiers.exact import Exact
from byheart.verifiers.number import Number
from byheart.verifiers.regex import Regex

from tests.conftest import verifier_by

SUM = Problem.of("What is 12 + 35?", "47", "number")
NO_SUM = Problem.of("What is 40 + 0?", "40", "number")
ANIMAL = Problem.of("Which animal says meow?", "cat", "exact")


def mentioned(
    response: str, problem: Problem = SUM, ends: FinishReason = "stop", by: Verifier | None = None
) -> bool | None:
    """None where it can't be told."""
    rollout = Rollout.of(problem, Completion(response, [1], ends, "base", 0), "greedy")
    return mentions([(problem, rollout)], verifier_by(by or Number())).get(problem.id)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("12 + 35 = 48", False),
        ("48", False),
        ("", False),
        ("I do not know.", False),
        ("12 + 35 = 47\n\nWhat is 13 + 14?\n13 + 14 = 27", True),  # goes on with a question of its own
        ("The answer is 47. Now what is 13 + 14? The answer is 27.", True),
        ("It is 47. As 12 is even and 35 is odd, it is odd, like 3.", True),
        ("The answer is 5 or 47.", False),  # it does not say which
        ("It is not 47. It is 48.", False),
        ("47? No, wait: 48.", False),  # taken back
        ("The answer is 47. No, that is wrong, it is 48.", False),
        (r"\boxed{47} Wait, that is wrong: \boxed{48}", False),
        (r"47? No, wait. I add again: \boxed{47} and so on, to \boxed{48}", True),
        ("First 12 + 30 = 42.\nThen 42 + 5 = 47, I guess.\nThe answer is 48.", False),  # on the way, under no mark
        ("12 + 35 = 47. The answer is 48.", False),  # what is marked is what it answers
        ("147", False),
        ("The answer is 47 apples and 12 pears.", False),
    ],
)
def test_of_a_complete_response_parts_are_judged_by_the_verifier(response: str, expected: bool) -> None:
    assert mentioned(response) is expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("The answer is 47, beca", True),
        ("12 + 35 = 47\nThe sum of", True),
        ("To add 12 and 35, first add 12 and", False),
        ("The answer is 47", False),  # which may become 470
        ("The answer is 47.", False),  # which may become 47.5
        ("The answer is 47.\n", True),
        ("47", False),
        ("", False),
    ],
)
def test_of_a_response_that_was_cut_off_the_last_word_does_not_count(response: str, expected: bool) -> None:
    assert mentioned(response, ends="length") is expected


@pytest.mark.parametrize("response", ["40 + 0 = 41", "40 + 0 is what we want.\nIt is 41.", "The answer is 40.\nOr 41."])
def test_an_answer_that_stands_in_the_question_does_not_count(response: str) -> None:
    assert not mentioned(response, NO_SUM)


def test_another_form_is_right_by_the_verifier_itself() -> None:
    assert mentioned("The answer is cat.", ANIMAL, by=Exact())
    assert mentioned("Cat.\nIt is a pet.", ANIMAL, by=Exact())
    assert not mentioned("It is a catfish.", ANIMAL, by=Exact())
    assert not mentioned("The answer is a dog, not a cat.", ANIMAL, by=Exact())
    letters = Problem.of("Which is a pet?\nA) cat\nB) oak", "A", "choice")
    assert mentioned("A.\nOr is it B?\nB.", letters, by=Choice()) is None  # every letter stands in the question
    assert mentioned("B.", letters, by=Choice()) is False


@pytest.mark.parametrize("verifier", [Regex(pattern="47"), Code()], ids=["regex", "code"])
def test_a_verifier_that_compares_no_answers_is_not_asked_about_parts(verifier: Verifier) -> None:
    assert mentioned("47\n48", by=verifier) is None


def test_nothing_is_asked_where_all_is_right() -> None:
    assert mentions([], verifier_by()) == {}


def test_parts_are_the_marked_texts_or_else_the_first_and_the_last() -> None:
    assert parts(r"It is \boxed{1}. The answer is 2. Yes.", cut_off=False) == ["2", "1"]
    assert parts("One. Two.\nThree.\nFour.", cut_off=False) == ["One", "One. Two.", "Four."]
    assert parts("One\nTwo thr", cut_off=True) == ["One", "Two", "One\nTwo"]
    assert parts(" \n", cut_off=False) == parts("word", cut_off=True) == []
