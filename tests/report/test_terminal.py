"""The tables that end a command, from runs that Run really wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from byheart.errors import InputError
from byheart.report import terminal
from byheart.report.comparison import compare

from tests.report.runs import TREE, begin, finish, make_problems


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 120)


def said(capsys: pytest.CaptureFixture[str], show: Any, *arguments: Any) -> str:
    """What is shown, each table's row in one line."""
    show(*arguments)
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if "│" in line) <= 120
    return re.sub(r"[ │]+", " ", out)


def test_a_command_ends_with_every_way_to_answer_and_what_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys, terminal.show_result, finish(tmp_path / "r", [0.2, 0.7], samples=8, slow=0.7))
    held_out = out[out.index("held out (40)") : out.index("trained on, worked")]
    for row in (
        "fast 0.200 (0.10-0.35) 0.700 (0.55-0.82) +0.500 (+0.35 to +0.65) 3.0 → 3.0",
        "worked 0.300 (0.18-0.45) 0.800 (0.65-0.90) +0.500 (+0.35 to +0.65) 26.0 → 16.0",
        "slow (40) 0.700 (0.55-0.82) 160.0",
        "by heart 1.00 (0.",
        "maj@8",
    ):
        assert row in held_out, held_out
    assert "By heart, held out: The fast answer has caught up with the slow one" in out
    assert "The worked answers to the development problems decide: +0.500 (+0.35 to +0.65), p worse 1.000." in out


def test_a_wordy_problem_is_told_by_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wordy = f"Please be so kind as to tell me, {'very ' * 20}calmly, and with nothing but the number: {{asked}}"
    shown = said(capsys, terminal.show_result, finish(tmp_path / "r", [0.2, 0.7], wording=wordy))
    assert "e.g. Please be so kind as […] " in shown
    assert re.search(r"but the number: What is 2\d \+ 1\?", " ".join(shown.split()))


def test_status_has_a_line_a_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, terminal.show_status, finish(tmp_path / "r", [0.2, 0.7, 0.3], slow=0.8))
    assert re.search(r"1 finished 0.700 \(0.55-0.82\) 0.800 0.800 0.88 \(.*\) 3.0 1234 \d+ yes", out)
    assert re.search("2 finished 0.300 .* no", out)
    assert "1 after sample" in said(capsys, terminal.show_status, begin(tmp_path / "begun"))


def test_what_is_asked_twice_in_the_same_way_has_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [finish(tmp_path / name, [0.2, right], same=True) for name, right in (("a", 0.7), ("b", 0.8))]
    result = said(capsys, terminal.show_result, folders[0])
    assert "fast 0.200" in result and "The fast answers to the development problems decide" in result
    status = said(capsys, terminal.show_status, folders[0])
    assert re.search(r"1 finished 0.700 \(0.55-0.82\) 0.700 1.00 ", status)
    found = said(capsys, terminal.show_comparison, compare(folders), False)
    assert "b fast 40 +0.100" in found and "b 0.800 (0.65-0.90) 3.0 4,321" in found
    assert not any("worked" in out for out in (result, status, found))


def test_a_comparison_names_every_run_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a_name_that_says_which_model_and_task_and_strategy_and_seed"
    folders = [finish(tmp_path / seed / long, [0.2, 0.5]) for seed in ("1", "2")]
    terminal.show_comparison(compare(folders), False)
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    names = "".join(cells[4].strip() for cells in rows if len(cells) == 10)
    assert names.startswith(f"1/{long}2/{long}1/{long}2/{long}")
    assert "…" not in names and str(tmp_path) not in names


def test_a_comparison_shows_where_runs_stood_and_how_sure_one_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare([finish(tmp_path / "a", [0.2, 0.4, 0.5]), finish(tmp_path / "b", [0.2, 0.9])])
    out = said(capsys, terminal.show_comparison, found, False)
    assert "held out 40 2 a 0.500 (0.35-0.65) 0.600 (0.45-0.74) 3.0, 20.0 8,642" in out
    assert "development 40 1 b 0.900 (0.77-0.96) 1.000 (0.91-1.00) 3.0, 12.0 4,321" in out
    assert "b fast 40 +0.400 (+0.25 to +0.55) 16 0 < 0.001 < 0.001" in out
    assert "fast: b is better than a" in out and "Not at equal cost: b sampled 4,321 tokens and a 8,642" in out
    by_round = said(capsys, terminal.show_comparison, found, True)
    assert "held out 40 0 b 0.200" in by_round and "held out 40 1 a 0.400" in by_round


def test_a_tree_is_shown_as_it_was_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = begin(tmp_path / "r", tree=TREE)
    problem = make_problems().train[0]
    terminal.show_tree(folder, None, problem.id[:6])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("What is 0 + 1?  answer 1")
    assert [line.rstrip() for line in lines[1:]] == [
        "├── 2 + 3 = 5  f 1.25, g 0.75, h 0.50, value 0.75, mean 0.50, 3 visits",
        "│   ├── so 5  value 0.90, written 2 times, whole",
        "│   └── or [bold]6[/]  value 0.04, hopeless",
        "└── hm  too deep",
        "green is what was chosen",
    ]


@pytest.mark.parametrize(
    ("n", "problem", "why"),
    [(None, "ffff", "no tree was searched for a problem"), (7, "0", "there is no round 7")],
)
def test_a_tree_that_is_not_there_is_one_clear_line(tmp_path: Path, n: int | None, problem: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        terminal.show_tree(begin(tmp_path / "r", tree=TREE), n, problem)


def test_without_a_search_there_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only q_star, mcts and beam search one"):
        terminal.show_tree(begin(tmp_path / "r"), None, make_problems().train[0].id)
