"""Worked examples in the teacher's prompt."""

from typing import Any, Literal

import pytest
from byheart.config import recipe
from byheart.errors import RecipeError
from byheart.strategies.few_shot import FewShot
from byheart.types import Generate, Message, Problem, Retrieve, WorkedExample

from tests.fakes import attempts, in_turn, saying

CHAT = Problem.of([{"role": "user", "content": "What is 2 + 2?"}], "4", "number")
TEXT = Problem.of("2 + 2 =", "4", "number")
GIVEN = [{"prompt": f"{a} + 1 =", "response": f"{a + 1}"} for a in range(1, 9)]


def asked_of(problem: Problem, known: list[WorkedExample] | None = None, **rest: Any) -> Generate:
    """The first thing that the engine is asked, where the run knows these examples and is asked only if it does."""

    def retrieve(request: Retrieve) -> list[WorkedExample]:
        assert known is not None, "the run is not to be asked"
        assert (request.problem, request.n) == (problem, rest.get("shots", 4))
        return known[: request.n]

    engine = saying(lambda _: "4")
    attempts(problem, engine, {"name": "few_shot"} | rest, retrieve=retrieve)
    first = engine.taken[0]
    assert isinstance(first, Generate)
    return first


def turn(role: str, content: str) -> Message:
    return Message(role=role, content=content)


def test_in_a_chat_the_examples_are_earlier_turns() -> None:
    request = asked_of(CHAT, examples=GIVEN[:1], shots=1)
    assert request.prompt == [turn("user", "1 + 1 ="), turn("assistant", "2"), turn("user", "What is 2 + 2?")]
    assert request.stop == ()


def test_what_the_system_says_comes_first_and_once() -> None:
    system = turn("system", "Be brief.")
    problem = Problem.of([system, turn("user", "2 + 2?")], "4", "number")
    known = [WorkedExample([system, turn("user", "3 + 3?")], "6")]
    request = asked_of(problem, known, source="own", shots=1)
    assert request.prompt == [system, turn("user", "3 + 3?"), turn("assistant", "6"), turn("user", "2 + 2?")]


def test_in_plain_text_they_are_blocks_and_a_blank_line_ends_the_answer() -> None:
    request = asked_of(TEXT, examples=GIVEN[:1], shots=1)
    assert request.prompt == "1 + 1 = 2\n\n2 + 2 ="
    assert request.stop == ("\n\n",)


@pytest.mark.parametrize(
    ("prompt", "response", "shown"),
    [("1 + 1 =", " 2", "1 + 1 = 2"), ("1 + 1\n", "2\n", "1 + 1\n2"), ("1 + 1:", "one\n \nmore", "1 + 1: one\nmore")],
)
def test_a_block_has_one_space_before_its_response_and_no_blank_line_in_it(
    prompt: str, response: str, shown: str
) -> None:
    request = asked_of(TEXT, examples=[{"prompt": prompt, "response": response}], shots=1)
    assert request.prompt == f"{shown}\n\n2 + 2 ="


def test_what_the_run_found_is_shown_as_it_was_written() -> None:
    request = asked_of(TEXT, [WorkedExample("2 * (3 + 1) = (", "8)")], source="own", shots=1)
    assert request.prompt == "2 * (3 + 1) = (8)\n\n2 + 2 ="


def test_the_same_problem_is_shown_the_same_examples_and_another_one_others() -> None:
    problems = [Problem.of(f"{a} + {a} =", str(a + a), "number") for a in range(20)]
    shown = [
        str(asked_of(problem, examples=GIVEN, shots=3).prompt).removesuffix(f"{problem.prompt}") for problem in problems
    ]
    again = [
        str(asked_of(problem, examples=GIVEN, shots=3).prompt).removesuffix(f"{problem.prompt}") for problem in problems
    ]
    assert again == shown
    assert len(set(shown)) > 10
    assert {text.count("\n\n") for text in shown} == {3}


def test_the_nearest_given_ones_are_shown() -> None:
    given = [{"prompt": text, "response": "x"} for text in ("7 - 5 =", "9 * 3 =", "2 + 9 =")]
    assert asked_of(TEXT, examples=given, shots=1, choose="nearest").prompt == "2 + 9 = x\n\n2 + 2 ="


@pytest.mark.parametrize(("choose", "nearest"), [("seed", False), ("nearest", True)])
def test_the_run_is_asked_for_what_the_recipe_says(choose: Literal["seed", "nearest"], nearest: bool) -> None:
    [request] = next(FewShot(source="own", shots=2, choose=choose).solve(TEXT))
    assert request == Retrieve(TEXT, 2, nearest)


def test_given_examples_fill_up_while_the_run_knows_too_few() -> None:
    known = [WorkedExample("3 + 3 =", " 6"), WorkedExample("4 + 4 =", " 8")]
    rest: dict[str, Any] = {"source": "own", "examples": GIVEN[:1], "shots": 2}
    assert asked_of(TEXT, [], **rest).prompt == "1 + 1 = 2\n\n2 + 2 ="
    assert asked_of(TEXT, known[:1], **rest).prompt == "1 + 1 = 2\n\n3 + 3 = 6\n\n2 + 2 ="
    assert asked_of(TEXT, known, **rest).prompt == "3 + 3 = 6\n\n4 + 4 = 8\n\n2 + 2 ="


def test_before_anything_is_known_the_problem_stands_alone() -> None:
    assert asked_of(TEXT, [], source="own").prompt == "2 + 2 ="


def test_examples_are_put_to_the_teacher_as_the_problem_is() -> None:
    request = asked_of(TEXT, examples=GIVEN[:1], shots=1, prompt="Q: {problem}\nA:")
    assert request.prompt == "Q: 1 + 1 =\nA: 2\n\nQ: 2 + 2 =\nA:"


def test_it_tries_as_direct_does_and_the_student_sees_the_bare_problem() -> None:
    tries = {"samples": 2, "enough": 1, "max_samples": 3, "temperature": 0.5, "max_tokens": 7}
    engine = in_turn("5", "6", "4")
    ended = attempts(CHAT, engine, {"name": "few_shot", "examples": GIVEN[:1], "shots": 1} | tries)
    assert [(request.n, request.temperature, request.max_tokens) for request in engine.taken] == [
        (2, 0.5, 7),
        (1, 0.5, 7),
    ]
    assert [rollout.response for rollout in ended.rollouts] == ["5", "6", "4"]
    assert {rollout.strategy for rollout in ended.rollouts} == {"few_shot"}
    assert all(rollout.prompt == CHAT.prompt for rollout in ended.rollouts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "source: given needs examples.*or say source: own"),
        ({"examples": GIVEN[:2], "shots": 3}, "shots: 3 are more than the examples given, 2"),
        ({"examples": [{"prompt": "x", "answer": "y"}], "shots": 1}, "response is missing"),
    ],
)
def test_a_recipe_is_told_what_examples_it_lacks(options: dict[str, Any], message: str) -> None:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
    with pytest.raises(RecipeError, match=message):
        recipe.parse(raw | {"strategy": {"name": "few_shot", **options}})


def test_a_recipe_holds_its_examples() -> None:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
    made = recipe.parse(raw | {"strategy": {"name": "few_shot", "examples": GIVEN[:2], "shots": 2}})
    next(made.strategy.solve(TEXT))  # what it remembers is no part of it
    assert recipe.parse(made.resolved()) == made
    assert made.resolved()["strategy"]["examples"] == GIVEN[:2]
