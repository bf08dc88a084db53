"""Files that outlive whatever stops the process: journals, whole files, and a full disk said plainly."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import yaml
from pydantic import ValidationError

from byheart.errors import RunError
from byheart.types import Record

R = TypeVar("R", bound=Record)


class Records(Sequence[R]):
    """The records in some files, a line each, read from there whenever they are asked for: only where they are is in
    memory. What follows the last line break of a file is torn, and no record."""

    def __init__(self, kind: type[R], paths: Sequence[Path], places: Iterable[tuple[int, int]] | None = None) -> None:
        """`places`: of each record the index of its file in `paths`, and where in that its line begins (bytes); by
        default those of all records, in their order."""
        self._kind, self._paths = kind, paths
        self._files, self._starts = array("L"), array("Q")
        for file, start in _places(paths) if places is None else places:
            self._files.append(file)
            self._starts.append(start)

    def at(self, indices: Iterable[int]) -> Records[R]:
        """The records at these indices, in this order."""
        return Records(self._kind, self._paths, ((self._files[index], self._starts[index]) for index in indices))

    def __len__(self) -> int:
        """The number of records."""
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...
    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        """The record at `index`, or those of a slice. Raises RunError where another version wrote them otherwise."""
        indices = range(len(self))[index]
        return next(self._read([indices])) if isinstance(indices, int) else list(self._read(indices))

    def __iter__(self) -> Iterator[R]:
        """The records, one at a time."""
        return self._read(range(len(self)))

    def _read(self, indices: Iterable[int]) -> Iterator[R]:
        for number, part in groupby(indices, key=self._files.__getitem__):
            path = self._paths[number]
            with path.open("rb") as file:
                for index in part:
                    start = file.seek(self._starts[index])
                    yield _record(self._kind, file.readline(), path, start)


def _places(paths: Iterable[Path]) -> Iterator[tuple[int, int]]:
    for number, path in enumerate(paths):
        with path.open("rb") as lines:
            start = 0
            for line in lines:
                if line.endswith(b"\n"):
                    yield number, start
                start += len(line)


class Journal(Generic[R]):
    """Records appended a line at a time. Each process appends to a file of its own, so a torn line stays harmless."""

    def __init__(self, folder: Path, name: str, kind: type[R]) -> None:
        """Its files are NAME-00000.jsonl and so on in `folder`; the first record makes the folder."""
        self._folder, self._name, self._kind = folder, name, kind
        self._file: Any = None

    def read(self) -> list[R]:
        """Every whole record, in the order in which they were written."""
        return list(self.records())

    def records(self) -> Records[R]:
        """As `read`, but each is read only when it is asked for."""
        return Records(self._kind, self._files())

    def append(self, record: R) -> None:
        """Write one record. Raises RunError where there is no room left."""
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = (self._folder / f"{self._name}-{len(self._files()):05d}.jsonl").open("x", encoding="utf-8")
        with room(self._folder):
            self._file.write(json.dumps(record.to_dict(), ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Sync what was appended to disk. The next record opens a new file."""
        if self._file:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._name}-*.jsonl"))


def read_records(path: Path, kind: type[R]) -> list[R]:
    """The records of a file that was written whole. Raises RunError where another version wrote them otherwise."""
    with path.open("rb") as lines:
        return [_record(kind, line, path, lines.tell() - len(line)) for line in lines]


def _record(kind: type[R], line: bytes, path: Path, start: int) -> R:
    """The record in `line`, which begins at the byte `start` of the file."""
    try:
        return kind.from_dict(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except ValueError as error:
        why = f"not JSON ({error})"
    number = path.read_bytes().count(b"\n", 0, start) + 1
    raise RunError(
        f"{path}, line {number}: not a {kind.__name__} of this version of byheart ({why}); the version that wrote it "
        "can read it"
    )


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write `records` as JSON Lines, as `write_text` does."""
    write_text(path, "".join(json.dumps(record.to_dict(), ensure_ascii=False) + "\n" for record in records))


def read_row(line: bytes) -> dict[str, Any]:
    """The JSON object in a line of somebody's JSONL file. Raises ValueError saying what it is instead."""
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse)
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair can't be written again
    except UnicodeError as error:
        raise ValueError(f"it is not UTF-8 text ({error})") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(row, dict):
        raise ValueError("a JSON object is wanted")
    return row


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is none of its numbers")


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number, as YAML 1.2 does."""


class _Dumper(yaml.SafeDumper):
    """Quotes a text that _Loader would take for a number."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def load_yaml(text: str) -> Any:
    """The value that `text`, YAML, says. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)  # a SafeLoader


def dump_yaml(value: Any) -> str:
    """`value` as YAML that load_yaml reads, its keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def read_json(path: Path, default: Any) -> Any:
    """The JSON value in the file `path`; `default` where there is no such file."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return default


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, as `write_text` does."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Beside its place, synced, then renamed: a reader sees the old file or the new one, whole."""
    part = path.with_name(path.name + ".part")
    try:
        with room(path.parent), part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def room(folder: Path) -> Iterator[None]:
    """Turn the system's 'no space left' into a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise RunError(
            f"{folder}: no room left to write ({error.strerror}); all that was finished is kept: make room and run "
            "the same command again"
        ) from error
