"""Rows of a data set and the problems made of them: from a file, the hub, or a local copy of a data set of the hub."""

from __future__ import annotations

import gzip
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import Field, field_validator

from byheart.contracts import Task
from byheart.errors import TaskError
from byheart.files import read_row
from byheart.tasks.core import splits
from byheart.types import Problem

Row = dict[str, Any]
"""One row, by column."""

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
        for where, row in rows(hub, split, self._local()):
            for column in hub.columns:
                if row.get(column) in (None, "", []):
                    raise TaskError(f"{where}: nothing in column {column!r}; it has {', '.join(row)}")
            try:
                problems.append(self._problem(row))
            except ValueError as error:
                raise TaskError(f"{where}: {error}") from None
        if not problems:
            raise TaskError(f"{self.path or hub.dataset}: no problems in {split}")
        random.Random(seed).shuffle(problems)
        yield from problems

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


def rows(hub: Hub, split: str, path: Path | None) -> Iterator[tuple[str, Row]]:
    """(position, row) for every row of `split` ("a+b" for two), from the local copy in `path`, or else from the hub.
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


def read(path: Path) -> Iterator[tuple[str, Row]]:
    """("FILE, line N", row) for every row of a file. Raises TaskError, with the line, where it can't be read."""
    if not path.is_file():
        raise TaskError(f"task.path: {path} is not a file")
    if not os.access(path, os.R_OK):
        raise TaskError(f"task.path: {path} may not be read")
    if path.suffix == ".parquet":
        return _parquet(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _jsonl(path)
    raise TaskError(f"task.path: {path} is neither .jsonl (or .jsonl.gz) nor .parquet")


def _parquet(path: Path) -> Iterator[tuple[str, Row]]:
    import pyarrow.parquet as parquet
    from pyarrow import ArrowInvalid

    try:
        table = parquet.read_table(path).to_pylist()
    except (ArrowInvalid, OSError) as error:
        raise TaskError(f"{path}: not a readable Parquet file: {error}") from None
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(table, 1))


def _jsonl(path: Path) -> Iterator[tuple[str, Row]]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise TaskError(f"{path}: can't be read: {error}") from None
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"{path}, line {number}", read_row(line)
        except ValueError as error:
            raise TaskError(f"{path}, line {number}: {error}") from None


def _files(folder: Path, split: str, config: str | None) -> list[Path]:
    """The files of a split, in one part or several, named as on the hub or simply by the split."""
    named = re.compile(rf"{re.escape(split)}(-\d+-of-\d+)?\.(jsonl|parquet)")
    for directory in (folder / config if config else folder, folder, folder / "data"):
        if files := sorted(file for file in directory.glob("*") if named.fullmatch(file.name)):
            return files
    return []


def _wanted(hub: Hub) -> str:
    """The files that a local copy must have, for the message of an error."""
    part = f"{hub.config}/" if hub.config not in (None, "default") else ""
    names = " and ".join(f"{split}.jsonl" for split in hub.splits)
    columns = f" with the columns {', '.join(hub.columns)}" if hub.columns else ""
    return f"{names}{columns} (or .parquet, or {part}{hub.splits[0]}-00000-of-00001.parquet, as the hub names them)"


def _from_hub(hub: Hub, split: str) -> Iterator[tuple[str, Row]]:
    """Rows by way of `datasets` and its cache. One quick request says whether the hub can be reached; if not, the cache
    is used, and only if it is of the right revision."""
    import datasets

    reachable = _reachable(hub)
    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline or not reachable  # no slow retries: it looks in its cache at once
    try:
        data = datasets.load_dataset(hub.dataset, hub.config, split=split, revision=hub.revision)
    except (ConnectionError, FileNotFoundError, ValueError) as error:
        if reachable:
            raise TaskError(f"{hub.dataset}, split {split}: {' '.join(str(error).split())[:300]}") from None
        raise _out_of_reach(hub) from None
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
    cached = " ".join(file["filename"] for file in data.cache_files)
    if not reachable and re.fullmatch("[0-9a-f]{40}", hub.revision) and hub.revision not in cached:
        raise _out_of_reach(hub)
    yield from ((f"{hub.dataset}, {split}, row {number}", row) for number, row in enumerate(data, 1))


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
