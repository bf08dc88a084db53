"""A chat ends with what is asked, in roles that chat templates know."""

from typing import Any

import pytest
from byheart.tasks.core.turns import messages

SYSTEM, USER, ASSISTANT = ({"role": role, "content": f"by {role}"} for role in ("system", "user", "assistant"))
TOOL = {"role": "tool", "content": "4"}


@pytest.mark.parametrize(
    "turns",
    [
        [USER],
        [SYSTEM, USER],
        [USER, ASSISTANT, USER],
        [SYSTEM, USER, ASSISTANT, TOOL],
        [{**USER, "name": "Jan", "tool_calls": None}],
        [SYSTEM],
        [SYSTEM | {"role": "developer"}, USER],
        [SYSTEM | {"content": ""}, USER],
        [USER, ASSISTANT, TOOL | {"content": ""}],
    ],
)
def test_a_chat_that_ends_with_a_question_is_asked(turns: list[Any]) -> None:
    assert messages(turns) == [{"role": turn["role"], "content": turn["content"]} for turn in turns]


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([USER, ASSISTANT], "ends with the assistant's message, so that it holds an answer"),
        ([SYSTEM, USER, ASSISTANT, USER, ASSISTANT], "ends with the assistant's message"),
        ([ASSISTANT], "ends with the assistant's message"),
        *(
            ([{"role": role, "content": "?"}], f"has a message of '{role}'; the roles are system, developer, user, ass")
            for role in ("human", "gpt", "bot", "Function", "User", "Assistant ", "")
        ),
        ([{"role": "human", "content": "?"}, USER], "has a message of 'human'"),
        ([USER | {"content": ""}], "has only empty messages"),
        ([SYSTEM | {"content": " \n"}, USER | {"content": ""}], "has only empty messages"),
        (
            [USER | {"content": [{"type": "image"}, {"type": "text", "text": "?"}]}],
            "of 'user' is a list of parts; give",
        ),
        (
            [USER, ASSISTANT | {"content": "", "tool_calls": [{"id": "1"}]}, TOOL],
            "of 'assistant' has tool_calls, which",
        ),
        ([USER, ASSISTANT | {"content": None, "tool_calls": [{"id": "1"}]}, TOOL], "has tool_calls"),
        ([USER | {"content": None}], "no role or no content"),
        ([{"from": "human", "value": "?"}], "no role or no content"),
    ],
)
def test_a_chat_that_holds_an_answer_or_asks_nothing_is_refused(turns: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        messages(turns)
