"""Files that outlive whatever stops the process: journals, whole files, and a full disk said plainly."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import json
import os
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import yaml
from pydantic import ValidationError

from byheart.errors import RunError
from byheart.types import Record

R = TypeVar("R", bound=Record)

RESTORE = "put it back from a copy, or do its round again with --redo-from"
"""What to do where a file of a run is missing or torn."""


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
            last = max((int(path.stem.rpartition("-")[2]) for path in self._files()), default=-1)
            self._file = (self._folder / f"{self._name}-{last + 1:05d}.jsonl").open("x", encoding="utf-8")
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
        own = re.compile(rf"{re.escape(self._name)}-[0-9]{{5}}\.jsonl")  # and no copy of one that somebody made
        paths = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted(path for path in paths if own.fullmatch(path.name))


def read_records(path: Path, kind: type[R]) -> list[R]:
    """The records of a file that was written whole. Raises RunError where it is missing, or another version wrote them
    otherwise."""
    try:
        with path.open("rb") as lines:
            return [_record(kind, line, path, lines.tell() - len(line)) for line in lines]
    except FileNotFoundError:
        raise RunError(f"{path} is missing; {RESTORE}") from None


def read_record(path: Path, kind: type[R]) -> R:
    """The record of a file that was written whole and holds just one. Raises RunError where it does not."""
    records = read_records(path, kind)
    if len(records) != 1:
        raise RunError(f"{path} has {len(records)} lines, and one is wanted; {RESTORE}")
    return records[0]


def _record(kind: type[R], line: bytes, path: Path, start: int) -> R:
    """The record in `line`, which begins at the byte `start` of the file."""
    try:
        return kind.from_dict(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, RecursionError) as error:
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
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (b"\0" in line[:2] and any(line)):
        raise ValueError("it is UTF-16 text, and UTF-8 is wanted: iconv -f UTF-16 -t UTF-8 makes it that")
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_distinct)
        json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair can't be written again
    except UnicodeError as error:
        raise ValueError(f"it is not UTF-8 text ({error})") from None
    except _RepeatedKey:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None
    if not isinstance(row, dict):
        raise ValueError("a JSON object is wanted")
    return row


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is none of its numbers")


class _RepeatedKey(ValueError):
    """An object of JSON has a key twice; Python's reader would take its last value."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The JSON object with these keys and values. Raises _RepeatedKey."""
    row = dict(pairs)
    if len(row) < len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _RepeatedKey(f"the key {repeated!r} is there twice")
    return row


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 as a number and refuses a key that a mapping has twice, as YAML 1.2 does."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping that is read next. Raises yaml.MarkedYAMLError where it has a key twice."""
        mapping: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[Any, int] = {}
        for key, _ in mapping.value:
            if isinstance(key, yaml.ScalarNode):
                value = key.value if key.tag == "tag:yaml.org,2002:merge" else self.construct_object(key)
                if value in lines:
                    problem = f"the key {value!r} is there twice, first in line {lines[value]}"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                lines[value] = key.start_mark.line + 1
        return mapping


class _Dumper(yaml.SafeDumper):
    """Quotes a text that _Loader would take for a number."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def load_yaml(text: str) -> Any:
    """The value that `text`, YAML, says. Raises yaml.YAMLError, also where a mapping has a key twice."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except RecursionError as error:
        raise yaml.YAMLError(str(error)) from None
    except (ValueError, LookupError, AttributeError) as error:  # of a date that is none, or `!!int ""`
        raise yaml.YAMLError(f"a value is not what it is said to be: {error}") from None


def dump_yaml(value: Any) -> str:
    """`value` as YAML that load_yaml reads, its keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False)


def user_path(text: str) -> Path:
    """The path that the user wrote, with ~ for a home directory."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  # pathlib's raises for a user whom nobody knows


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def read_json(path: Path, default: Any) -> Any:
    """The JSON value in the file `path`; `default` where there is no such file. Raises RunError where it is torn."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return default
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is torn, or no JSON ({error}); {RESTORE}") from None


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
    """Turn the system's 'no space left', and that it may not be written here, into a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise RunError(
                f"{error.filename or folder}: it can't be written ({error.strerror}); name another place, or work on a "
                "copy where you may write"
            ) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise RunError(
            f"{folder}: no room left to write ({error.strerror}); all that was finished is kept: make room and run "
            "the same command again"
        ) from error
