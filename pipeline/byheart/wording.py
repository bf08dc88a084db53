"""What prompts and completions say, and when two of them say the same."""

from __future__ import annotations

from byheart.types import Prompt

BACK = "Wait, that is wrong.\n"
"""The mark by which a solution takes back the step before it; it can't be written without its first word."""


def goes_back(step: str) -> bool:
    """Whether this step takes back the one before it."""
    return step.lstrip().startswith(BACK.strip())


def said(text: Prompt) -> str:
    """The words of a prompt or a completion, without who says them."""
    return text if isinstance(text, str) else "\n".join(turn["content"] for turn in text)


def normalised(text: str) -> str:
    """What two texts share that read alike but for case and spacing."""
    return " ".join(text.casefold().split())
