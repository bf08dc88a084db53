"""Problems from a JSONL or Parquet file of the user's own: a prompt and an answer a row, by any column names."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from pipeline import registry
from pipeline.errors import TaskError
from pipeline.progress import console
from pipeline.tasks import splits
from pipeline.types import Message, Problem, Prompt, digest


class Options(splits.Options):
    """`path` ends in .jsonl or .parquet. A prompt is text or a list of chat messages; text is put as a user's message,
    or with `chat: false` as plain text for a base model. `id_column` and `meta_columns` are optional."""

    finite: ClassVar[bool] = True

    path: str
    verifier: str
    prompt_column: str = "prompt"
    answer_column: str = "answer"
    id_column: str | None = None
    meta_columns: list[str] = Field(default=[])
    chat: bool = True

    @field_validator("verifier")
    @classmethod
    def _known(cls, key: str) -> str:
        if key not in (known := registry.known("verifiers")):
            raise ValueError(f"there is no such verifier{registry.nearest(key, known)}; known: {', '.join(known)}")
        return key


def problems(options: Options, seed: int) -> Iterator[Problem]:
    """The file's problems in an order that `seed` decides; a row that says the same again is passed over.

    Raises TaskError, with file and line, at a row that can't be used.
    """
    found: list[Problem] = []
    by_prompt: dict[str, tuple[Problem, str]] = {}
    ids: dict[str, str] = {}
    again = 0
    for where, row in _rows(Path(options.path).expanduser()):
        problem = _problem(options, row, where)
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


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """('FILE, line N', row) for every row."""
    if not path.is_file():
        raise TaskError(f"task.path: no file {path}")
    if not os.access(path, os.R_OK):
        raise TaskError(f"task.path: {path} may not be read")
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet
        from pyarrow import ArrowInvalid

        try:
            rows = parquet.read_table(path).to_pylist()
        except (ArrowInvalid, OSError) as error:
            raise TaskError(f"{path}: not a readable Parquet file: {error}") from None
        yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))
    elif path.suffix == ".jsonl":
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line.decode("utf-8-sig"))
                    json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair can't be written again
                except UnicodeError as error:
                    raise TaskError(f"{path}, line {number}: not UTF-8 text: {error}") from None
                except ValueError as error:
                    raise TaskError(f"{path}, line {number}: not JSON: {error}") from None
                if not isinstance(row, dict):
                    raise TaskError(f"{path}, line {number}: a JSON object is wanted, with a prompt and an answer")
                yield f"{path}, line {number}", row
    else:
        raise TaskError(f"task.path: {path} is neither .jsonl nor .parquet")


def _problem(options: Options, row: dict[str, Any], where: str) -> Problem:
    answer = row.get(options.answer_column)
    if answer is None or str(answer).strip() == "":
        raise TaskError(f"{where}: no answer (column {options.answer_column!r}; it has {', '.join(row)})")
    prompt = _prompt(row.get(options.prompt_column), options, where)
    meta = {name: row.get(name) for name in options.meta_columns}
    problem = Problem.of(prompt, str(answer), options.verifier, meta)
    if options.id_column is None:
        return problem
    if row.get(options.id_column) is None:
        raise TaskError(f"{where}: no id (column {options.id_column!r})")
    return Problem(str(row[options.id_column]), prompt, str(answer), options.verifier, meta)


def _prompt(value: Any, options: Options, where: str) -> Prompt:
    if isinstance(value, str) and value.strip():
        return [Message(role="user", content=value)] if options.chat else value
    if isinstance(value, list) and value and options.chat:
        if all(
            isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
            for turn in value
        ):
            return [Message(role=turn["role"], content=turn["content"]) for turn in value]
        raise TaskError(f"{where}: a message of the prompt has no role or no content")
    if value and not isinstance(value, str):
        raise TaskError(f"{where}: the prompt is neither text nor chat messages (with task.chat=false: not text)")
    raise TaskError(f"{where}: no prompt (column {options.prompt_column!r})")
