"""A run at a URL, such as s3://bucket/runs/x: commands work on a local copy, and finished files are sent back.

The store has the files of the run directory, and files.json with the hash of each. By it a command knows what to send,
what to fetch, and whether the store and the local copy have diverged, in which case neither is changed. Files that mark
a stage or a round as done are sent after the files that they refer to, and state.json last, so a store never claims a
round that it does not have in full.
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
from byheart.files import sha256

LEFT_OUT = (".*", "*.part", "checkpoints-*", "merged", "published", "engine.log")
"""Files and directories that are not sent: they can be made again, or are incomplete while a command works."""
FILES, REPORT, RECORD = "files.json", "report.html", ".store.json"
LAST = (FILES, "stages.json", "metrics.json", "state.json")

Files = dict[str, str]
"""Path within a run -> SHA-256 of the file."""


def local(where: str, new: bool = False) -> Path:
    """The directory of the run at `where`: the path itself, or for a URL a local copy, at least as new as the store.

    Raises InputError where there is no run, unless it may be `new`; RunError where the store can't be reached, or store
    and copy have diverged.
    """
    if "://" not in where:
        return Path(where)
    folder = _cache("runs", where, where)
    with _connected(where) as (fs, root):
        remote = _listed(fs, root)
        if not (new or remote or (folder / "recipe.yaml").exists()):
            raise InputError(f"{where}: there is no run")
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout), FileLock(folder / ".lock", timeout=0):  # else another command works on it
            _fetch(fs, root, where, folder, remote)
    return folder


def send(folder: Path) -> None:
    """Send what is new in the run in `folder` to its store, if it has one. Raises RunError where that fails, or the
    store was changed by another process."""
    record = _record(folder)
    if not record:
        return
    local_files, before = _digests(folder), record["files"]
    with _connected(record["url"]) as (fs, root):
        remote = _listed(fs, root)
        if _name(remote) not in record["seen"]:
            raise RunError(f"{record['url']} was modified by another process; local changes are kept in {folder}")
        changed = [path for path in local_files if local_files[path] != before.get(path)]
        removed = [path for path in before if path not in local_files]
        if not changed and not removed:
            return
        _write_record(folder, record | {"seen": [_name(remote), _name(local_files)]})
        if not fs.exists(f"{root}/{FILES}"):
            fs.pipe_file(f"{root}/{FILES}", json.dumps(remote).encode())
        for path in sorted([*changed, FILES], key=_order):
            if path == FILES:
                fs.pipe_file(f"{root}/{FILES}", json.dumps(local_files, indent=1).encode())
            else:
                fs.put_file(str(folder / path), f"{root}/{path}")
        for path in removed:
            with contextlib.suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{path}")
        _write_record(folder, record | {"files": local_files, "seen": [_name(local_files)]})


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
            for path in wanted:
                _get(fs, path, part / path.removeprefix(f"{root}/"))
            part.mkdir(parents=True, exist_ok=True)
            part.rename(folder)
    return folder


def _fetch(fs: Any, root: str, url: str, folder: Path, remote: Files) -> None:
    """Make the local copy in `folder` like the store, unless it is newer. Raises RunError where the two diverged."""
    record = _record(folder)
    if record and _name(remote) in record["seen"]:
        return
    local_files, before = _digests(folder), record.get("files", {})
    if before and not remote:
        raise RunError(f"{url} has lost the run whose copy is {folder}: move that away to start over")
    diverged = [
        path for path in local_files | before if local_files.get(path) not in (before.get(path), remote.get(path))
    ]
    if diverged and diverged != [REPORT]:
        raise RunError(
            f"{url} was modified by another process, and so was the local copy, {folder} ({diverged[0]}): name another "
            "--run-dir, or move that copy away to continue from the store"
        )
    for path in sorted(local_files | remote, key=_order):
        if path not in remote:
            (folder / path).unlink()
        elif remote[path] != local_files.get(path):
            try:
                _get(fs, f"{root}/{path}", folder / path)
            except FileNotFoundError:
                if not _order(path):
                    raise
                # the send was interrupted before this stage or round was marked as done
    _write_record(folder, {"url": url, "files": _digests(folder), "seen": [_name(remote)]})


def _listed(fs: Any, root: str) -> Files:
    """The store's files by its files.json; without one, the files that exist, as in a run that was copied there."""
    fs.invalidate_cache()
    try:
        files: Files = json.loads(fs.cat_file(f"{root}/{FILES}"))
    except FileNotFoundError:
        files = {}
        for path in fs.find(root) if fs.exists(f"{root}/recipe.yaml") else ():
            name = path.removeprefix(f"{root}/")
            if _is_sent(name):
                with fs.open(path, "rb") as file:
                    files[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if any(PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts for path in files):
        raise RunError(f"{root}/{FILES} names files outside of the run")
    return files


def _digests(folder: Path) -> Files:
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if _is_sent(name) and path.is_file():
            files[name] = sha256(path)
    return files


def _name(files: Files) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _is_sent(path: str) -> bool:
    return not any(fnmatch(part, pattern) for part in PurePosixPath(path).parts for pattern in LEFT_OUT)


def _order(path: str) -> int:
    """The order in which files are sent: 0, and for those in LAST more."""
    name = PurePosixPath(path).name
    return LAST.index(name) + 1 if name in LAST else 0


def _get(fs: Any, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    fs.get_file(path, str(part))
    part.replace(target)


def _record(folder: Path) -> dict[str, Any]:
    """What `folder` is a copy of: the `url` of its store, the `files` when both were last equal, and the names of the
    store's lists of files since then, `seen`. Empty for a run without a store."""
    path = folder / RECORD
    record: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return record


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    part = folder / f"{RECORD}.part"
    part.write_text(json.dumps(record), "utf-8")
    part.replace(folder / RECORD)


def _cache(kind: str, url: str, name: str) -> Path:
    last = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in url.rstrip("/").rpartition("/")[2])
    return user_cache_path("byheart") / kind / f"{last}-{hashlib.sha256(name.rstrip('/').encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def _connected(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of `url`, and the path in it. Raises RunError where it fails."""
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
    except Exception as error:  # each file system has errors of its own
        why = " ".join(str(error).split())[:200]
        raise RunError(
            f"{url} refuses or can't be reached ({type(error).__name__}: {why}); check the name, your credentials for "
            "it, and the network"
        ) from None
