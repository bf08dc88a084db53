"""Trying again and again."""

from typing import Any

import pytest
from byheart.strategies.direct import Direct
from byheart.types import Completion, Generate, Problem, Rollout, replace

from tests.fakes import attempts, in_turn

PROBLEM = Problem.of("2 + 2", "4", "number")


def played(texts: list[str], **rest: Any) -> tuple[list[Generate], list[Rollout]]:
    """What the strategy asked the engine for, and what it returned, where `texts` are the engine's answers in turn."""
    engine = in_turn(*texts)
    rollouts = attempts(PROBLEM, engine, {"name": "direct"} | rest).rollouts
    return engine.taken, rollouts


@pytest.mark.parametrize("text", ["{problem:>9}", "{problem!r}", "{problem!z}", "{problem:{problem}}", "{problem:d}"])
def test_a_prompt_puts_the_problem_as_it_is(text: str) -> None:
    with pytest.raises(ValueError, match="braces hold a name alone"):
        Direct(prompt=text)


def test_it_stops_as_soon_as_enough_different_right_answers_are_there() -> None:
    asked, rollouts = played(["5", "a 4", "4", "9", "x", "y"], samples=2, enough=2, max_samples=6)
    assert [request.n for request in asked] == [2, 2]
    assert [rollout.response for rollout in rollouts] == ["5", "a 4", "4", "9"]


def test_the_same_right_answer_again_does_not_count() -> None:
    asked, rollouts = played(["is  4", "is 4", "is\n4", "so 4"], samples=1, enough=2, max_samples=8)
    assert len(asked) == len(rollouts) == 4


def test_a_hard_problem_goes_on_until_the_cap() -> None:
    asked, rollouts = played(["5"] * 7, samples=3, enough=1, max_samples=7)
    assert [request.n for request in asked] == [3, 3, 1]
    assert len(rollouts) == 7


def test_patience_ends_where_several_times_in_a_row_brought_nothing_new_that_is_right() -> None:
    texts = ["a 4", "5", "b 4", "a 4", "B  4", "5", "c 4", "d 4"]
    asked, _ = played(texts, samples=2, enough=9, max_samples=20, patience=1)
    assert [request.n for request in asked] == [2, 2, 2]  # the third time repeats what is known
    asked, _ = played([*texts, "5", "5", "5", "a 4"], samples=2, enough=9, max_samples=20, patience=2)
    assert len(asked) == 6
    asked, _ = played(["5"] * 8, samples=2, enough=9, max_samples=20, patience=3)
    assert len(asked) == 3


def test_the_cap_holds_though_more_samples_are_asked_for_at_a_time() -> None:
    asked, _ = played(["5"] * 3, samples=8, max_samples=3)
    assert [request.n for request in asked] == [3]


def test_a_greedy_answer_is_asked_for_once() -> None:
    asked, rollouts = played(["5"], samples=1, max_samples=1, temperature=0)
    assert [(request.n, request.temperature) for request in asked] == [(1, 0)]
    assert [rollout.response for rollout in rollouts] == ["5"]


def test_the_engine_is_asked_as_the_options_say() -> None:
    [request], _ = played(["4"], samples=1, enough=1, temperature=0.3, top_p=0.9, max_tokens=7)
    assert replace(request, seed=0) == Generate(PROBLEM.prompt, n=1, temperature=0.3, top_p=0.9, max_tokens=7)


def test_of_several_temperatures_the_first_stands_where_nothing_was_tuned() -> None:
    asked, _ = played(["5", "5"], samples=1, max_samples=2, temperature=[0.4, 0.9])
    assert [request.temperature for request in asked] == [0.4, 0.4]


def test_a_rollout_says_what_was_asked_and_answered() -> None:
    [request], [rollout] = played(["is 4"], samples=1, enough=1)
    assert rollout == Rollout.of(PROBLEM, Completion("is 4", [0, 1, 2], "stop", "base", request.seed), "direct")
