"""The texts of prompts and completions, and when two of them are equal."""

from __future__ import annotations

from typing import Any

from byheart.types import Prompt

BACK = "Wait, that is wrong.\n"
"""The mark by which a solution takes back the step before it. Forbidding its first word forbids the mark."""


def goes_back(step: str) -> bool:
    """Whether this step takes back the one before it."""
    return step.lstrip().startswith(BACK.strip())


def text_of(text: Prompt) -> str:
    """The text of a prompt or a completion, without roles; the messages of a chat are joined by line breaks."""
    return text if isinstance(text, str) else "\n".join(turn["content"] for turn in text)


def wrong_prompt(prompt: Any) -> str | None:
    """What is wrong with a prompt, and what to give; None where it is a text or a list of messages, not empty."""
    if not (prompt.strip() if isinstance(prompt, str) else isinstance(prompt, list) and prompt):
        return f"{shown(prompt)}; give text, or a list of messages, that is not empty"
    for turn in [] if isinstance(prompt, str) else prompt:
        if not isinstance(turn, dict) or not all(isinstance(turn.get(key), str) for key in ("role", "content")):
            return f"a list with the message {shown(turn)}; give a dict whose role and content are text"
    return None


def shown(value: object) -> str:
    """`value`, shortened, and its type, for the message of an error."""
    return f"{value!r:.60} ({type(value).__name__})"


def normalised(text: str) -> str:
    """`text` case folded and with single spaces: equal for texts that differ in case and spacing only."""
    return " ".join(text.casefold().split())
