"""Problems of rows whose columns have any names; `file` and `hub` are made from it."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from byheart.tasks import rows, splits
from byheart.types import Message, Problem, Prompt

UNLABELLED = ("code", "consensus", "model_judge", "remote_judge")
"""The verifiers that need no gold answer; `code` has its tests, from the column `tests` among `meta_columns`."""


class Options(splits.Options):
    """A prompt is text or a list of chat messages; text is put as a user's message, or with `chat: false` as plain text
    for a base model. `id_column` and `meta_columns` are optional; a verifier finds in `meta_columns` what it needs
    besides the answer: `code` its `tests`, `choice` its `choices`."""

    finite: ClassVar[bool] = True

    prompt_column: str = "prompt"
    answer_column: str = "answer"
    id_column: str | None = None
    meta_columns: list[str] = Field(default=[])
    chat: bool = True


def problem(options: Options, row: rows.Row) -> Problem:
    """Raises ValueError where the row has no prompt, no answer, or no id."""
    answer = row.get(options.answer_column)
    if answer is None or str(answer).strip() == "":
        if options.verifier.name not in UNLABELLED:
            raise ValueError(f"no answer (column {options.answer_column!r}; it has {', '.join(row)})")
        answer = None
    prompt = _prompt(row.get(options.prompt_column), options)
    meta = {name: row.get(name) for name in options.meta_columns}
    made = Problem.of(prompt, None if answer is None else str(answer), options.verifier.name, meta)
    if options.id_column is None:
        return made
    if row.get(options.id_column) is None:
        raise ValueError(f"no id (column {options.id_column!r})")
    return Problem(str(row[options.id_column]), prompt, made.answer, made.verifier, meta)


def _prompt(value: Any, options: Options) -> Prompt:
    if isinstance(value, str) and value.strip():
        return splits.asked(value, options.chat)
    if isinstance(value, list) and value and options.chat:
        if all(
            isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
            for turn in value
        ):
            return [Message(role=turn["role"], content=turn["content"]) for turn in value]
        raise ValueError("a message of the prompt has no role or no content")
    if value and not isinstance(value, str):
        raise ValueError("the prompt is neither text nor chat messages (with task.chat=false: not text)")
    raise ValueError(f"no prompt (column {options.prompt_column!r})")
