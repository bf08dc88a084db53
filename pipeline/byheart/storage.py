"""A run at a URL, such as s3://bucket/runs/x: it is worked on in a copy here, and what is whole is brought back.

The store has the files of the run directory as they are, and beside them files.json, which says what is in each. That
tells what to send, what to fetch, and whether the store and the copy here have both been gone on with, in which case
neither is touched. What says that a stage or a round is done goes after what it speaks of, and state.json last of all,
so a store never claims a round that it does not have whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from byheart.errors import ByheartError, InputError, RunError

LEFT_OUT = (".*", "*.part", "checkpoints-*", "merged", "published", "engine.log")
"""Files and directories that stay here: they are made again, or are not whole while somebody works."""
FILES, REPORT, RECORD = "files.json", "report.html", ".store.json"
LAST = (FILES, "stages.json", "metrics.json", "state.json")

Files = dict[str, str]
"""Paths within a run, and the SHA-256 of what is in each."""


def local(where: str, new: bool = False) -> Path:
    """The directory of the run at `where`: that itself, or of a URL a copy here, which is as the store is or further.

    Raises InputError where there is no run, unless it may be `new`; RunError where the store can't be reached, or both
    it and the copy have been gone on with.
    """
    if "://" not in where:
        return Path(where)
    folder = _cache("runs", where, where)
    with _reached(where) as (fs, root):
        theirs = _held(fs, root)
        if not (new or theirs or (folder / "recipe.yaml").exists()):
            raise InputError(f"{where}: there is no run")
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout), FileLock(folder / ".lock", timeout=0):  # else it is being worked on
            _fetch(fs, root, where, folder, theirs)
    return folder


def send(folder: Path) -> None:
    """Bring what is new in the run in `folder` to its store, if it has one. Raises RunError where that fails, or
    somebody else has gone on with what is there."""
    record = _record(folder)
    if not record:
        return
    ours, before = _digests(folder), record["files"]
    with _reached(record["url"]) as (fs, root):
        theirs = _held(fs, root)
        if _name(theirs) not in record["seen"]:
            raise RunError(f"{record['url']} has been gone on with elsewhere; what was done here stays in {folder}")
        changed = [path for path in ours if ours[path] != before.get(path)]
        gone = [path for path in before if path not in ours]
        if not changed and not gone:
            return
        _note(folder, record | {"seen": [_name(theirs), _name(ours)]})
        if not fs.exists(f"{root}/{FILES}"):
            fs.pipe_file(f"{root}/{FILES}", json.dumps(theirs).encode())
        for path in sorted([*changed, FILES], key=_turn):
            if path == FILES:
                fs.pipe_file(f"{root}/{FILES}", json.dumps(ours, indent=1).encode())
            else:
                fs.put_file(str(folder / path), f"{root}/{path}")
        for path in gone:
            with contextlib.suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{path}")
        _note(folder, record | {"files": ours, "seen": [_name(ours)]})


def adapter(url: str) -> Path:
    """A copy here of the adapter's directory at `url`; another one if what is there has changed. Raises RunError where
    it can't be reached."""
    with _reached(url) as (fs, root):
        found = fs.find(root, detail=True)
        wanted = {path: found[path] for path in sorted(found) if path.endswith((".json", ".safetensors", ".jinja"))}
        folder = _cache("adapters", url, f"{url} {wanted}")
        part = folder.with_suffix(".part")
        if not folder.is_dir():
            shutil.rmtree(part, ignore_errors=True)
            for path in wanted:
                _get(fs, path, part / path.removeprefix(f"{root}/"))
            part.mkdir(parents=True, exist_ok=True)
            part.rename(folder)
    return folder


def _fetch(fs: Any, root: str, url: str, folder: Path, theirs: Files) -> None:
    record = _record(folder)
    if record and _name(theirs) in record["seen"]:
        return
    ours, before = _digests(folder), record.get("files", {})
    if before and not theirs:
        raise RunError(f"{url} has lost the run whose copy is {folder}: move that away to begin anew")
    moved = [path for path in ours | before if ours.get(path) not in (before.get(path), theirs.get(path))]
    if moved and moved != [REPORT]:
        raise RunError(
            f"{url} has been gone on with elsewhere, and so has the copy here, {folder} ({moved[0]}): name another "
            "--run-dir, or move that copy away to go on from the store"
        )
    for path in sorted(ours | theirs, key=_turn):
        if path not in theirs:
            (folder / path).unlink()
        elif theirs[path] != ours.get(path):
            try:
                _get(fs, f"{root}/{path}", folder / path)
            except FileNotFoundError:
                if not _turn(path):
                    raise
                # the send broke off before it said that this stage or round is done
    _note(folder, {"url": url, "files": _digests(folder), "seen": [_name(theirs)]})


def _held(fs: Any, root: str) -> Files:
    """What the store says it has; where it says nothing, what is there: somebody may have copied a run to it."""
    fs.invalidate_cache()
    try:
        found: Files = json.loads(fs.cat_file(f"{root}/{FILES}"))
    except FileNotFoundError:
        found = {}
        for path in fs.find(root) if fs.exists(f"{root}/recipe.yaml") else ():
            name = path.removeprefix(f"{root}/")
            if _whole(name):
                with fs.open(path, "rb") as file:
                    found[name] = _digest(file)
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in found):
        raise RunError(f"{root}/{FILES} names files outside of the run")
    return found


def _digests(folder: Path) -> Files:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if _whole(name) and path.is_file():
            with path.open("rb") as file:
                found[name] = _digest(file)
    return found


def _digest(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _name(files: Files) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _whole(path: str) -> bool:
    return not any(fnmatch(part, pattern) for part in PurePosixPath(path).parts for pattern in LEFT_OUT)


def _turn(path: str) -> int:
    name = PurePosixPath(path).name
    return LAST.index(name) + 1 if name in LAST else 0


def _get(fs: Any, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    fs.get_file(path, str(part))
    part.replace(target)


def _record(folder: Path) -> dict[str, Any]:
    """Of which store `folder` is a copy, its files when the two were last alike, and what files.json said then."""
    path = folder / RECORD
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def _note(folder: Path, record: dict[str, Any]) -> None:
    part = folder / f"{RECORD}.part"
    part.write_text(json.dumps(record), "utf-8")
    part.replace(folder / RECORD)


def _cache(kind: str, url: str, name: str) -> Path:
    last = "".join(one if one.isalnum() or one in "-_" else "-" for one in url.rstrip("/").rpartition("/")[2])
    return user_cache_path("byheart") / kind / f"{last}-{hashlib.sha256(name.rstrip('/').encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def _reached(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of `url`, and the path in it."""
    from fsspec.core import url_to_fs

    try:
        fs, root = url_to_fs(url, **({"auto_mkdir": True} if url.startswith("file:") else {}))
    except ImportError as error:
        raise InputError(f"{url}: {error} ({sys.executable} -m pip install ...)") from None
    except ValueError as error:
        raise InputError(f"{url}: {error}") from None
    try:
        yield fs, root.rstrip("/")
    except ByheartError:
        raise
    except Exception as error:  # each file system has its own
        said = " ".join(str(error).split())[:200]
        raise RunError(
            f"{url} refuses or can't be reached ({type(error).__name__}: {said}); look at its name, at your "
            "credentials for it, and at the network"
        ) from None
