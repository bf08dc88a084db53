"""Problems of rows whose columns have any names; the base of `file` and `hub`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.errors import TaskError
from byheart.plugins import registry
from byheart.tasks.core import rows, splits, turns
from byheart.tasks.core.gold import gold
from byheart.types import Problem, Prompt


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
        answer = gold(row.get(self.answer_column))
        if answer is None and self.verifier.requires_gold():
            raise ValueError(f"no answer (column {self.answer_column!r}; it has {', '.join(row)})")
        prompt = self._prompt(row.get(self.prompt_column))
        meta = {name: row.get(name) for name in self.meta_columns}
        problem = Problem.of(prompt, answer, self.verifier.name, meta)
        try:
            problem.to_dict()
        except ValueError as error:
            raise ValueError(f"task.meta_columns: there is what JSON can't hold: {error}") from None
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
            return turns.messages(value)
        if value and not isinstance(value, str):
            raise ValueError("the prompt is neither text nor chat messages (with task.chat=false: not text)")
        raise ValueError(f"no prompt (column {self.prompt_column!r})")

    @override
    def _columned(self, located: Iterable[rows.Located]) -> Iterator[rows.Located]:
        """As they are. Raises TaskError at the end where none of them has one of the `meta_columns`; a row without one
        has nothing in it."""
        missing, columns = set(self.meta_columns), dict[str, None]()
        for where, row in located:
            missing -= row.keys()
            columns |= dict.fromkeys(row)
            yield where, row
        for name in self.meta_columns:
            if name in missing and columns:
                known = f"it has {', '.join(columns)}{registry.nearest(name, columns)}"
                raise TaskError(f"task.meta_columns: no column {name!r}; {known}")

    @override
    def _readable(self, where: str, problem: Problem) -> Problem:
        """Raises TaskError, with its row, where the verifier can't read the gold answer. In a published data set a few
        may be so (splits.check_gold)."""
        if reason := self.verifier.unreadable(problem):
            parts = (part for part in self.verifier.walk() if isinstance(part, Verifier))
            needed = [key for part in parts for key in part.needs_meta if key not in problem.meta]
            if needed:
                raise TaskError(
                    f"{where}: {reason}; name the column of its {' and '.join(needed)} in task.meta_columns"
                )
            if self.source() is None:
                raise TaskError(f"{where}: {reason}; correct it, leave the row out, or take another verifier")
        return problem
