"""The turns of a chat that asks a question: whose they may be, and that none of them gives the answer."""

from __future__ import annotations

from typing import Any

from byheart.text import text_of
from byheart.types import Message

ROLES = ("system", "developer", "user", "assistant", "tool")
"""The roles of chat templates. Which of them a model's own knows is looked at where the model is known."""


def messages(turns: list[Any]) -> list[Message]:
    """The messages that a cell holds. Raises ValueError where they are no chat that a policy can answer."""
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("role"), str):
            raise ValueError("a message of the prompt has no role or no content")
        if turn.get("tool_calls"):
            raise ValueError(f"a message of {turn['role']!r} has tool_calls, which are not asked; write them as text")
        if isinstance(turn.get("content"), list):
            raise ValueError(f"the content of a message of {turn['role']!r} is a list of parts; give it as text")
        if not isinstance(turn.get("content"), str):
            raise ValueError("a message of the prompt has no role or no content, as text")
    if wrong := unanswerable(turns):
        raise ValueError(f"the prompt {wrong}")
    return [Message(role=turn["role"], content=turn["content"]) for turn in turns]


def unanswerable(prompt: list[Message]) -> str | None:
    """Why a policy can't answer this chat, in words that follow "the prompt"; None where it can."""
    for turn in prompt:
        if turn["role"] not in ROLES:
            return f"has a message of {turn['role']!r}; the roles are {', '.join(ROLES[:-1])} and {ROLES[-1]}"
    if prompt[-1]["role"] == "assistant":
        return "ends with the assistant's message, so that it holds an answer; leave that out"
    return None if text_of(prompt).strip() else "has only empty messages"
