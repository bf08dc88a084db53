"""The texts of prompts and completions, and when two of them are equal."""

from __future__ import annotations

from byheart.types import Prompt

BACK = "Wait, that is wrong.\n"
"""The mark by which a solution takes back the step before it. Forbidding its first word forbids the mark."""


def goes_back(step: str) -> bool:
    """Whether this step takes back the one before it."""
    return step.lstrip().startswith(BACK.strip())


def text_of(text: Prompt) -> str:
    """The text of a prompt or a completion, without roles; the messages of a chat are joined by line breaks."""
    return text if isinstance(text, str) else "\n".join(turn["content"] for turn in text)


def normalised(text: str) -> str:
    """`text` case folded and with single spaces: equal for texts that differ in case and spacing only."""
    return " ".join(text.casefold().split())
