"""The times tables: each fact once, 7 x 8 and 8 x 7 apart."""

from typing import Any

import pytest
from byheart.config import recipe
from byheart.errors import RecipeError
from byheart.tasks.times_table import TimesTable
from byheart.types import Problem


def facts(seed: int = 0, **rest: Any) -> list[Problem]:
    return list(TimesTable(**rest).problems(seed))


def test_all_facts_from_2_to_12_are_there_once_and_right() -> None:
    found = facts()
    assert len(found) == 121
    assert {(one.meta["a"], one.meta["b"]) for one in found} == {(a, b) for a in range(2, 13) for b in range(2, 13)}
    assert all(one.answer == str(one.meta["a"] * one.meta["b"]) for one in found)
    assert {one.verifier for one in found} == {"number"}
    assert len({one.id for one in found}) == 121


def test_the_prompt_asks_for_its_fact() -> None:
    for one in facts():
        assert not isinstance(one.prompt, str)
        assert one.prompt[0]["role"] == "user"
        assert f"{one.meta['a']} times {one.meta['b']}?" in one.prompt[0]["content"]
    assert {
        one.prompt for one in facts(chat=False, prompt="{a}*{b}", low=2, high=3) if isinstance(one.prompt, str)
    } == {
        "2*2",
        "2*3",
        "3*2",
        "3*3",
    }


def test_the_seed_decides_the_order_and_only_that() -> None:
    assert facts(3) == facts(3)
    assert facts(3) != facts(4)
    assert {one.id for one in facts(3)} == {one.id for one in facts(4)}


def test_the_numbers_are_from_low_to_high_both_inclusive() -> None:
    assert sorted(one.meta["a"] for one in facts(low=0, high=1)) == [0, 0, 1, 1]


def test_a_prompt_with_an_unknown_place_is_refused_with_the_recipe() -> None:
    task = {"name": "times_table", "prompt": "What is {a} times {c}?"}
    with pytest.raises(RecipeError, match=r"task.*prompt"):
        recipe.parse({"name": "t", "model": {"name": "m"}, "task": task})


def test_a_chat_has_a_worked_solution_and_plain_text_the_answer_alone() -> None:
    assert all(fact.solution == f"{fact.meta['a']} * {fact.meta['b']} = {fact.answer}" for fact in facts())
    assert all(fact.solution == fact.answer for fact in facts(chat=False))
