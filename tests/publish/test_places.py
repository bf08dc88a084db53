"""What of a recipe's options is published: no place on a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.publish.places import without_places


@pytest.mark.parametrize(
    ("value", "published"),
    [
        ("/srv/data/alice/gold.jsonl", "gold.jsonl"),
        ("~/sums/script.json", "script.json"),
        ("../alice/gold.parquet", "gold.parquet"),
        ("clients/acme/gold.jsonl.gz", "gold.jsonl.gz"),
        ("/scratch/alice/checkpoints", "checkpoints"),
        (r"C:\Users\alice\gold.jsonl", "gold.jsonl"),
        ("http://10.1.2.3:8000/v1", "http://localhost/v1"),
        ("https://alice:secret@gpu7.example.com/team/v1", "https://localhost/v1"),
        ("s3://alices-bucket/runs/sums/adapter", "s3://localhost/adapter"),
    ],
)
def test_of_a_path_its_name_is_left_and_of_an_address_no_host(value: str, published: str) -> None:
    inside: dict[str, Any] = {"task": {"path": value, "num_train": 4}, "list": [value]}
    assert without_places(inside) == {"task": {"path": published, "num_train": 4}, "list": [published]}


@pytest.mark.parametrize(
    "value",
    [
        "meta-llama/Llama-3.2-1B-Instruct",
        "gold.jsonl",
        "me/sums@round-001",
        "/no_think",
        "/no_think {problem}",
        "Add 3/4 and 1/2. Then write the answer to a/b.txt",
        "What is {a}/{b}?",
        "Q: 3/4?\nA:",
        "~5 / 2",
        "a+b",
        "",
    ],
)
def test_names_and_prose_stay(value: str) -> None:
    assert without_places({"key": value, "number": 1.5, "none": None}) == {"key": value, "number": 1.5, "none": None}


def test_a_directory_that_is_there_is_a_path_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "My models").mkdir()
    assert without_places(str(tmp_path / "My models")) == "My models"
    assert (
        without_places(
            f"serve {tmp_path}/x",
        )
        == f"serve {tmp_path}/x"
    )


def test_the_home_directory_is_not_named_in_prose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert without_places("python /home/alice/judge.py --strict") == "python ~/judge.py --strict"
