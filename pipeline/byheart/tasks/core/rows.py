"""Rows of a data set and the problems made of them: from a file, the hub, or a local copy of a data set of the hub."""

from __future__ import annotations

import gzip
import os
import random
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import Field, field_validator
from typing_extensions import override

from byheart.contracts import Task
from byheart.errors import TaskError
from byheart.files import read_row
from byheart.tasks.core import splits
from byheart.types import Problem

Row = Mapping[str, Any]
"""One row, by column."""

Located = tuple[str, Row]
"""A row, and its position for the message of an error: "FILE, line N"."""

HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub's answer when it is asked whether it can be reached."""


class Hub(NamedTuple):
    """A data set on the hub at one revision: the columns that each of its rows must have, and the splits that a local
    copy must have to be used instead."""

    dataset: str
    revision: str
    columns: tuple[str, ...] = ()
    config: str | None = None
    splits: tuple[str, ...] = ("train", "test")


class RowsTask(Task):
    """Base of tasks whose problems are the rows of a data set. A member has `_problem`, and calls `_shuffled` and
    `_official` for its splits."""

    finite: ClassVar[bool] = True

    path: str | None = Field(
        default=None,
        description="local copy to read instead of the hub: a directory with a file per split, or one file for all",
    )

    def _problem(self, row: Row) -> Problem:
        """The problem of a row. Raises ValueError where the row can't be used."""
        raise NotImplementedError

    def _shuffled(self, hub: Hub, split: str, seed: int) -> Iterator[Problem]:
        """The problems of `split` ("a+b" for two) in an order that `seed` decides.

        Raises TaskError where the rows can't be had, and, with its position, for a row that can't be used.
        """
        problems = []
        for where, row in self._columned(rows(hub, split, self._local())):
            for column in hub.columns:
                if row.get(column) in (None, "", []):
                    raise TaskError(f"{where}: nothing in column {column!r}; it has {', '.join(row)}")
            try:
                problems.append((where, self._problem(row)))
            except ValueError as error:
                raise TaskError(f"{where}: {error}") from None
        if not problems:
            raise TaskError(f"{self.path or hub.dataset}: no problems in {split}")
        random.Random(seed).shuffle(problems)
        for where, problem in problems:
            yield self._readable(where, problem)

    def _columned(self, located: Iterable[Located]) -> Iterator[Located]:
        """The rows as they are. Raises TaskError where they lack a column."""
        yield from located

    def _readable(self, where: str, problem: Problem) -> Problem:
        """The problem as it is, when it is asked for. Raises TaskError where its gold answer can't be read."""
        return problem

    def _official(self, hub: Hub, split: str, seed: int) -> Iterator[Problem] | None:
        """The problems of the official test split; None where `path` is one file, from which all splits are taken."""
        path = self._local()
        return None if path and path.is_file() else self._shuffled(hub, split, seed)

    def _local(self) -> Path | None:
        """The location of `path`, None without one. Raises TaskError where it does not exist."""
        if self.path is None:
            return None
        path = self.locate(self.path)
        if path is None:
            raise TaskError(f"task.path: no file {self.path}; looked for {self.places(self.path)}")
        return path


class DatasetTask(RowsTask):
    """Base of tasks of one public data set, whose prompts are made by a template."""

    _parts: ClassVar[tuple[str, ...]] = ("problem",)
    """The names that `prompt` may use."""

    prompt: str = Field(description="template of the prompt: may use {problem}; every other brace is doubled")
    chat: bool = Field(default=True, description="ask as a chat message; false: as plain text, for a base model")

    @field_validator("prompt")
    @classmethod
    def _sound(cls, template: str) -> str:
        splits.check_template(template, **dict.fromkeys(cls._parts, ""))
        return template


def rows(hub: Hub, split: str, path: Path | None) -> Iterator[Located]:
    """Every row of `split` ("a+b" for two), from the local copy in `path`, or else from the hub.
    Raises TaskError where they can't be had."""
    if path is None:
        yield from _from_hub(hub, split)
        return
    if path.is_file():
        yield from read(path)
        return
    for part in split.split("+"):
        files = _files(path, part, hub.config)
        if not files:
            raise TaskError(f"task.path: {path} has not all of {_wanted(hub)}")
        for file in files:
            yield from read(file)


def read(path: Path) -> Iterator[Located]:
    """Every row of a file. Raises TaskError, with the line, where it can't be read."""
    if not path.is_file():
        raise TaskError(f"task.path: {path} is not a file")
    if not os.access(path, os.R_OK):
        raise TaskError(f"task.path: {path} may not be read")
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _jsonl(path)
    raise TaskError(f"task.path: {path} is neither .jsonl (or .jsonl.gz) nor .parquet")


Cells = Callable[[int], Any]
"""Decodes the cell of a column in a row, numbered from 0."""


class _Decoded(Row):
    """A row of a table, decoded cell by cell as it is asked for: what nobody asks for may be broken."""

    def __init__(self, where: str, index: int, names: Sequence[str], column: Callable[[str], Cells]) -> None:
        """`where` is the row's position, `index` its number from 0; `column` gives a column by its name."""
        self._where, self._index, self._names, self._column = where, index, names, column

    @override
    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        try:
            return self._column(name)(self._index)
        except (ArithmeticError, ValueError) as error:
            raise TaskError(f"{self._where}: column {name!r} can't be read: {_line(error)}") from None

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    @override
    def __len__(self) -> int:
        return len(self._names)


def _parquet(path: Path) -> Iterator[Located]:
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    try:
        file = parquet.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise TaskError(f"{path}: not a readable Parquet file: {_line(error)}") from None

    def column(name: str) -> Cells:
        try:
            return _cells(file.read(columns=[name])[name])
        except (ArrowException, LookupError, OSError) as error:
            raise TaskError(f"{path}: column {name!r} can't be read: {_line(error)}") from None

    yield from _decoded(f"{path}, row", file.metadata.num_rows, file.schema_arrow.names, column)


def _decoded(where: str, size: int, names: Sequence[str], column: Callable[[str], Cells]) -> Iterator[Located]:
    """The `size` rows of a table, each column of which is read once, when it is asked for first."""
    column = cache(column)
    for index in range(size):
        position = f"{where} {index + 1}"
        yield position, _Decoded(position, index, names, column)


def _cells(column: Any) -> Cells:
    """Decodes the cells of a column of Arrow's."""
    import pyarrow

    if pyarrow.types.is_float32(column.type):  # in 64 bits 0.1 would be 0.10000000149011612
        column = column.cast(pyarrow.string()).cast(pyarrow.float64())
    return lambda index: column[index].as_py()


def _jsonl(path: Path) -> Iterator[Located]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise TaskError(f"{path}: can't be read: {error}") from None
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{path}, line {number}", read_row(line)
        except ValueError as error:
            raise TaskError(f"{path}, line {number}: {error}") from None


def _files(folder: Path, split: str, config: str | None) -> list[Path]:
    """The files of a split, in one part or several, named as on the hub today, as it named them once, with a hash, or
    simply by the split. Raises TaskError where a part is missing."""
    for directory in (folder / config if config else folder, folder, folder / "data"):
        names = sorted(file.name for file in directory.iterdir()) if directory.is_dir() else []
        for ending in (r"\.(?:jsonl|parquet)", r"(?:-[0-9a-f]{16})?\.(?:jsonl|jsonl\.gz|parquet)"):
            named = re.compile(rf"{re.escape(split)}(?:-(\d+)-of-(\d+))?{ending}")
            if parts := list(filter(None, map(named.fullmatch, names))):
                _check_whole(directory, split, parts)
                return [directory / part[0] for part in parts]
    return []


def _check_whole(folder: Path, split: str, parts: Iterable[re.Match[str]]) -> None:
    """Raises TaskError where one of the `parts` of a split is missing: they count from 0, or from 1."""
    present: dict[str, set[int]] = {}
    for number, total in (part.groups() for part in parts if part[1]):
        present.setdefault(total, set()).add(int(number))
    for total, numbers in present.items():
        first = int(int(total) in numbers)
        for number in range(first, first + int(total)):
            if number not in numbers:
                part = f"{split}-{number:0{len(total)}}-of-{total}"
                raise TaskError(
                    f"task.path: {folder} has no {part}, a part of its split {split}; put it there, or move the other "
                    "parts away"
                )


def _wanted(hub: Hub) -> str:
    """The files that a local copy must have, for the message of an error."""
    part = f"{hub.config}/" if hub.config not in (None, "default") else ""
    names = " and ".join(f"{split}.jsonl" for split in hub.splits)
    columns = f" with the columns {', '.join(hub.columns)}" if hub.columns else ""
    return f"{names}{columns} (or .parquet, or {part}{hub.splits[0]}-00000-of-00001.parquet, as the hub names them)"


def _from_hub(hub: Hub, split: str) -> Iterator[Located]:
    """Rows by way of `datasets` and its cache. One quick request says whether the hub can be reached; if not, the cache
    is used, and only if it is of the right revision."""
    import datasets

    reachable = _reachable(hub)
    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline or not reachable  # no slow retries: it looks in its cache at once
    try:
        data = datasets.load_dataset(hub.dataset, hub.config, split=split, revision=hub.revision)
    except Exception as error:  # whatever its reader of this kind of file, or of a script, raises
        if isinstance(error, ConnectionError | FileNotFoundError | ValueError) and not reachable:
            raise _out_of_reach(hub) from None
        cause: BaseException = error
        while cause.__cause__ is not None:  # it says which file, and what is wrong there
            cause = cause.__cause__
        raise TaskError(f"{hub.dataset}, split {split}: {_line(cause)}") from None
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
    cached = " ".join(file["filename"] for file in data.cache_files)
    if not reachable and re.fullmatch("[0-9a-f]{40}", hub.revision) and hub.revision not in cached:
        raise _out_of_reach(hub)

    def column(name: str) -> Cells:
        rows = data.select_columns([name])
        if isinstance(data.features[name], datasets.Value):
            return _cells(rows.with_format("arrow")[:][name])
        return lambda index: rows[index][name]  # as its kind of column decodes it

    yield from _decoded(f"{hub.dataset}, {split}, row", len(data), data.column_names, column)


def _line(error: BaseException) -> str:
    """What a library says, in one line."""
    return " ".join(str(error).split())[:300]


def _reachable(hub: Hub) -> bool:
    """Whether the hub can be reached. Raises TaskError where it refuses: no such data set or revision, or a gated
    one."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        HfApi().dataset_info(hub.dataset, revision=hub.revision, timeout=HUB_TIMEOUT)
    except HFValidationError as error:
        raise TaskError(f"task.dataset: {error}") from None
    except GatedRepoError:
        raise TaskError(f"{hub.dataset} is gated: accept its terms on its hub page, then `hf auth login`") from None
    except RevisionNotFoundError:
        raise TaskError(f"{hub.dataset}: the hub has no revision {hub.revision}") from None
    except RepositoryNotFoundError:
        raise TaskError(f"the hub has no data set {hub.dataset}, or it is private and needs `hf auth login`") from None
    except (OfflineModeIsEnabled, HTTPError, OSError):
        return False
    return True


def _out_of_reach(hub: Hub) -> TaskError:
    return TaskError(
        f"{hub.dataset} at {hub.revision} is not on this machine and the hub can't be reached; name a local copy with "
        f"task.path=FOLDER, a directory that has {_wanted(hub)}"
    )
