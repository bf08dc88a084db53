"""Problems from a file of the user's own: any column names, and errors that say which line."""

import gzip
import json
import struct
import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
import pytest
from byheart.config import recipe
from byheart.errors import RecipeError, TaskError
from byheart.files import load_yaml
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
        ('{"prompt": "5 + 5", "answer": "10", "answer": "11"}', "the key 'answer' is there twice"),
        ('{"prompt": "5 + 5", "answer": "10", "x": {"a": [{"b": 1, "b": 1}]}}', "the key 'b' is there twice"),
        ('{"prompt": "5 + 5", "answer": NaN}', "NaN"),
        ('{"prompt": "5 + 5", "answer": 1e400}', "the answer is infinite"),
        ({"prompt": "5 + 5", "answer": ["10", "ten"]}, "several accepted answers"),
        ({"prompt": "5 + 5", "answer": {"value": "10"}}, "an object with value"),
        ({"prompt": "5 + 5", "answer": True}, "a truth value"),
        ({"prompt": "5 + 5", "answer": "ten"}, "the gold answer 'ten' is not a number"),
        ({"prompt": [{"role": "human", "content": "5 + 5"}], "answer": "10"}, "a message of 'human'; the roles are"),
        (
            {"prompt": [{"role": "user", "content": "5"}, {"role": "assistant", "content": "10"}], "answer": "10"},
            "the prompt ends with the assistant's message",
        ),
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


def test_what_meta_columns_hold_and_cannot_be_written_down_is_refused_with_its_row(tmp_path: Path) -> None:
    images = [{"bytes": b"png", "path": "1.png"}, {"bytes": b"\xff\xd8", "path": "2.jpg"}]
    path = table(tmp_path, *({"prompt": f"{n} + 1", "answer": n + 1, "image": images[n]} for n in range(2)))
    with pytest.raises(TaskError, match=r"mine\.parquet, row 2: task\.meta_columns: there is what JSON can't hold: "):
        read(path, meta_columns=["image"])
    assert len(read(path)) == 2


@pytest.mark.parametrize("verifier", ["consensus", {"name": "model_judge", "alone": True}], ids=str)
def test_a_verifier_that_needs_no_gold_answer_gets_none(tmp_path: Path, verifier: Any) -> None:
    path = jsonl(tmp_path, {"prompt": "2 + 2"}, {"prompt": "3 + 3", "answer": ""}, {"prompt": "4 + 4", "answer": 8})
    assert {one.answer for one in read(path, verifier=verifier)} == {None, "8"}


def test_tests_of_code_come_from_a_column(tmp_path: Path) -> None:
    tests = [{"input": "2", "output": "4"}]
    [problem] = read(jsonl(tmp_path, {"prompt": "Double it.", "tests": tests}), verifier="code", meta_columns=["tests"])
    assert (problem.answer, problem.verifier, problem.meta) == (None, "code", {"tests": tests})


COLUMN = {
    "floats": ([4.0, 10.5], ["4", "10.5"]),
    "floats of 32 bits": (pyarrow.array([0.1, 28.0], pyarrow.float32()), ["0.1", "28"]),
    "decimals": (pyarrow.array([Decimal("4.00"), Decimal("2.50")], pyarrow.decimal128(10, 2)), ["4", "2.5"]),
    "text": (["28.0", "1"], ["28.0", "1"]),
    "a dictionary": (pyarrow.array(["7", "8"]).dictionary_encode(), ["7", "8"]),
    "whole numbers of 64 bits": ([2**60 + 1, -1], [str(2**60 + 1), "-1"]),
}


@pytest.mark.parametrize("name", COLUMN)
def test_an_answer_of_parquet_is_what_its_column_meant(tmp_path: Path, name: str) -> None:
    column, golds = COLUMN[name]
    path = tmp_path / "mine.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["a", "b"], "answer": column}), path)
    assert sorted(str(one.answer) for one in read(path, verifier="exact")) == sorted(golds)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pyarrow.array([1.0, float("nan")]), r"row 2: no answer \(column 'answer'; it has prompt, answer, unused\)"),
        (pyarrow.array([1, None]), "row 2: no answer"),
        (pyarrow.array([1.0, float("inf")]), "row 2: the answer is infinite"),
        (pyarrow.array([b"1", b"2"]), "row 1: the answer b'1' is bytes"),
        (pyarrow.array([["1"], ["2", "3"]]), "row 1: the answer .* several accepted answers"),
        (pyarrow.array([{"text": "1"}, {"text": "2"}]), "row 1: the answer .* an object with text"),
        (pyarrow.array([None, date(2026, 1, 2)]), "row 1: no answer"),
        (pyarrow.array([date(2026, 1, 2), None]), "row 1: the answer .* a date or a time"),
        (pyarrow.array([True, False]), "row 1: the answer True is a truth value"),
        (pyarrow.array([10**18, 10**18], pyarrow.timestamp("us")), "row 1: column 'answer' can't be read: "),
    ],
    ids=lambda part: str(part.type) if isinstance(part, pyarrow.Array) else "",
)
def test_an_answer_of_parquet_that_means_none_is_refused_with_its_row(tmp_path: Path, column: Any, words: str) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["a", "b"], "answer": column, "unused": [0, 0]}), path)
    with pytest.raises(TaskError, match=words) as error:
        read(path, verifier="exact")
    assert str(error.value).startswith(f"{path}, row ")


def torn() -> pyarrow.Array:
    """Two texts, of which the second is not UTF-8."""
    return pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(struct.pack("<3i", 0, 2, 4)), pyarrow.py_buffer(b"ok\xff\xfe")]
    )


BROKEN = {
    "torn text": torn(),
    "far dates": pyarrow.array([0, 10**18], pyarrow.timestamp("us")),
    "long times": pyarrow.array([0, 2**62], pyarrow.duration("s")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_column_hurts_only_who_asks_for_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.parquet"
    parquet.write_table(pyarrow.table({"prompt": ["a", "b"], "answer": ["1", "2"], "more": BROKEN[name]}), path)
    assert {one.answer for one in read(path)} == {"1", "2"}
    with pytest.raises(TaskError, match=r"mine\.parquet, row 2: column 'more' can't be read: ") as error:
        read(path, meta_columns=["more"])
    assert "\n" not in str(error.value)


def test_a_column_that_is_torn_on_disk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    rows = {"prompt": [f"{n} + 1" for n in range(50)], "answer": [str(n + 1) for n in range(50)]}
    parquet.write_table(pyarrow.table(rows), path, compression="gzip", use_dictionary=False)
    content, place = path.read_bytes(), parquet.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset
    path.write_bytes(content[: place + 30] + bytes(60) + content[place + 90 :])
    with pytest.raises(TaskError, match=r"mine\.parquet: column 'answer' can't be read: "):
        read(path)


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"], ids=ascii)
def test_lines_may_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(end.join(json.dumps({"prompt": f"{n} + 1", "answer": n + 1}) for n in range(3)).encode())
    assert sorted(str(one.answer) for one in read(path)) == ["1", "2", "3"]


@pytest.mark.parametrize(
    "tail", [bytes(64), b'{"prompt": "2' + bytes(64), gzip.compress(b"{}")], ids=["zeros", "torn", "packed"]
)
def test_what_is_not_utf_16_is_not_called_so(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(f"{json.dumps(GOOD)}\n".encode() + tail)
    with pytest.raises(TaskError, match=r"line 2: it is not (JSON|UTF-8 text) \("):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_called_by_its_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes("".join(f"{json.dumps(GOOD)}\r\n" for _ in range(3)).encode(encoding))
    with pytest.raises(TaskError, match=r"mine\.jsonl, line 1: it is UTF-16 text, and UTF-8 is wanted"):
        read(path)


@pytest.mark.parametrize("write", [jsonl, table])
def test_a_meta_column_that_no_row_has_is_refused_with_those_there_are(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path, GOOD | {"level": 1})
    with pytest.raises(TaskError, match=r"task\.meta_columns: no column 'levl'; it has prompt, answer, level, did you"):
        read(path, meta_columns=["level", "levl"])


def test_a_meta_column_that_some_rows_leave_out_is_empty_there(tmp_path: Path) -> None:
    path = jsonl(tmp_path, GOOD, {"prompt": "3 + 3", "answer": "6", "level": 2})
    assert {one.meta["level"] for one in read(path, meta_columns=["level"])} == {None, 2}


@pytest.mark.parametrize(
    ("verifier", "row", "words"),
    [
        ("number", {"answer": "about 4"}, "the gold answer 'about 4' is not a number"),
        ("exact", {"answer": "."}, "the gold answer is empty"),
        ("math", {"answer": r"\frac{1}{"}, "the gold answer can't be read: a bracket is not closed"),
        ("math", {"answer": "4" * 3000}, "is too long"),
        ("choice", {"answer": 1, "choices": ["3", "4"]}, "'1' is not one of A, B; an index may count from 0 or from 1"),
        ("choice", {"answer": "4", "choices": {"A": "3", "B": "4"}}, "'4' is not one of A, B; an index"),
        ("choice", {"answer": "four", "choices": ["three", "four"]}, "'four' is not one of A, B; correct it, leave"),
        ("code", {"tests": "[1"}, "the tests of the problem are text, and not JSON"),
        ("code", {"tests": [{"input": "1"}]}, "test 1 of the problem is neither input and output nor an assert"),
        ("code", {"tests": ["assert f("]}, "test 1 of the problem is not Python: line 1"),
        ("code", {"tests": ["assert f(1)", "1 2"]}, "test 2 of the problem is not Python"),
        ("code", {"tests": ["f(1) == 2"]}, "test 1 of the problem asserts nothing: 'f"),
        (
            "code",
            {"tests": ["def test_f():\n    assert f(1) == 2"]},
            "test 1 of the problem asserts nothing: 'def test",
        ),
        (
            "code",
            {"tests": ["assert f(1)"], "test_imports": [5]},
            "test_imports and test_setup_code of the problem have",
        ),
        ("code", {"tests": ["assert f(1)"], "test_imports": 5}, "have to be text"),
        ("code", {"tests": ["assert f(1)"], "test_setup_code": ["x = 1"]}, "have to be text"),
        ("code", {"tests": "[]"}, "the problem has no tests"),
        (
            "code",
            {"tests": {"inputs": ["1"], "outputs": ["2"]}},
            "the tests of the problem are a dict; a list is wanted",
        ),
        ("{name: all, of: [exact, number]}", {"answer": "four"}, "'four' is not a number"),
        ("{name: any, of: [choice, number]}", {"answer": "four"}, "'four' is not one of A"),
    ],
)
def test_what_the_verifier_cannot_read_is_refused_with_its_row(
    tmp_path: Path, verifier: str, row: dict[str, Any], words: str
) -> None:
    path = jsonl(tmp_path, {"prompt": "2 + 2"} | row)
    meta = [name for name in row if name != "answer"]
    with pytest.raises(TaskError, match=words) as error:
        read(path, verifier=load_yaml(verifier), meta_columns=meta)
    assert str(error.value).startswith(f"{path}, line 1: ")


def test_a_column_that_a_verifier_needs_and_nobody_named_is_asked_for(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"prompt": "Double it.", "tests": ["assert f(1) == 2"]})
    with pytest.raises(
        TaskError, match=r"line 1: the problem has no tests; name the column of its tests in task\.meta"
    ):
        read(path, verifier="code")


@pytest.mark.parametrize(
    "columns",
    [
        {"tests": ["assert f(1) == 2", "assert f(0) == 0"]},
        {"tests": json.dumps([{"input": "1", "output": "2"}])},
        {"tests": json.dumps(["assert f(1) == 2"])},
        {"test_list": ["assert f(1) == 2"]},
        {"test_list": ["assert f(1) == 2"], "test_imports": ["import math"], "test_setup_code": ""},
    ],
    ids=str,
)
def test_tests_are_read_as_data_sets_have_them(tmp_path: Path, columns: dict[str, Any]) -> None:
    [problem] = read(
        jsonl(tmp_path, {"prompt": "Double it."} | columns),
        verifier="code",
        meta_columns=list(columns),
        answer_column="x",
    )
    assert problem.meta == columns, "what is on record is what the file says"


@pytest.mark.torch
@pytest.mark.parametrize("command", [["load"], ["run", "--dry-run"]], ids=str)
def test_the_verifier_that_selects_is_asked_before_anything_is_sampled(
    byheart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, command: list[str]
) -> None:
    jsonl(tmp_path, *({"prompt": f"{n} + 1", "answer": n + 1} for n in range(9)))
    task = "{name: file, path: mine.jsonl, verifier: number, num_train: 2, num_dev: 2, num_held_out: 2}"
    (tmp_path / "r.yaml").write_text(f"name: r\nmodel: {{name: smollm2-135m}}\ntask: {task}\nverifier: choice\n")
    done = byheart(*command, "r.yaml")
    assert done.returncode == 2
    assert "byheart: file: choice can't read what 9 of 9 problems are judged by, such as " in done.stderr
    assert "Traceback" not in done.stderr
