"""Problems of rows whose columns have any names; the base of `file` and `hub`."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from typing_extensions import override

from byheart.tasks.core import rows, splits
from byheart.types import Message, Problem, Prompt


class ColumnsTask(rows.RowsTask):
    """A prompt is text or a list of chat messages. A verifier reads from the `meta_columns` what it needs besides the
    answer: `code` its `tests`, `choice` its `choices`."""

    prompt_column: str = Field(default="prompt", description="column of the prompt: text, or a list of chat messages")
    answer_column: str = Field(default="answer", description="column of the gold answer")
    id_column: str | None = Field(default=None, description="column of the problem's id; by default it is a hash")
    meta_columns: list[str] = Field(default=[], description="columns that a verifier needs besides the answer")
    chat: bool = Field(default=True, description="ask as a chat message; false: as plain text, for a base model")

    @override
    def _problem(self, row: rows.Row) -> Problem:
        answer = row.get(self.answer_column)
        if answer is None or str(answer).strip() == "":
            if self.verifier.requires_gold():
                raise ValueError(f"no answer (column {self.answer_column!r}; it has {', '.join(row)})")
            answer = None
        prompt = self._prompt(row.get(self.prompt_column))
        meta = {name: row.get(name) for name in self.meta_columns}
        problem = Problem.of(prompt, None if answer is None else str(answer), self.verifier.name, meta)
        if self.id_column is None:
            return problem
        if row.get(self.id_column) is None:
            raise ValueError(f"no id (column {self.id_column!r})")
        return Problem(str(row[self.id_column]), prompt, problem.answer, problem.verifier, meta)

    def _prompt(self, value: Any) -> Prompt:
        """The prompt in a row. Raises ValueError where `value` is neither text nor chat messages."""
        if isinstance(value, str) and value.strip():
            return splits.as_prompt(value, self.chat)
        if isinstance(value, list) and value and self.chat:
            if all(
                isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
                for turn in value
            ):
                return [Message(role=turn["role"], content=turn["content"]) for turn in value]
            raise ValueError("a message of the prompt has no role or no content")
        if value and not isinstance(value, str):
            raise ValueError("the prompt is neither text nor chat messages (with task.chat=false: not text)")
        raise ValueError(f"no prompt (column {self.prompt_column!r})")
