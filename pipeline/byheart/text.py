"""The texts of prompts and completions: when two of them are equal, and how they are shown."""

from __future__ import annotations

from typing import Any
from unicodedata import category

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


HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that steer what shows them: control and format characters, halves of surrogate pairs, and
Unicode's own line and paragraph ends."""

WRITTEN = "\n\t\u200c\u200d"
"""Those of them that texts need: two joiners of letters are Persian's and Hindi's, and emojis'."""


def visible(text: str) -> str:
    """`text` with what steers a terminal or a page, such as the codes that clear the screen or turn the direction of
    writing, made visible by the escapes of JSON: JSON text stays what it was."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in WRITTEN or category(character) not in HIDDEN:
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
