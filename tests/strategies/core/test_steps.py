"""A text cut into steps is the same text, letter by letter and token by token."""

from typing import Any

import pytest
from byheart.models import chat, checkpoint
from byheart.strategies.core.steps import AGGREGATE, UNTIL, Kind, first, split
from byheart.types import Prompt
from hypothesis import given, settings
from hypothesis import strategies as st

KINDS: list[Kind] = ["line", "sentence", "marked", "statement"]
words = st.text(alphabet="ab1. \n\t()\"'#!?:=", max_size=60) | st.text(max_size=40)


@settings(deadline=None)
@given(words, st.sampled_from(KINDS))
def test_joined_steps_are_the_text(text: str, kind: Kind) -> None:
    steps = split(text, kind)
    assert "".join(steps) == text
    assert all(step.strip() for step in steps) or not text.strip()


@pytest.mark.parametrize(
    ("kind", "text", "steps"),
    [
        ("line", "a\nb\n\nc", ["a\n", "b\n\n", "c"]),
        ("sentence", "It is 4. Is it? Yes!", ["It is 4.", " Is it?", " Yes!"]),
        ("sentence", "1. Add 2.5 first\nThen stop.", ["1. Add 2.5 first\n", "Then stop."]),
        ("marked", "Step 1: a\nb\nStep 2: c", ["Step 1: a\nb\n", "Step 2: c"]),
        ("marked", "## Step 1\na\n## Step 2\nb", ["## Step 1\na\n", "## Step 2\nb"]),
        ("statement", "a = [1,\n 2]\nb = a", ["a = [1,\n 2]\n", "b = a"]),
        ("statement", "if a:\n    b = a\nc", ["if a:\n   ", " b = a\n", "c"]),
    ],
)
def test_what_a_step_is(kind: Kind, text: str, steps: list[str]) -> None:
    assert split(text, kind) == steps


@settings(deadline=None)
@given(words, st.sampled_from(KINDS))
def test_the_first_step_is_the_first_of_all(text: str, kind: Kind) -> None:
    step = first(text, kind)
    assert step is None or text.startswith(step)
    assert set(UNTIL) == set(KINDS)


@pytest.mark.parametrize(("kind", "text"), [("line", "a\n"), ("line", "a\nb"), ("statement", "if a:\n   ")])
def test_a_step_that_has_come_to_its_end_is_known(kind: Kind, text: str) -> None:
    assert first(text, kind) == text.rstrip("b")
    assert first(text.split("\n")[0], kind) is None


@pytest.mark.parametrize("chatting", [True, False])
@pytest.mark.torch
@pytest.mark.parametrize(("model", "apart"), [("tiny", "\n"), ("tiny_llama3", "\n"), ("tiny_llama3", ".\n\n")])
def test_the_tokens_of_the_steps_are_those_of_the_whole_answer(
    model: str, apart: str, chatting: bool, request: pytest.FixtureRequest
) -> None:
    words = checkpoint.tokenizer(request.getfixturevalue(model))
    prompt: Prompt = [{"role": "user", "content": "2 + 2"}] if chatting else "2 + 2 ="
    aligned(words, prompt, split(apart.join(["23 + 48 = 71", "71 + 17 = 88", "So it is 88."]), "line"))
    aligned(words, prompt, split("It is 23. Or is it 4? No!", "sentence"))
    aligned(words, prompt, split("def f(n):\n    for i in n:\n        if i:\n\treturn i\n    return n", "statement"))


def aligned(words: Any, prompt: Prompt, steps: list[str]) -> None:
    ids, ends = chat.encode_steps(words, prompt, steps)
    row = {"prompt": prompt, "completion": "".join(steps)}
    assert ids == chat.encode_example(words, row)["input_ids"][:-1]
    asked = chat.encode_prompt(words, prompt)
    for index, end in enumerate(ends):
        prefix = "".join(steps[: index + 1])
        assert words.decode(ids[len(asked) : end + 1]) == prefix
        assert ids[: end + 1] == chat.encode_prompt(words, prompt, prefix), "as an engine is asked about it"
    assert ends[-1] == len(ids) - 1


def test_values_make_one_number() -> None:
    values = [0.5, 0.2, 0.4]
    totals = {how: aggregate(values) for how, aggregate in AGGREGATE.items()}
    assert totals == pytest.approx({"min": 0.2, "max": 0.5, "sum": 1.1, "product": 0.04, "last": 0.4})
