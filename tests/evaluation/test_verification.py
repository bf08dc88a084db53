"""`byheart verify FILE`: a tool in itself, for rows from anywhere."""

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from byheart.errors import InputError
from byheart.evaluation.verification import verify_file

from tests.conftest import ROOT, interruptible

Call = Callable[..., "subprocess.CompletedProcess[str]"]


def written(path: Path, *rows: Any) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def judged(tmp_path: Path, verifier: str, *rows: Any) -> tuple[bool, list[dict[str, Any]]]:
    out = tmp_path / "judged.jsonl"
    good = verify_file(written(tmp_path / "rows.jsonl", *rows), verifier, out)
    return good, [json.loads(line) for line in out.read_text().splitlines()]


def test_rows_come_back_in_order_with_what_was_found(tmp_path: Path) -> None:
    good, rows = judged(
        tmp_path,
        "number",
        {"id": 1, "answer": "42", "response": "so 42"},
        {"answer": 42, "response": "43", "extracted": "old"},
        {"answer": None, "response": "43"},
    )
    assert good
    assert rows[0] == {"id": 1, "answer": "42", "response": "so 42", "score": 1.0, "extracted": "42"} | {
        "found": "the last number",
        "reason": "",
    }
    assert [row["score"] for row in rows] == [1.0, 0.0, None]
    assert rows[1]["extracted"] == "43"
    assert "no gold answer" in rows[2]["reason"]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("nonsense", "not JSON"),
        ("[1]", "a JSON object is wanted"),
        ({"answer": "4"}, "no response"),
        ({"answer": "4", "response": 4}, "no response"),
        ({"response": "4"}, "no answer"),
        ({"answer": [4], "response": "4"}, "several accepted answers"),
        ({"answer": {"text": "4"}, "response": "4"}, "an object with text"),
        ({"answer": True, "response": "4"}, "a truth value"),
        ('{"answer": 1e999, "response": "4"}', "infinite"),
        ('{"answer": "4", "response": "4", "response": "5"}', "the key 'response' is there twice"),
        ({"answer": "4", "completion": []}, "no response"),
        ({"answer": "4", "completion": [{"role": "assistant", "content": ["4"]}]}, "no response"),
        ('{"answer": "4", "response": "\\ud800"}', "not UTF-8"),
        ('{"answer": NaN, "response": "4"}', "NaN"),
    ],
)
def test_a_bad_row_is_said_with_its_line_and_the_others_are_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: Any, why: str
) -> None:
    fine = {"answer": "4", "response": "4"}
    good, rows = judged(tmp_path, "number", fine, "", bad, fine)
    assert not good
    assert [row["score"] for row in rows] == [1.0, 1.0]
    message = "".join(capsys.readouterr().err.split())  # however long the name of the folder is, lines break somewhere
    assert "rows.jsonl,line3" in message
    assert why.replace(" ", "") in message


def test_an_answer_is_what_its_column_meant(tmp_path: Path) -> None:
    rows = [{"answer": answer, "response": "28"} for answer in (28.0, 28, "28", "28.0")]
    good, caught = judged(tmp_path, "exact", *rows)
    assert good
    assert [row["score"] for row in caught] == [1.0, 1.0, 1.0, 0.0]
    assert [row["answer"] for row in caught] == [28.0, 28, "28", "28.0"], "rows come back as they were"


def test_the_rows_of_a_data_set_of_byheart_are_judged_as_they_are(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "2 + 2"}]
    rows: list[dict[str, Any]] = [
        {"prompt": chat, "completion": [{"role": "assistant", "content": "It is 4."}], "answer": "4", "score": 0.0},
        {"prompt": "2 + 2 =", "completion": " 5", "answer": "4", "problem_id": "x"},
        {"prompt": "2 + 2 =", "completion": " 5", "response": "4", "answer": "4"},
    ]
    good, caught = judged(tmp_path, "number", *rows)
    assert good
    assert [row["score"] for row in caught] == [1.0, 0.0, 1.0]
    assert [row["completion"] for row in caught] == [row["completion"] for row in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_read_as_tasks_read_it(tmp_path: Path, end: str, packed: bool) -> None:
    source, out = tmp_path / ("rows.jsonl.gz" if packed else "rows.jsonl"), tmp_path / "judged.jsonl"
    text = "".join(json.dumps({"n": n, "answer": "4", "response": str(n)}) + end for n in range(2000))
    source.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert verify_file(str(source), "number", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["n"] for row in rows] == list(range(2000))
    assert [row["n"] for row in rows if row["score"] == 1.0] == [4]


def test_an_archive_that_is_broken_is_said_to_be_and_what_came_before_is_judged(tmp_path: Path) -> None:
    text = "".join(json.dumps({"answer": "4", "response": f"{n * 7919 % 10007}"}) + "\n" for n in range(20_000))
    whole = gzip.compress(text.encode())
    half = len(whole) // 2
    flipped = whole[:half] + bytes(byte ^ 0xFF for byte in whole[half : half + 12]) + whole[half + 12 :]
    for content in (whole[:half], flipped, b"no archive"):
        (tmp_path / "rows.jsonl.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"rows\.jsonl\.gz: can't be read to its end: ") as error:
            verify_file(str(tmp_path / "rows.jsonl.gz"), "number", tmp_path / "judged.jsonl")
        assert "\n" not in str(error.value)
        assert bool((tmp_path / "judged.jsonl").read_text()) == (content != b"no archive")


@pytest.mark.sandbox
def test_tests_are_taken_as_data_sets_have_them(tmp_path: Path) -> None:
    right = "```python\ndef add(a, b): return a + b\n```"
    rows = [
        {"response": right, "tests": ["assert add(1, 2) == 3"]},
        {"response": right, "test_list": ["assert add(1, 2) == 4"]},
        {"response": right, "tests": json.dumps([{"assert": "assert add(1, 2) == 3"}])},
        {"response": right, "tests": "none"},
    ]
    good, caught = judged(tmp_path, "code", *rows)
    assert good
    assert [row["score"] for row in caught] == [1.0, 0.0, 1.0, None]
    assert not judged(tmp_path, "code", {"response": right})[0]


def test_options_and_combinations_are_said_in_yaml(tmp_path: Path) -> None:
    row = {"answer": "100", "response": "99"}
    assert judged(tmp_path, "{name: number, tolerance: 0.02}", row)[1][0]["score"] == 1.0
    assert judged(tmp_path, "{name: all, of: [number, exact]}", row)[1][0]["score"] == 0.0


@pytest.mark.slow
def test_more_rows_than_are_read_ahead_keep_their_order_though_some_hang(tmp_path: Path) -> None:
    rows = [{"n": n, "answer": "4", "response": "a" * 30 + "!" if n == 700 else "4"} for n in range(2500)]
    good, caught = judged(tmp_path, "{name: regex, pattern: '((a+)+$|4)', time_limit: 3.0}", *rows)
    assert good
    assert [row["n"] for row in caught] == list(range(2500))
    assert [row["n"] for row in caught if row["score"] is None] == [700]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("verifier", "why"),
    [
        ("nummer", "did you mean 'number'?"),
        ("{name: number, tolerence: 1}", "did you mean 'tolerance'?"),
        ("consensus", "for a recipe"),
        ("{name: model_judge, alone: true}", "no policy here"),
        ("{name: remote_judge, url: 'http://x/v1', model: m}", "alone: true"),
        ("[1", "--verifier"),
    ],
)
def test_a_verifier_that_is_not_known_or_not_for_here_is_refused(
    byheart: Call, tmp_path: Path, verifier: str, why: str
) -> None:
    done = byheart("verify", written(tmp_path / "rows.jsonl"), "--verifier", verifier)
    assert done.returncode == 2
    assert why in done.stderr


@pytest.mark.torch
def test_files_that_are_not_there_or_are_the_same(byheart: Call, tmp_path: Path) -> None:
    rows = written(tmp_path / "rows.jsonl", {"answer": "4", "response": "4"})
    assert byheart("verify", str(tmp_path / "none.jsonl"), "--verifier", "number").returncode == 2
    assert "--verifier is missing" in byheart("verify", rows).stderr
    assert byheart("verify", "/proc/self/mem", "--verifier", "number").returncode == 2  # it opens, and can't be read
    same = byheart("verify", rows, "--verifier", "number", "--out", rows)
    assert same.returncode == 2
    assert Path(rows).read_text()


def test_a_row_nested_too_deeply_for_a_worker_costs_itself(tmp_path: Path) -> None:
    deep = '{"answer": "4", "response": "4", "x": ' + "[" * 700 + "]" * 700 + "}"
    _, rows = judged(tmp_path, "{name: regex, pattern: '4'}", deep, {"answer": "4", "response": "4"})
    assert [row["score"] for row in rows] == [None, 1.0]


def test_ctrl_c_in_a_pipe_ends_it_with_130() -> None:
    command = [sys.executable, "-m", "byheart.cli", "verify", "-", "--verifier", "math"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True, preexec_fn=interruptible
    ) as running:
        assert running.stdin
        assert running.stdout
        running.stdin.write(json.dumps({"answer": "4", "response": "4"}) + "\n")
        running.stdin.flush()
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130


def test_in_a_pipe_each_row_is_answered_before_the_next_is_written() -> None:
    command = [sys.executable, "-m", "byheart.cli", "verify", "-", "--verifier", "number"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        assert running.stdin
        assert running.stdout
        for response, score in (("4", 1.0), ("5", 0.0), ("x", 0.0)):
            running.stdin.write(json.dumps({"answer": "4", "response": response}) + "\n")
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["score"] == score
        running.stdin.write("bad\n")
        running.stdin.close()
        assert running.wait(20) == 1
        assert running.stderr
        assert "4 rows: 1 right, 2 wrong, 0 unjudged, 1 bad" in " ".join(running.stderr.read().split())
