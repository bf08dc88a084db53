"""Which files of a repository are byheart's own."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from byheart.publish import manifest
from byheart.publish.manifest import Manifest
from huggingface_hub.hf_api import RepoFile

TEXT = b"name: r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scorer").mkdir()
    (tmp_path / "recipe.yaml").write_bytes(TEXT)
    (tmp_path / "scorer/lora.safetensors").write_bytes(b"weights")
    Manifest.of(tmp_path).write(tmp_path)
    return tmp_path


entry: Any = RepoFile  # which has no types


def small(raw: bytes) -> Any:
    return entry(path="x", size=len(raw), oid=hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest())


def large(raw: bytes) -> Any:
    lfs = {"size": len(raw), "oid": hashlib.sha256(raw).hexdigest(), "pointerSize": 130}
    return entry(path="x", size=len(raw), oid="0" * 40, lfs=lfs)


def test_it_lists_all_files_but_itself(folder: Path) -> None:
    assert set(json.loads((folder / "byheart.json").read_text())["files"]) == {"recipe.yaml", "scorer/lora.safetensors"}
    assert Manifest.read(folder / manifest.NAME) == Manifest.of(folder)


def test_a_file_is_the_same_by_either_name_that_the_hub_gives_it(folder: Path) -> None:
    content = Manifest.of(folder).files["recipe.yaml"]
    assert content.is_in(small(TEXT)) and content.is_in(large(TEXT))
    assert not content.is_in(small(TEXT + b"\n")) and not content.is_in(large(b""))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"files": [1]}', b'{"files": {"a": "b"}}', b"\xff", b'{"files": {']
)
def test_another_file_of_that_name_is_no_manifest(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / manifest.NAME).write_bytes(raw)
    assert Manifest.read(tmp_path / manifest.NAME) is None
