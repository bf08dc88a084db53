"""Problems from a file of the user's own: any column names, and errors that say which line."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from byheart.config import recipe
from byheart.errors import RecipeError, TaskError
from byheart.tasks.file import FileTask
from byheart.types import Message, Problem
from pydantic import ValidationError

GOOD = {"prompt": "2 + 2", "answer": "4"}


def read(path: Path, seed: int = 0, **rest: Any) -> list[Problem]:
    return list(FileTask(**{"path": str(path), "verifier": "number"} | rest).problems(seed))


def jsonl(folder: Path, *rows: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def table(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "mine.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


@pytest.mark.parametrize("write", [jsonl, table])
def test_both_formats_say_the_same(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path, {"q": "2 + 2", "a": 4, "n": "x", "level": 1}, {"q": "3 + 3", "a": 6, "n": "y", "level": 2})
    found = read(path, prompt_column="q", answer_column="a", id_column="n", meta_columns=["level"])
    assert sorted(found, key=lambda one: one.id) == [
        Problem("x", [{"role": "user", "content": "2 + 2"}], "4", "number", {"level": 1}),
        Problem("y", [{"role": "user", "content": "3 + 3"}], "6", "number", {"level": 2}),
    ]


@pytest.mark.parametrize("write", [jsonl, table])
def test_a_prompt_of_chat_messages_stays_one(tmp_path: Path, write: Any) -> None:
    turns = [Message(role="system", content="Be brief."), Message(role="user", content="2 + 2")]
    [problem] = read(write(tmp_path, {"prompt": turns, "answer": "4"}))
    assert problem == Problem.of(turns, "4", "number")


def test_without_chat_the_prompt_is_plain_text(tmp_path: Path) -> None:
    [problem] = read(jsonl(tmp_path, GOOD), chat=False)
    assert problem == Problem.of("2 + 2", "4", "number")


def test_the_seed_decides_the_order(tmp_path: Path) -> None:
    path = jsonl(tmp_path, *({"prompt": f"{n} + 1", "answer": n + 1} for n in range(50)))
    assert read(path, 1) == read(path, 1)
    assert read(path, 1) != read(path, 2)
    assert {one.id for one in read(path, 1)} == {one.id for one in read(path, 2)}


def test_a_byte_order_mark_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\n   \n")
    assert [one.answer for one in read(path)] == ["4"]


def test_a_row_that_says_the_same_again_is_passed_over(tmp_path: Path) -> None:
    path = jsonl(tmp_path, GOOD | {"id": 1}, GOOD | {"id": 2}, {"prompt": "3 + 3", "answer": 6, "id": 3})
    assert [one.answer for one in read(path)].count("4") == 1
    assert sorted(one.id for one in read(path, id_column="id")) == ["1", "3"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"answer": "4"}, "no prompt"),
        ({"prompt": "", "answer": "4"}, "no prompt"),
        ({"prompt": [], "answer": "4"}, "no prompt"),
        ({"prompt": None, "answer": "4"}, "no prompt"),
        ({"prompt": "  \n", "answer": "4"}, "prompt"),
        ({"prompt": 7, "answer": "4"}, "neither text nor chat messages"),
        ({"prompt": "5 + 5"}, "no answer .column 'answer'; it has prompt"),
        ({"prompt": "5 + 5", "answer": ""}, "no answer"),
        ({"prompt": "5 + 5", "answer": None}, "no answer"),
        ("{'prompt': 1}", "not JSON"),
        ('{"prompt": "5 + 5", "ans', "not JSON"),
        (["5 + 5", "10"], "a JSON object is wanted"),
        ("17", "a JSON object is wanted"),
        ({"prompt": [{"role": "user"}], "answer": "4"}, "no role or no content"),
        ({"prompt": [{"content": "x"}], "answer": "4"}, "no role or no content"),
        ({"prompt": ["x"], "answer": "4"}, "no role or no content"),
        ({"prompt": [{"role": "user", "content": 5}], "answer": "4"}, "no role or no content"),
        ({"prompt": [{"role": 5, "content": "x"}], "answer": "4"}, "no role or no content"),
        ({"prompt": "2 + 2", "answer": "5"}, "the same prompt has another answer at .*mine.jsonl, line 1"),
        ('{"prompt": "\\ud83d", "answer": "4"}', "prompt|surrogate"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_a_bad_row_is_refused_with_its_file_and_line(tmp_path: Path, row: object, words: str) -> None:
    path = jsonl(tmp_path, GOOD, "", row, {"prompt": "6 + 6", "answer": 12})
    with pytest.raises(TaskError, match=words) as error:
        read(path)
    assert str(error.value).startswith(f"{path}, line 3: ")


def test_chat_messages_are_refused_without_chat(tmp_path: Path) -> None:
    path = jsonl(tmp_path, GOOD, {"prompt": [{"role": "user", "content": "x"}], "answer": "4"})
    with pytest.raises(TaskError, match=r"line 2: .*task\.chat=false"):
        read(path, chat=False)


def test_an_id_that_is_missing_or_used_before_is_refused(tmp_path: Path) -> None:
    other = {"prompt": "3 + 3", "answer": "6"}
    with pytest.raises(TaskError, match=r"line 2: the id 'a' was used before, at .*line 1"):
        read(jsonl(tmp_path, GOOD | {"id": "a"}, other | {"id": "a"}), id_column="id")
    with pytest.raises(TaskError, match=r"line 2: no id .column 'id'"):
        read(jsonl(tmp_path, GOOD | {"id": "a"}, other), id_column="id")


def test_a_bad_row_of_parquet_is_refused_with_its_row(tmp_path: Path) -> None:
    path = table(tmp_path, GOOD, {"prompt": "3 + 3", "answer": None})
    with pytest.raises(TaskError, match="row 2: no answer"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mine.jsonl", b"", "no problems in it"),
        ("mine.jsonl", b"\n\n", "no problems in it"),
        ("mine.jsonl", '{"prompt": "caf\xe9", "answer": "1"}'.encode("latin-1"), "mine.jsonl"),
        ("mine.csv", b"prompt,answer\n", "neither .jsonl .or .jsonl.gz. nor .parquet"),
        ("mine.parquet", b"", "not a readable Parquet file"),
        ("mine.parquet", b"PAR1 and then nothing that Parquet knows", "not a readable Parquet file"),
        ("mine.parquet", b"PAR1" + b"\xff" * 40 + b"\x28\x00\x00\x00PAR1", "not a readable Parquet file"),
    ],
    ids=["empty", "blank", "latin-1", "csv", "empty parquet", "no parquet", "torn parquet"],
)
def test_a_file_that_is_no_source_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TaskError, match=words):
        read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"task\.path: no file .*none\.jsonl"):
        read(tmp_path / "none.jsonl")


def test_an_unknown_verifier_is_refused_before_the_file_is_read() -> None:
    with pytest.raises(ValidationError, match="did you mean 'number'"):
        read(Path("none.jsonl"), verifier="numbr")
    task = {"name": "file", "path": "none.jsonl", "verifier": "exakt"}
    with pytest.raises(RecipeError, match=r"task\.verifier.*did you mean 'exact'"):
        recipe.parse({"name": "t", "model": {"name": "m"}, "task": task})


def test_what_meta_columns_hold_can_be_written_down(tmp_path: Path) -> None:
    column = pyarrow.array([0], pyarrow.timestamp("s"))
    path = tmp_path / "mine.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["2 + 2"], "answer": ["4"], "when": column}), path)
    [problem] = read(path, meta_columns=["when"])
    assert Problem.from_dict(json.loads(json.dumps(problem.to_dict()))).meta.keys() == {"when"}


@pytest.mark.parametrize("verifier", ["consensus", {"name": "model_judge", "alone": True}], ids=str)
def test_a_verifier_that_needs_no_gold_answer_gets_none(tmp_path: Path, verifier: Any) -> None:
    path = jsonl(tmp_path, {"prompt": "2 + 2"}, {"prompt": "3 + 3", "answer": ""}, {"prompt": "4 + 4", "answer": 8})
    assert {one.answer for one in read(path, verifier=verifier)} == {None, "8"}


def test_tests_of_code_come_from_a_column(tmp_path: Path) -> None:
    tests = [{"input": "2", "output": "4"}]
    [problem] = read(jsonl(tmp_path, {"prompt": "Double it.", "tests": tests}), verifier="code", meta_columns=["tests"])
    assert (problem.answer, problem.verifier, problem.meta) == (None, "code", {"tests": tests})
