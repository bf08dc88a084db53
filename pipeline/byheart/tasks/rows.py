"""Rows of a data set, and problems made of them: from a file, from a hub, or from a local copy of what the hub has."""

from __future__ import annotations

import gzip
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import field_validator

from byheart.errors import TaskError
from byheart.files import read_row
from byheart.tasks import splits
from byheart.types import Problem

Row = dict[str, Any]
Make = Callable[[Any, Row], Problem]
"""Makes the problem of a row, given the task's options. Raises ValueError where it can't."""

HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub's answer to whether it is there."""


class Hub(NamedTuple):
    """A data set on the hub at one revision, the columns that each of its rows must have, and the splits that a local
    copy must have to serve instead."""

    dataset: str
    revision: str
    columns: tuple[str, ...] = ()
    config: str | None = None
    splits: tuple[str, ...] = ("train", "test")


class Options(splits.Options):
    """`path` is a local copy to use instead of the hub: a directory with a file for each split, or one file for all
    splits. `prompt` says what is asked, with the task's names in braces and every other brace doubled; `chat: false`
    asks it as plain text, for a base model."""

    finite: ClassVar[bool] = True
    parts: ClassVar[tuple[str, ...]] = ("problem",)
    """The names that `prompt` may use."""

    path: str | None = None
    prompt: str
    chat: bool = True

    @field_validator("prompt")
    @classmethod
    def _sound(cls, template: str) -> str:
        splits.check_template(template, **dict.fromkeys(cls.parts, ""))
        return template


def problems(hub: Hub, split: str, options: Any, seed: int, make: Make) -> Iterator[Problem]:
    """The problems of `split` ("a+b" for two) in an order that `seed` decides.

    Raises TaskError where the rows can't be had, and, with the row's place, at one that can't be used.
    """
    found = []
    for where, row in rows(hub, split, local(options)):
        for column in hub.columns:
            if row.get(column) in (None, "", []):
                raise TaskError(f"{where}: nothing in column {column!r}; it has {', '.join(row)}")
        try:
            found.append(make(options, row))
        except ValueError as error:
            raise TaskError(f"{where}: {error}") from None
    if not found:
        raise TaskError(f"{options.path or hub.dataset}: no problems in {split}")
    random.Random(seed).shuffle(found)
    yield from found


def held_out(hub: Hub, split: str, options: Any, seed: int, make: Make) -> Iterator[Problem] | None:
    """The problems of the official test split; None where `path` is one file, out of which all splits are taken."""
    path = local(options)
    if path and path.is_file():
        return None
    return problems(hub, split, options, seed, make)


def local(options: Any) -> Path | None:
    """Where `options.path` is; None where it is not given. Raises TaskError where it does not exist."""
    if options.path is None:
        return None
    path: Path | None = options.locate(options.path)
    if path is None:
        raise TaskError(f"task.path: no file {options.path}; looked for {options.places(options.path)}")
    return path


def rows(hub: Hub, split: str, path: Path | None) -> Iterator[tuple[str, Row]]:
    """('where it is', row) for every row of `split`, from the local copy in `path` or else from the hub."""
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
    """('FILE, line N', row) for every row of a file. Raises TaskError, with the line, where it is none."""
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
    """The files of a split, one or several parts, named as the hub's or simply by the split."""
    named = re.compile(rf"{re.escape(split)}(-\d+-of-\d+)?\.(jsonl|parquet)")
    for place in (folder / config if config else folder, folder, folder / "data"):
        found = sorted(file for file in place.glob("*") if named.fullmatch(file.name))
        if found:
            return found
    return []


def _wanted(hub: Hub) -> str:
    """The files of a local copy, in words."""
    part = f"{hub.config}/" if hub.config not in (None, "default") else ""
    names = " and ".join(f"{split}.jsonl" for split in hub.splits)
    columns = f" with the columns {', '.join(hub.columns)}" if hub.columns else ""
    return f"{names}{columns} (or .parquet, or {part}{hub.splits[0]}-00000-of-00001.parquet, as the hub names them)"


def _from_hub(hub: Hub, split: str) -> Iterator[tuple[str, Row]]:
    """Rows by way of `datasets` and its cache. One quick question says whether the hub is there; where it is not, what
    was loaded before is loaded again, and only if it is of the right revision."""
    import datasets

    there = _reachable(hub)
    offline = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline or not there  # so that it looks in its cache, and does not try for long
    try:
        data = datasets.load_dataset(hub.dataset, hub.config, split=split, revision=hub.revision)
    except (ConnectionError, FileNotFoundError, ValueError) as error:
        if there:
            raise TaskError(f"{hub.dataset}, split {split}: {' '.join(str(error).split())[:300]}") from None
        raise _out_of_reach(hub) from None
    finally:
        datasets.config.HF_HUB_OFFLINE = offline
    cached = " ".join(file["filename"] for file in data.cache_files)
    if not there and re.fullmatch("[0-9a-f]{40}", hub.revision) and hub.revision not in cached:
        raise _out_of_reach(hub)
    yield from ((f"{hub.dataset}, {split}, row {number}", row) for number, row in enumerate(data, 1))


def _reachable(hub: Hub) -> bool:
    """Raises TaskError where the hub is there and refuses: no such data set or revision, or a gated one."""
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
        raise TaskError(f"{hub.dataset} wants its terms accepted on its hub page first, then `hf auth login`") from None
    except RevisionNotFoundError:
        raise TaskError(f"{hub.dataset}: the hub has no revision {hub.revision}") from None
    except RepositoryNotFoundError:
        raise TaskError(f"the hub has no data set {hub.dataset}, or it is private and wants `hf auth login`") from None
    except (OfflineModeIsEnabled, HTTPError, OSError):
        return False
    return True


def _out_of_reach(hub: Hub) -> TaskError:
    return TaskError(
        f"{hub.dataset} at {hub.revision} is not on this machine and the hub can't be reached; name a local copy with "
        f"task.path=FOLDER, a directory that has {_wanted(hub)}"
    )
