"""Any data set by name: columns by any name, splits of its own, a local copy in its place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from byheart.errors import RecipeError, TaskError
from byheart.tasks.core.splits import source, split

TASK = {"name": "hub", "dataset": "owner/sums", "revision": "main", "verifier": "number", "prompt_column": "q"}
SIZES = {"num_train": 4, "num_dev": 2, "num_held_out": 3}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name, start in (("train", 0), ("test", 100)):
        rows = [{"q": f"{n} + 1", "answer": n + 1, "level": n % 3} for n in range(start, start + 20)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_the_test_split_is_held_out_and_the_rest_comes_from_the_other(options: Callable[..., Any], copy: Path) -> None:
    asked = options(**TASK, **SIZES, path=str(copy), held_out_split="test", meta_columns=["level"])
    parts = split(source(asked, 0), asked, 1)
    assert all(int(problem.answer or 0) > 100 for problem in parts.held_out)
    assert all(int(problem.answer or 0) <= 20 for problem in parts.dev + parts.train)
    assert {problem.meta["level"] for problem in parts.train + parts.held_out} <= {0, 1, 2}


@pytest.mark.parametrize("extra", [{}, {"held_out_split": "test", "path": "train.jsonl"}], ids=["split", "file"])
def test_without_a_test_split_all_is_taken_out_of_one(
    options: Callable[..., Any], copy: Path, extra: dict[str, str]
) -> None:
    extra = extra | {"path": str(copy / extra.get("path", ""))}
    found = list(source(options(**TASK, **SIZES, **extra), 0))
    assert sorted(int(problem.answer or 0) for problem in found) == list(range(1, 21))


def test_a_row_without_an_answer_is_refused_with_its_place(options: Callable[..., Any], copy: Path) -> None:
    with (copy / "train.jsonl").open("a") as file:
        file.write('{"q": "7 + 7"}\n')
    with pytest.raises(TaskError, match=r"train\.jsonl, line 21: no answer"):
        list(source(options(**TASK, path=str(copy)), 0))


@pytest.mark.parametrize("key", ["dataset", "revision", "verifier"])
def test_what_has_no_default_must_be_said(options: Callable[..., Any], key: str) -> None:
    with pytest.raises(RecipeError, match=f"{key} is missing"):
        options(**{name: value for name, value in TASK.items() if name != key})


def test_without_a_hub_the_error_names_the_splits_wanted(no_hub: Path, options: Callable[..., Any]) -> None:
    with pytest.raises(TaskError, match=r"owner/sums at main .* task\.path=FOLDER.* has train\.jsonl and check\.jsonl"):
        next(source(options(**TASK, held_out_split="check"), 0))


def test_a_name_that_can_be_no_data_set_is_refused(no_hub: Path, options: Callable[..., Any]) -> None:
    with pytest.raises(TaskError, match=r"task\.dataset"):
        next(source(options(**TASK | {"dataset": "no such/name"}), 0))
