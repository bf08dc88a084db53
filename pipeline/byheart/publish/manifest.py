"""The file in a repository of the hub that lists what byheart wrote there, with the hash of each file: only these files
does a later push replace or delete, and only where they are still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from byheart.files import write_json
from byheart.types import Record

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

NAME = "byheart.json"


@dataclass(frozen=True, slots=True)
class Content(Record):
    """The content of a file, by the two names that the hub may know it by: its SHA-256, where it is large, else the
    name that git gives it."""

    sha256: str
    git: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """The content of the file `path`."""
        sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha256.update(block)
                git.update(block)
        return cls(sha256.hexdigest(), git.hexdigest())

    def is_in(self, file: RepoFile) -> bool:
        """Whether `file` of a repository has this content."""
        return file.lfs.sha256 == self.sha256 if file.lfs else file.blob_id == self.git


@dataclass(frozen=True, slots=True)
class Manifest(Record):
    """The files that a push wrote, by their paths in the repository."""

    files: dict[str, Content]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """That of all files in `folder`."""
        return cls({str(path.relative_to(folder)): Content.of(path) for path in files(folder) if path.name != NAME})

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The manifest in the file `path`; None where the file is no manifest."""
        try:
            return cls.from_dict(json.loads(path.read_text("utf-8")))
        except ValueError:
            return None

    def write(self, folder: Path) -> None:
        """Write it to `folder`."""
        write_json(folder / NAME, self.to_dict())


def files(folder: Path) -> Iterator[Path]:
    """All files in `folder` and the folders in it, in order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
