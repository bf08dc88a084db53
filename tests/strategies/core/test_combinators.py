"""What strategies of several requests are made of."""

from typing import Any

import pytest
from byheart.strategies.core.combinators import joined, listed
from byheart.types import Completion


def completion(text: str, finish: Any = "stop", tokens: int = 2) -> Completion:
    return Completion(text, list(range(tokens)), finish, "base", 7)


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
