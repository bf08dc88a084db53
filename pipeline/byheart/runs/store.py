"""A run at a URL, such as s3://bucket/runs/x: commands work on a copy of it, and send what is new after each round.

The store has the files of the run directory, and files.json: the size and the time of change of each, and the text of
those that say what is done. Before files are overwritten, files.json loses them and what says that they are done; when
all are there, it is written anew. So whoever reads the store gets the run as the last whole send left it, or less of
it, but never old records with new weights. What is new on either side is seen without reading a file, and both sides
know if the other has moved on.

A run that was copied to the store has no files.json before the first send: its files are known by size, and by time
where the file system tells it (SFTP and FTP do not: a change there that keeps the size is not seen).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

from platformdirs import user_cache_path

from byheart.errors import ByheartError, InputError, RunError
from byheart.files import read_json, user_path, write_json, write_text
from byheart.runs.lock import held
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


UNREADABLE = Manifest({}, {MANIFEST: "cut short"})
"""Stands for a files.json that was not written to its end."""


@dataclass(frozen=True, slots=True)
class Origin(Record):
    """Which store a run directory is a copy of: when both were last equal, its files as they were here (`files`) and as
    the store listed them (`listed`); and the `versions` of the store that it goes on from: several while it is being
    sent, none while it is being fetched."""

    url: str
    files: Files
    listed: Files
    versions: list[str]


def local(where: str, new: bool = False) -> Path:
    """The directory of the run at `where`: the path itself, or for a URL a copy in the user's cache, see `pull`. Raises
    InputError where the path is a file."""
    if "://" in where:
        return pull(where, _cache("runs", where, _place(where)), new)
    folder = user_path(where)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, and a run is a directory; name another")
    return folder


def pull(url: str, folder: Path, new: bool = False) -> Path:
    """Make `folder`, a new directory or a copy of the run at `url`, at least as new as that; it is left alone while a
    command works on it. Returns `folder`.

    Raises InputError where there is no run, unless it may be `new`; RunError where the store can't be reached or read,
    `folder` is no copy of it, or both have moved on.
    """
    with _connected(url) as (fs, root):
        manifest = _manifest(fs, root, _origin(folder))
        if not (new or manifest.files or (folder / ORIGIN).exists()):
            raise InputError(f"{shown(url)}: there is no run")
        folder.mkdir(parents=True, exist_ok=True)
        if lock := held(folder):
            try:
                _fetch(fs, root, manifest, url, folder)
            finally:
                lock.release()
    return folder


def send(folder: Path) -> None:
    """Send what is new in the run in `folder` to its store, if it has one. Raises RunError where that fails, the store
    was changed by another process, or the copy is only partly fetched."""
    origin = _origin(folder)
    if origin is None:
        return
    url = shown(origin.url)
    if not origin.versions:
        raise RunError(f"{folder} is only partly fetched: run `byheart pull {url} {quote(str(folder))}` again")
    here = _files(folder)
    files = {path: origin.listed[path] if stat == origin.files.get(path) else stat for path, stat in here.items()}
    with _connected(origin.url) as (fs, root):
        before = _manifest(fs, root, origin)
        if before.version not in origin.versions:
            raise RunError(
                f"{url} was modified by another process; local changes are kept in {folder} (if there are none, "
                "`byheart pull` brings it up to date)"
            )
        if before.files == files and len(origin.versions) == 1:
            return
        claims = {path: (folder / path).read_text("utf-8") for path in files if PurePosixPath(path).name in CLAIMS}
        after = Manifest(files, claims)
        data = [path for path in sorted(files.keys() - claims.keys()) if before.files.get(path) != files[path]]
        during = UNREADABLE if before == UNREADABLE else _without(before, before.files.keys() & {*data})
        versions = [before.version, during.version, after.version, UNREADABLE.version]
        _write_origin(folder, replace(origin, versions=versions))
        if during != UNREADABLE:
            fs.pipe_file(f"{root}/{MANIFEST}", json.dumps(during.to_dict()).encode())
        _put(fs, root, folder, data)
        fs.pipe_file(f"{root}/{MANIFEST}", json.dumps(after.to_dict()).encode())
        # For whoever looks into the store:
        _put(fs, root, folder, [path for path in _ordered(claims) if origin.listed.get(path) != files[path]])
        for path in (before.files.keys() | origin.files.keys()) - files.keys():
            with contextlib.suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{path}")
    _write_origin(folder, Origin(origin.url, here, files, [after.version]))


def adapter(url: str) -> Path:
    """A local copy of the adapter's directory at `url`; a new one if the files there have changed. Raises RunError
    where it can't be reached."""
    with _connected(url) as (fs, root):
        entries = fs.find(root, detail=True)
        wanted = {path: entries[path] for path in sorted(entries) if path.endswith((".json", ".safetensors", ".jinja"))}
        folder = _cache("adapters", url, f"{url} {wanted}")
        part = folder.with_name(f"{folder.name}.part")
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
    return re.sub(r"://([^/\s]*|[^/\s:]*:(?!\d+/)\S*)@", "://", text)


def _place(url: str) -> str:
    """What two URLs of one run have in common."""
    return shown(url).rstrip("/")


def _fetch(fs: Any, root: str, manifest: Manifest, url: str, folder: Path) -> None:
    origin, files = _origin(folder), _files(folder)
    if _place(origin.url) != _place(url) if origin else files:
        raise RunError(f"{folder} is not a copy of {shown(url)}: name another folder, or move it away")
    origin = replace(origin, url=url) if origin else Origin(url, {}, {}, [])
    if manifest.version in origin.versions:
        _write_origin(folder, origin)
        return
    if files and not manifest.files:
        raise RunError(f"{shown(url)} has lost the run whose copy is {folder}: move that away to start over")
    moved = {path for path, _ in origin.files.items() ^ files.items()} if origin.versions else set()
    if moved - {REPORT}:
        raise RunError(
            f"{shown(url)} was modified by another process, and so was the local copy, {folder} "
            f"({min(moved - {REPORT})}): name another --run-dir, or move that copy away to continue from the store"
        )
    _write_origin(folder, replace(origin, versions=[]))
    same = origin.files.items() & files.items()
    unmoved = {path: origin.listed[path] for path, _ in same}.items() | files.items()
    wanted = {path for path, _ in manifest.files.items() - unmoved}
    removed = origin.files.keys() - manifest.files.keys()
    stale = _claims_above(wanted | removed, files)
    for path in [*reversed(_ordered(stale)), *removed]:
        (folder / path).unlink(missing_ok=True)
    for adapter in {
        (folder / path).parent for path in wanted | removed if PurePosixPath(path).parent.name == "adapter"
    }:
        shutil.rmtree(adapter.with_name("merged"), ignore_errors=True)  # it was made from other weights
    for path in _ordered(wanted | stale & manifest.files.keys()):
        _fetch_file(fs, root, manifest, path, folder)
    if _manifest(fs, root).version != manifest.version:
        raise RunError(f"{shown(url)} was modified while it was fetched; run the command again")
    here = {path: stat for path, stat in _files(folder).items() if path in manifest.files}
    _write_origin(folder, Origin(url, here, manifest.files, [manifest.version]))


def _fetch_file(fs: Any, root: str, manifest: Manifest, path: str, folder: Path) -> None:
    target, (_, changed) = folder / path, manifest.files[path]
    target.parent.mkdir(parents=True, exist_ok=True)
    if path in manifest.claims:
        write_text(target, manifest.claims[path])
    else:
        part = target.with_name(f"{target.name}.part")
        try:
            fs.get_file(f"{root}/{path}", str(part))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    if changed:
        os.utime(target, ns=(changed, changed))


def _manifest(fs: Any, root: str, origin: Origin | None = None) -> Manifest:
    """What files.json says, or the files that there are, as in a run that was copied to the store. Raises RunError
    where files.json is torn, unless the copy with this `origin` is what was being sent."""
    fs.invalidate_cache()
    try:
        row = json.loads(fs.cat_file(f"{root}/{MANIFEST}"))
        # an older version listed hashes
        manifest = None if row == {path: str(value) for path, value in row.items()} else Manifest.from_dict(row)
    except FileNotFoundError:
        manifest = None
    except (ValueError, AttributeError):
        if origin and UNREADABLE.version in origin.versions:
            return UNREADABLE
        raise RunError(
            f"{root}/{MANIFEST} can't be read: an upload was interrupted; run the command again on the machine that "
            "began it"
        ) from None
    manifest = manifest or Manifest(_listing(fs, root), {})
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in manifest.files):
        raise RunError(f"{root}/{MANIFEST} names files outside of the run")
    return manifest


def _listing(fs: Any, root: str) -> Files:
    entries = fs.find(root, detail=True) if fs.exists(f"{root}/recipe.yaml") else {}
    names = {path: path.removeprefix(f"{root}/") for path in entries}
    return {name: (entries[path]["size"], _time(fs, path)) for path, name in names.items() if _is_sent(name)}


def _time(fs: Any, path: str) -> int:
    try:
        return int(fs.modified(path).timestamp() * 10**9)
    except NotImplementedError:
        return 0


def _without(manifest: Manifest, paths: Set[str]) -> Manifest:
    """`manifest` without `paths` and what says that they are done."""
    left = paths | _claims_above(paths, manifest.files)
    files = {path: stat for path, stat in manifest.files.items() if path not in left}
    return Manifest(files, {path: text for path, text in manifest.claims.items() if path in files})


def _claims_above(paths: Set[str], files: Iterable[str]) -> set[str]:
    """Those of `files` that say that something is done in a directory with one of `paths` in it."""
    folders = {folder for path in paths - {REPORT} for folder in PurePosixPath(path).parents}
    claims = {path: PurePosixPath(path) for path in files}
    return {path for path, claim in claims.items() if claim.name in CLAIMS[1:] and claim.parent in folders}


def _files(folder: Path) -> Files:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    stats = {name: path.stat() for name, path in paths.items() if _is_sent(name)}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _ordered(paths: Iterable[str]) -> list[str]:
    """`paths` in the order in which to write them."""
    order = {claim: index for index, claim in enumerate(CLAIMS)}
    return sorted(paths, key=lambda path: (order.get(PurePosixPath(path).name, -1), path))


def _is_sent(path: str) -> bool:
    return not any(fnmatch(part, pattern) for part in PurePosixPath(path).parts for pattern in LEFT_OUT)


def _put(fs: Any, root: str, folder: Path, paths: list[str]) -> None:
    fs.put([str(folder / path) for path in paths], [f"{root}/{path}" for path in paths])


def _origin(folder: Path) -> Origin | None:
    row = read_json(folder / ORIGIN, None)
    return Origin.from_dict(row) if row else None


def _write_origin(folder: Path, origin: Origin) -> None:
    """Readable only to the user, since a URL may have a password in it."""
    (folder / f"{ORIGIN}.part").touch(0o600)  # the file that `write_text` writes and renames
    write_json(folder / ORIGIN, origin.to_dict())


def _cache(kind: str, url: str, what: str) -> Path:
    """The directory in the user's cache for what is at `url`, named by the hash of `what` it is."""
    return user_cache_path("byheart") / kind / f"{name(url)}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


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
