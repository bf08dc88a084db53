"""Problems from a JSONL or Parquet file of the user's own: a prompt and an answer a row, by any column names."""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import Field
from typing_extensions import override

from byheart.errors import TaskError
from byheart.progress import console
from byheart.tasks.core import columns, rows
from byheart.types import Problem, digest


class FileTask(columns.ColumnsTask):
    """Problems from one file; all splits are taken from it."""

    path: str = Field(description="the file: .jsonl, .jsonl.gz or .parquet")

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        """The file's problems in an order that `seed` decides; repeated rows are skipped.

        Raises TaskError, with file and line, at a row that can't be used.
        """
        problems: list[tuple[str, Problem]] = []
        by_prompt: dict[str, tuple[Problem, str]] = {}
        ids: dict[str, str] = {}
        num_repeated = 0
        path = self._local()
        assert path, "it has no default"
        for where, row in self._columned(rows.read(path)):
            try:
                problem = self._problem(row)
            except ValueError as error:
                raise TaskError(f"{where}: {error}") from None
            key = digest(problem.prompt)
            if key in by_prompt:
                first, line = by_prompt[key]
                if first.answer != problem.answer:
                    raise TaskError(f"{where}: the same prompt has another answer at {line}; keep one of them")
                num_repeated += 1
                continue
            if problem.id in ids:
                raise TaskError(f"{where}: the id {problem.id!r} was used before, at {ids[problem.id]}")
            by_prompt[key], ids[problem.id] = (problem, where), where
            problems.append((where, problem))
        if not problems:
            raise TaskError(f"{self.path}: no problems in it")
        if num_repeated:
            console.print(f"{self.path}: {num_repeated} repeated rows are skipped")
        random.Random(seed).shuffle(problems)
        for where, problem in problems:
            yield self._readable(where, problem)
