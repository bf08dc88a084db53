"""Multiple-choice questions in the format of ARC and CommonsenseQA; the base of `arc` and `commonsense_qa`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import rows, splits
from byheart.types import Problem

COLUMNS = ("question", "choices", "answerKey")


class ChoiceTask(rows.DatasetTask):
    """Questions whose answer is the label of one of several choices."""

    _parts: ClassVar[tuple[str, ...]] = ("problem", "choices")

    prompt: str = Field(
        default="{problem}\n\n{choices}\n\nReply with the label of the right one.",
        description="template of the prompt: may use {problem} and {choices}, one a line; other braces are doubled",
    )
    verifier: Member[Verifier] = named("choice", "judges solutions; it measures every policy")

    @override
    def _problem(self, row: rows.Row) -> Problem:
        """The labels stay as they are: A to E, and 1 to 4 in a part of ARC."""
        choices = dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
        if row["answerKey"] not in choices:
            raise ValueError(f"the answer {row['answerKey']!r} is none of {', '.join(choices)}")
        lines = "\n".join(f"{label}. {text}" for label, text in choices.items())
        prompt = splits.as_prompt(self.prompt.format(problem=row["question"], choices=lines), self.chat)
        return Problem.of(prompt, row["answerKey"], self.verifier.name, {"choices": choices})
