"""Problems from a JSONL or Parquet file of the user's own: a prompt and an answer a row, by any column names."""

from __future__ import annotations

import random
from collections.abc import Iterator

from byheart.errors import TaskError
from byheart.progress import console
from byheart.tasks import columns, rows
from byheart.types import Problem, digest


class Options(columns.Options):
    """`path` ends in .jsonl, .jsonl.gz or .parquet."""

    path: str


def problems(options: Options, seed: int) -> Iterator[Problem]:
    """The file's problems in an order that `seed` decides; a row that says the same again is passed over.

    Raises TaskError, with file and line, at a row that can't be used.
    """
    found: list[Problem] = []
    by_prompt: dict[str, tuple[Problem, str]] = {}
    ids: dict[str, str] = {}
    again = 0
    path = rows.local(options)
    assert path, "it has no default"
    for where, row in rows.read(path):
        try:
            problem = columns.problem(options, row)
        except ValueError as error:
            raise TaskError(f"{where}: {error}") from None
        mark = digest(problem.prompt)
        if mark in by_prompt:
            first, line = by_prompt[mark]
            if first.answer != problem.answer:
                raise TaskError(f"{where}: the same prompt has another answer at {line}; keep one of them")
            again += 1
            continue
        if problem.id in ids:
            raise TaskError(f"{where}: the id {problem.id!r} was used before, at {ids[problem.id]}")
        by_prompt[mark], ids[problem.id] = (problem, where), where
        found.append(problem)
    if not found:
        raise TaskError(f"{options.path}: no problems in it")
    if again:
        console.print(f"{options.path}: {again} rows say the same as one before and are passed over", markup=False)
    random.Random(seed).shuffle(found)
    yield from found
