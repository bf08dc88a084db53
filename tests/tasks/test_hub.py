"""Any data set by name: columns by any name, splits of its own, a local copy in its place."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from byheart.errors import RecipeError, TaskError
from byheart.tasks.core.splits import check_gold, source, split

from tests.conftest import python
from tests.loopback import TOKEN, Repo, serving

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


def test_a_gold_answer_that_cannot_be_read_does_not_cost_the_data_set(options: Callable[..., Any], copy: Path) -> None:
    with (copy / "train.jsonl").open("a") as file:
        file.write('{"q": "7 + 7", "answer": "about 14"}\n')
    asked = options(**TASK, path=str(copy))
    problems = list(source(asked, 0))
    assert len(problems) == 21
    [line] = check_gold(problems, asked, [])
    assert line.startswith("hub: number can't read what 1 of 21 problems are judged by, such as ")


def test_a_column_that_the_verifier_needs_is_asked_for(options: Callable[..., Any], copy: Path) -> None:
    with pytest.raises(TaskError, match=r"jsonl, line \d+: .*name the column of its tests in task\.meta_columns$"):
        next(source(options(**TASK | {"verifier": "code"}, path=str(copy)), 0))


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


ROWS: list[dict[str, Any]] = [{"prompt": f"{n} + 1", "answer": n + 1} for n in range(20)]


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def table(**columns: Any) -> bytes:
    content = io.BytesIO()
    parquet.write_table(pyarrow.table({name: [row[name] for row in ROWS] for name in ROWS[0]} | columns), content)
    return content.getvalue()


REPOS: dict[str, tuple[dict[str, bytes], str]] = {
    "good": ({"data/train.jsonl": lines(*ROWS)}, "20 problems, answers of 1 to 20"),
    "floats": ({"data/train.parquet": table(answer=[row["answer"] + 0.0 for row in ROWS])}, "answers of 1 to 20"),
    "unused": (
        {"data/train.parquet": table(seen=pyarrow.array([10**18] * 20, pyarrow.timestamp("us")))},
        "answers of 1 to 20",
    ),
    "script": ({"script.py": b"", "README.md": b"# sums\n"}, "split train: Dataset scripts are no longer supported"),
    "wider": (
        {
            "data/train-00000-of-00002.jsonl": lines(*ROWS[:9]),
            "data/train-00001-of-00002.jsonl": lines(*(row | {"more": 1} for row in ROWS[9:])),
        },
        "split train: Couldn't cast .* because column names don't match",
    ),
    "torn": ({"data/train.jsonl": lines(*ROWS) + b'{"prompt": "2'}, "split train: JSON parse error: .* in row 20"),
    "mixed": (
        {"data/train.jsonl": lines(*ROWS[:19], {"prompt": "19 + 1", "answer": "20"})},
        "answers of 1 to 20",
    ),
    "nan": (
        {"data/train.parquet": table(answer=[float("nan") if n == 7 else float(n) for n in range(20)])},
        r"train, row 8: no answer \(column 'answer'; it has prompt, answer\)",
    ),
    "lists": (
        {"data/train.jsonl": lines({"prompt": "2 + 2", "answer": ["4", "four"]})},
        "train, row 1: .* several accepted",
    ),
    "empty": ({"README.md": b"# sums\n"}, "split train: .* doesn't contain any data files"),
}
"""Data set on the hub -> its files, and what is said when it is read."""

READ = """
import json, sys
from byheart.errors import TaskError
from byheart.tasks.core.splits import source
from byheart.tasks.hub import HubTask

said = {}
for name in json.loads(sys.argv[1]):
    task = HubTask(dataset=f"me/{name}", revision="main", verifier="number")
    try:
        answers = sorted(int(problem.answer) for problem in source(task, 0))
        said[name] = f"{len(answers)} problems, answers of {answers[0]} to {answers[-1]}"
    except TaskError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of each of REPOS where the hub has them, in a process whose hub that is."""
    folder = tmp_path_factory.mktemp("hub")
    with serving() as hub:
        for name, (files, _) in REPOS.items():
            hub.repos[f"datasets/me/{name}"] = Repo(commits={"a" * 40: files})
        env = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
        done = python(folder, "-c", READ, json.dumps(list(REPOS)), **env)
    assert done.returncode == 0, done.stderr
    answered: dict[str, str] = json.loads(done.stdout)
    return answered


@pytest.mark.slow
@pytest.mark.parametrize("name", REPOS)
def test_a_data_set_of_the_hub_is_read_or_refused_with_the_cause(said: dict[str, str], name: str) -> None:
    words = REPOS[name][1]
    if "answers of" in words:
        assert said[name] == "20 problems, answers of 1 to 20"
    else:
        assert re.match(f"me/{name}, {words}", said[name])
        assert "\n" not in said[name]
