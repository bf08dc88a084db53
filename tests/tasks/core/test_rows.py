"""Rows of a data set: from a local copy in any of its shapes, from a hub, from the cache of what a hub had."""

import gzip
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from byheart.errors import TaskError
from byheart.tasks.core.rows import Hub, read, rows
from byheart.tasks.core.splits import source
from datasets import Dataset

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB = Hub("owner/sums", COMMIT, ("q",), "main", ("train", "test"))
ROWS = [{"q": "1 + 1", "a": 2}, {"q": "1 + 2", "a": 3}]


def put(path: Path, found: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in found)
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(found), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def got(split: str, path: Path | None) -> list[dict[str, Any]]:
    return [dict(row) for _, row in rows(HUB, split, path)]


@pytest.mark.parametrize(
    "names",
    [
        ["train.jsonl"],
        ["train.parquet"],
        ["main/train.jsonl"],
        ["data/train-00000-of-00001.parquet"],
        ["main/train-00000-of-00002.parquet", "main/train-00001-of-00002.parquet"],
        ["train-00000-of-00001-a09b74b3ef9c3b56.parquet"],
        ["main/train-00000-of-00002-a09b74b3ef9c3b56.parquet", "main/train-00001-of-00002-0123456789abcdef.parquet"],
        ["train.jsonl.gz"],
        ["data/train-00000-of-00001.jsonl.gz"],
        ["train-1-of-2.jsonl", "train-2-of-2.jsonl"],
    ],
    ids=lambda names: names[0],
)
def test_a_local_copy_is_read_as_the_hub_or_the_split_names_its_files(tmp_path: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        put(tmp_path / name, ROWS if len(names) == 1 else [ROWS[number]])
    put(tmp_path / "test.jsonl", [{"q": "other"}])
    put(tmp_path / "train_more.jsonl", [{"q": "other"}])
    put(tmp_path / "socratic/train.jsonl", [{"q": "other"}])
    assert got("train", tmp_path) == ROWS


def test_splits_can_be_put_together(tmp_path: Path) -> None:
    put(tmp_path / "train.jsonl", ROWS[:1])
    put(tmp_path / "validation.jsonl", ROWS[1:])
    assert got("train+validation", tmp_path) == ROWS


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.jsonl.gz", "mine.parquet"])
def test_one_file_is_every_split(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, ROWS)
    assert got("train", tmp_path / name) == got("test", tmp_path / name) == ROWS


@pytest.mark.parametrize(
    ("present", "missing"),
    [
        (["train-00000-of-00002.parquet"], "train-00001-of-00002"),
        (["train-00001-of-00002.parquet"], "train-00000-of-00002"),
        (["main/train-00000-of-00003.jsonl", "main/train-00002-of-00003.jsonl"], "train-00001-of-00003"),
        (["data/train-00000-of-00002-a09b74b3ef9c3b56.parquet"], "train-00001-of-00002"),
        (["train-00000-of-00002.jsonl.gz"], "train-00001-of-00002"),
        (["train-1-of-3.jsonl", "train-3-of-3.jsonl"], "train-2-of-3"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_split_of_which_a_part_is_missing_is_refused_by_its_name(
    tmp_path: Path, present: list[str], missing: str
) -> None:
    for name in present:
        put(tmp_path / name, ROWS)
    with pytest.raises(TaskError, match=rf"has no {missing}, a part of its split train; put it there, or"):
        got("train", tmp_path)


def test_a_copy_under_its_older_name_is_not_read_twice(tmp_path: Path) -> None:
    put(tmp_path / "train.jsonl", ROWS)
    put(tmp_path / "train.jsonl.gz", [{"q": "packed before it was corrected"}])
    put(tmp_path / "train-00000-of-00001-a09b74b3ef9c3b56.parquet", [{"q": "as it was once"}])
    assert got("train", tmp_path) == ROWS


def test_a_torn_archive_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "mine.jsonl.gz", [{"q": f"{n} + 1", "a": n + 1} for n in range(300)])
    whole = (tmp_path / "mine.jsonl.gz").read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes(byte ^ 0xFF for byte in whole[half : half + 12]) + whole[half + 12 :]
    wrong_sum = whole[:-8] + bytes(4) + whole[-4:]
    for content in (whole[:-9], whole[:half], b"no archive", flipped, wrong_sum):
        (tmp_path / "mine.jsonl.gz").write_bytes(content)
        with pytest.raises(TaskError, match=r"mine\.jsonl\.gz: can't be read") as error:
            list(read(tmp_path / "mine.jsonl.gz"))
        assert "\n" not in str(error.value)


def test_a_local_copy_without_a_split_is_refused_with_the_names_that_would_do(tmp_path: Path) -> None:
    put(tmp_path / "train.jsonl", ROWS)
    with pytest.raises(TaskError, match=r"has not all of train\.jsonl and test\.jsonl with the columns q .*main/tra"):
        got("test", tmp_path)


PUBLIC = ["gsm8k", "math", "aime", "mbpp", "humaneval", "commonsense_qa", "arc"]
FILES = {"humaneval": "test.jsonl", "commonsense_qa": "train.jsonl and validation.jsonl"}


@pytest.mark.parametrize("name", PUBLIC)
def test_without_a_hub_the_error_names_the_files_at_once(no_hub: Path, options: Callable[..., Any], name: str) -> None:
    asked = options(name=name)
    began = time.monotonic()
    with pytest.raises(TaskError, match=r"the hub can't be reached; .* task\.path=FOLDER") as error:
        next(source(asked, 0))
    assert time.monotonic() - began < 10
    assert FILES.get(name, "test.jsonl") in str(error.value)


def test_a_hub_that_is_silent_is_not_waited_for(
    no_hub: Path, options: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself the library tries six times, for 23 seconds and more."""
    import huggingface_hub.constants as hub

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(hub, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("byheart.tasks.core.rows.HUB_TIMEOUT", 0.3)
        asked = options(name="gsm8k")
        began = time.monotonic()
        with pytest.raises(TaskError, match="the hub can't be reached"):
            next(source(asked, 0))
        assert 0.3 < time.monotonic() - began < 10


def cached(folder: Path, commit: str) -> None:
    """What `datasets` leaves in its cache after it loaded owner/sums at `commit`."""
    place = folder / "owner___sums" / "main" / "0.0.0" / commit
    place.mkdir(parents=True)
    Dataset.from_list(ROWS).save_to_disk(str(folder / "written"))
    [shard] = (folder / "written").glob("*.arrow")
    shard.rename(place / "sums-train.arrow")
    facts = {
        "config_name": "main",
        "dataset_name": "sums",
        "builder_name": "parquet",
        "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0},
        "features": {"q": {"dtype": "string", "_type": "Value"}, "a": {"dtype": "int64", "_type": "Value"}},
        "splits": {"train": {"num_examples": len(ROWS), "num_bytes": 1, "dataset_name": "sums", "name": "train"}},
    }
    (place / "dataset_info.json").write_text(json.dumps(facts))


def test_what_was_loaded_before_is_loaded_without_a_hub(no_hub: Path) -> None:
    cached(no_hub, COMMIT)
    assert got("train", None) == ROWS


def test_another_revision_in_the_cache_does_not_serve(no_hub: Path) -> None:
    cached(no_hub, COMMIT[::-1])
    with pytest.raises(TaskError, match=f"owner/sums at {COMMIT} is not on this machine"):
        got("train", None)
