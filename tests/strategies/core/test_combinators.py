"""What strategies of several requests are made of."""

from typing import Any

import pytest
from byheart.strategies.core.combinators import Work, joined, listed, together
from byheart.strategies.core.driver import drive
from byheart.types import Completion, Generate, Rollout, RolloutGroup, Solver

from tests.conftest import verifier_by
from tests.fakes import PLAIN, FakeEngine, saying


def completion(text: str, finish: Any = "stop", tokens: int = 2) -> Completion:
    return Completion(text, list(range(tokens)), finish, "base", 7)


def asks(name: str, *turns: int) -> Work[str]:
    """Makes so many requests each turn, and checks that the replies are to its own."""
    for turn, count in enumerate(turns):
        requests = [Generate(f"{name} {turn} {index}") for index in range(count)]
        replies = yield requests
        assert [reply[0].text for reply in replies] == [request.prompt for request in requests]
    return name


def test_parts_side_by_side_ask_in_one_yield_and_each_gets_its_own_replies() -> None:
    engine = saying(lambda prompt: prompt)
    ended = side_by_side(engine, asks("a", 1, 2), asks("b"), asks("c", 2), asks("d", 1, 0, 1))
    assert engine.prompts == [["a 0 0", "c 0 0", "c 0 1", "d 0 0"], ["a 1 0", "a 1 1"], ["d 2 0"]]
    assert [rollout.response for rollout in ended.rollouts] == ["a", "b", "c", "d"]


def echoed(name: str, *prompts: str) -> Work[str]:
    """Asks for one thing after the other, of an engine that repeats the prompt."""
    for prompt in prompts:
        [[made]] = yield [Generate(f"{name} {prompt}")]
        assert made.text == f"{name} {prompt}"
    return name


def choosy() -> FakeEngine:
    return saying(lambda prompt: prompt, refuses="too long")


def side_by_side(engine: FakeEngine, *works: Work[str]) -> RolloutGroup:
    def solve() -> Solver:
        ended = yield from together(works)
        return [Rollout.of(PLAIN, completion(text), "test") for text in ended]

    verifier = verifier_by()
    [ended] = drive([(PLAIN, solve())], engine, verifier)
    verifier.close()
    return ended


def test_a_part_with_a_prompt_that_is_refused_is_dropped_and_the_others_go_on() -> None:
    ended = side_by_side(
        choosy(),
        echoed("a", "1", "2"),
        echoed("b", "too long"),
        echoed("c", "1", "too long", "2"),
        echoed("d", "1", "2", "3"),
    )
    assert ([rollout.response for rollout in ended.rollouts], ended.failure) == (["a", "d"], None)


def test_where_all_parts_are_refused_so_is_the_problem() -> None:
    assert side_by_side(choosy(), echoed("a", "too long"), echoed("b", "1", "too long")).failure == "too long"


@pytest.mark.parametrize(
    ("written", "items"),
    [
        ("Sure:\n1. How many?\n2) What is left?\n\n 3: Why?\n(4) Who?", ["How many?", "What is left?", "Why?", "Who?"]),
        ("- one?\n* two?\n• three?", ["one?", "two?", "three?"]),
        ("**1.** one?\n2. **two?**\nQuestion 3: three?\nQ4: four?", ["one?", "two?", "three?", "four?"]),
        ("1. again?\n2. again?\n3. \n4.", ["again?"]),
        ("10. ten?", ["ten?"]),
        ("It is 4.", []),
        ("1.5 apples\n2 + 2 = 4\n-4 is it\n---", []),
        ("", []),
    ],
)
def test_a_list_is_read_as_models_write_it(written: str, items: list[str]) -> None:
    assert listed(completion(written), 9) == items


def test_of_a_list_at_most_so_many_items_are_taken_and_none_that_was_cut_off() -> None:
    assert listed(completion("1. a?\n2. b?\n3. c?"), 2) == ["a?", "b?"]
    assert listed(completion("1. a?\n2. b", "length"), 2) == ["a?"]


def test_parts_are_joined_with_all_their_tokens_and_cut_off_where_one_is() -> None:
    whole = joined([completion(" a", tokens=3), completion("b", tokens=4)])
    assert (whole.text, len(whole.tokens), whole.finish_reason, whole.seed) == (" a\n\nb", 7, "stop", 7)
    assert joined([completion("a", "length"), completion("b")]).finish_reason == "length"
