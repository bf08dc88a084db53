"""A file is whole or the old one; a journal is torn at its last line at most."""

from pathlib import Path
from typing import Any

import pytest
from byheart.errors import RunError
from byheart.files import Journal, Records, read_records, write_json, write_records, write_text
from byheart.types import Problem, Step


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    write_text(path, "old\n")
    return path


def test_a_file_is_replaced_whole(old: Path) -> None:
    write_text(old, "new 7 × 8\n")
    assert old.read_text("utf-8") == "new 7 × 8\n"
    assert list(old.parent.iterdir()) == [old]


def test_who_reads_a_file_while_it_is_replaced_sees_the_old_one_whole(old: Path) -> None:
    with old.open() as reader:
        write_text(old, "new\n")
        assert reader.read() == "old\n"


def test_a_write_that_fails_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(old, "new" * 100_000 + "\ud800")
    assert old.read_text() == "old\n"
    assert list(old.parent.iterdir()) == [old]


def test_what_is_no_json_leaves_the_old_file(old: Path) -> None:
    with pytest.raises(TypeError):
        write_json(old, {"a": object()})
    assert old.read_text() == "old\n"


STEPS = [Step("7 × 8"), Step("line\nbreak", 0.25, 3), Step("the last: 56 ✓", 1.0, 2)]


def journal(folder: Path, *steps: Step) -> Path:
    """A journal as one process writes it; the file it wrote."""
    writer = Journal(folder, "steps", Step)
    for one in steps:
        writer.append(one)
    writer.close()
    return sorted(folder.glob("steps-*"))[-1]


def read(folder: Path) -> list[Step]:
    return Journal(folder, "steps", Step).read()


def test_a_journal_is_read_in_the_order_in_which_processes_wrote_it(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    first, second = journal(tmp_path, *STEPS[:2]), journal(tmp_path, STEPS[2])
    assert first != second
    assert read(tmp_path) == STEPS


def test_a_line_torn_anywhere_is_owed_again_and_nothing_else_is(tmp_path: Path) -> None:
    path = journal(tmp_path, *STEPS)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        assert read(tmp_path) == STEPS[:2]
    path.write_bytes(whole[: last + 9])
    journal(tmp_path, STEPS[2], Step("more"))
    assert read(tmp_path) == [*STEPS, Step("more")]


def test_a_record_is_on_disk_as_soon_as_it_is_appended(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "steps", Step)
    for count, one in enumerate(STEPS, 1):
        writer.append(one)
        assert read(tmp_path) == STEPS[:count]
    writer.close()


@pytest.mark.parametrize(
    "mark", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\x00"], ids=ascii
)
def test_no_character_in_a_text_breaks_a_line(tmp_path: Path, mark: str) -> None:
    steps = [Step(f"before{mark}after"), Step("next")]
    journal(tmp_path, *steps)
    assert read(tmp_path) == steps
    write_records(tmp_path / "whole.jsonl", steps)
    assert read_records(tmp_path / "whole.jsonl", Step) == steps


def test_records_are_read_when_they_are_asked_for_from_whichever_file_they_are_in(tmp_path: Path) -> None:
    first, second = journal(tmp_path, *STEPS[:2]), journal(tmp_path, STEPS[2])
    records = Journal(tmp_path, "steps", Step).records()
    assert (len(records), records[-1], records[1:], list(records)) == (3, STEPS[2], STEPS[1:], STEPS)
    assert list(records.at([2, 0])) == [STEPS[2], STEPS[0]]
    first.unlink()
    assert records[2] == STEPS[2]
    with pytest.raises(FileNotFoundError):
        records[0]
    with pytest.raises(IndexError):
        records[3]
    second.write_bytes(second.read_bytes()[:-1])
    assert list(Journal(tmp_path, "steps", Step).records()) == []


@pytest.mark.parametrize("read", [read_records, lambda path, kind: list(Records(kind, [path]))], ids=["whole", "parts"])
def test_a_line_of_another_version_is_named(tmp_path: Path, read: Any) -> None:
    write_records(tmp_path / "steps.jsonl", [*STEPS, Problem.of("2 + 2", "4", "number")])
    with pytest.raises(RunError, match=r"steps.jsonl, line 4: not a Step of this version"):
        read(tmp_path / "steps.jsonl", Step)


def test_journals_of_other_names_in_the_same_directory_are_left_alone(tmp_path: Path) -> None:
    journal(tmp_path, STEPS[0])
    Journal(tmp_path, "others", Step).append(STEPS[1])
    assert read(tmp_path) == STEPS[:1]
