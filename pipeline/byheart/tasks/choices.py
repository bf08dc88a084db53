"""Multiple-choice questions as ARC and CommonsenseQA write them down; `arc` and `commonsense_qa` are made from it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from byheart import recipe
from byheart.tasks import rows, splits
from byheart.types import Problem

COLUMNS = ("question", "choices", "answerKey")


class Options(rows.Options):
    """`prompt` may use {problem} and {choices}, a line for each."""

    parts: ClassVar[tuple[str, ...]] = ("problem", "choices")

    prompt: str = "{problem}\n\n{choices}\n\nReply with the label of the right one."
    verifier: recipe.choice("verifiers") = Field(default="choice", validate_default=True)  # type: ignore[valid-type]


def problem(options: Options, row: rows.Row) -> Problem:
    """The labels stay as they are: A to E, and 1 to 4 in some of ARC."""
    choices = dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
    if row["answerKey"] not in choices:
        raise ValueError(f"the answer {row['answerKey']!r} is none of {', '.join(choices)}")
    lines = "\n".join(f"{label}. {text}" for label, text in choices.items())
    prompt = splits.asked(options.prompt.format(problem=row["question"], choices=lines), options.chat)
    return Problem.of(prompt, row["answerKey"], options.verifier.name, {"choices": choices})
