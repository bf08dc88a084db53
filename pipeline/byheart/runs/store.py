"""A run at a URL, such as s3://bucket/runs/x: commands work on a copy of it, and send what is new after each round.

The store has the files of the run directory, and files.json: the size and the time of change of each, and the text of
those that say what is done. It is written when the others are there, so whoever reads the store gets the run as the
last whole send left it. A copy's files have the times on record, so what is new on either side is seen without reading
a file, and both sides know if the other has moved on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from byheart.errors import ByheartError, InputError, RunError
from byheart.files import read_json, write_json, write_text
from byheart.types import Record, digest

MANIFEST, ORIGIN, REPORT = "files.json", ".origin.json", "report.html"
LEFT_OUT = (MANIFEST, ".*", "*.part", "checkpoints-*", "merged", "published", "engine.log")
"""Files and directories that are not sent: they can be made again, or are incomplete while a command works."""
CLAIMS = ("recipe.yaml", "stages.json", "state.json")
"""Files that say that there is a run, or that a stage or a round is done. They are written last, in this order."""

Files = dict[str, tuple[int, int]]
"""Path within a run -> the file's size in bytes and time of change in nanoseconds (0: not known)."""


@dataclass(frozen=True, slots=True)
class Manifest(Record):
    """What a store has: its files, and the text of those in CLAIMS."""

    files: Files
    claims: dict[str, str]

    @property
    def version(self) -> str:
        """A name for this state of the store."""
        return digest(self.to_dict())


@dataclass(frozen=True, slots=True)
class Origin(Record):
    """Which store a run directory is a copy of, its `files` when both were last equal, and the `versions` of the store
    that it goes on from: two while it is being sent, none while it is being fetched."""

    url: str
    files: Files
    versions: list[str]


def local(where: str, new: bool = False) -> Path:
    """The directory of the run at `where`: the path itself, or for a URL a copy in the user's cache, see `pull`."""
    return pull(where, _cache("runs", where, where), new) if "://" in where else Path(where)


def pull(url: str, folder: Path, new: bool = False) -> Path:
    """Make `folder`, a new directory or a copy of the run at `url`, at least as new as that; it is left alone while a
    command works on it. Returns `folder`.

    Raises InputError where there is no run, unless it may be `new`; RunError where the store can't be reached, `folder`
    is no copy of it, or both have moved on.
    """
    with _connected(url) as (fs, root):
        manifest = _manifest(fs, root)
        if not (new or manifest.files or (folder / ORIGIN).exists()):
            raise InputError(f"{shown(url)}: there is no run")
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout), FileLock(folder / ".lock", timeout=0):
            _fetch(fs, root, manifest, url, folder)
    return folder


def send(folder: Path) -> None:
    """Send what is new in the run in `folder` to its store, if it has one. Raises RunError where that fails, or the
    store was changed by another process."""
    origin = _origin(folder)
    if origin is None:
        return
    files = _files(folder)
    changed, removed = _changed(origin.files, files), origin.files.keys() - files.keys()
    with _connected(origin.url) as (fs, root):
        version = _manifest(fs, root).version
        if version not in origin.versions:
            raise RunError(f"{shown(origin.url)} was modified by another process; local changes are kept in {folder}")
        if not (changed or removed):
            return
        claims = {path: (folder / path).read_text("utf-8") for path in files if PurePosixPath(path).name in CLAIMS}
        manifest = Manifest(files, claims)
        write_json(folder / ORIGIN, replace(origin, versions=[version, manifest.version]).to_dict())
        _put(fs, root, folder, [path for path in changed if path not in claims])
        fs.pipe_file(f"{root}/{MANIFEST}", json.dumps(manifest.to_dict()).encode())
        _put(fs, root, folder, [path for path in changed if path in claims])  # for whoever looks into the store
        for path in removed:
            with contextlib.suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{path}")
    write_json(folder / ORIGIN, Origin(origin.url, files, [manifest.version]).to_dict())


def adapter(url: str) -> Path:
    """A local copy of the adapter's directory at `url`; a new one if the files there have changed. Raises RunError
    where it can't be reached."""
    with _connected(url) as (fs, root):
        entries = fs.find(root, detail=True)
        wanted = {path: entries[path] for path in sorted(entries) if path.endswith((".json", ".safetensors", ".jinja"))}
        folder = _cache("adapters", url, f"{url} {wanted}")
        part = folder.with_suffix(".part")
        if not folder.is_dir():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            fs.get([*wanted], [str(part / path.removeprefix(f"{root}/")) for path in wanted])
            part.rename(folder)
    return folder


def name(url: str) -> str:
    """The last part of `url`, as the name of a file."""
    return re.sub(r"^\.+|[^\w.-]", "-", shown(url).rstrip("/").rpartition("/")[2])


def shown(text: str) -> str:
    """A URL, or a text with URLs, without the passwords in them."""
    return re.sub(r"://[^/\s]*@", "://", text)


def _fetch(fs: Any, root: str, manifest: Manifest, url: str, folder: Path) -> None:
    origin, files = _origin(folder), _files(folder)
    if origin.url != url if origin else files:
        raise RunError(f"{folder} is not a copy of {shown(url)}: name another folder, or move it away")
    if origin and manifest.version in origin.versions:
        return
    if files and not manifest.files:
        raise RunError(f"{shown(url)} has lost the run whose copy is {folder}: move that away to start over")
    moved = {path for path, _ in origin.files.items() ^ files.items()} if origin and origin.versions else set()
    if moved - {REPORT}:
        raise RunError(
            f"{shown(url)} was modified by another process, and so was the local copy, {folder} "
            f"({min(moved - {REPORT})}): name another --run-dir, or move that copy away to continue from the store"
        )
    write_json(folder / ORIGIN, Origin(url, {}, []).to_dict())
    for path in files.keys() - manifest.files.keys():
        (folder / path).unlink()
    for path in _changed(files, manifest.files):
        target, (_, changed) = folder / path, manifest.files[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        if path in manifest.claims:
            write_text(target, manifest.claims[path])
        else:
            part = target.with_name(f"{target.name}.part")
            fs.get_file(f"{root}/{path}", str(part))
            part.replace(target)
        if changed:
            os.utime(target, ns=(changed, changed))
    write_json(folder / ORIGIN, Origin(url, _files(folder), [manifest.version]).to_dict())


def _manifest(fs: Any, root: str) -> Manifest:
    """What files.json says, or the files that there are, as in a run that was copied to the store."""
    fs.invalidate_cache()
    try:
        manifest = Manifest.from_dict(json.loads(fs.cat_file(f"{root}/{MANIFEST}")))
    except (FileNotFoundError, ValueError):  # ValueError: an older version wrote it
        entries = fs.find(root, detail=True) if fs.exists(f"{root}/recipe.yaml") else {}
        sizes = {path.removeprefix(f"{root}/"): entry["size"] for path, entry in entries.items()}
        manifest = Manifest({path: (size, 0) for path, size in sizes.items() if _is_sent(path)}, {})
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in manifest.files):
        raise RunError(f"{root}/{MANIFEST} names files outside of the run")
    return manifest


def _files(folder: Path) -> Files:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    stats = {name: path.stat() for name, path in paths.items() if _is_sent(name)}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _changed(before: Files, now: Files) -> list[str]:
    """The paths that are new in `now` or not as they were, in the order in which to write them."""
    order = {claim: index for index, claim in enumerate(CLAIMS)}
    paths = {path for path, _ in now.items() - before.items()}
    return sorted(paths, key=lambda path: (order.get(PurePosixPath(path).name, -1), path))


def _is_sent(path: str) -> bool:
    return not any(fnmatch(part, pattern) for part in PurePosixPath(path).parts for pattern in LEFT_OUT)


def _put(fs: Any, root: str, folder: Path, paths: list[str]) -> None:
    fs.put([str(folder / path) for path in paths], [f"{root}/{path}" for path in paths])


def _origin(folder: Path) -> Origin | None:
    row = read_json(folder / ORIGIN, None)
    return Origin.from_dict(row) if row else None


def _cache(kind: str, url: str, what: str) -> Path:
    """The directory in the user's cache for what is at `url`, named by the hash of `what` it is."""
    return (
        user_cache_path("byheart") / kind / f"{name(url)}-{hashlib.sha256(what.rstrip('/').encode()).hexdigest()[:12]}"
    )


@contextlib.contextmanager
def _connected(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of `url`, and the path in it. Raises RunError where it fails."""
    from fsspec.core import url_to_fs

    try:
        try:
            fs, root = url_to_fs(url, **({"auto_mkdir": True} if url.startswith("file:") else {}))
        except ImportError as error:
            raise InputError(f"{shown(url)}: {error} ({sys.executable} -m pip install ...)") from None
        except ValueError as error:
            raise InputError(shown(f"{url}: {error}")) from None
        yield fs, root.rstrip("/")
    except ByheartError:
        raise
    except Exception as error:  # each file system has errors of its own
        why = shown(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        raise RunError(
            f"{shown(url)} refuses or can't be reached ({why}); check the name, your credentials for it and the network"
        ) from None
