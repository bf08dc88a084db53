"""The tables that end a command, from runs that Run really wrote."""

from __future__ import annotations

import json
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


def output(capsys: pytest.CaptureFixture[str], show: Any, *arguments: Any) -> str:
    """What is shown, each table's row in one line."""
    show(*arguments)
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if "│" in line) <= 120
    return re.sub(r"[ │]+", " ", out)


def numbers(out: str, row: str) -> list[float]:
    """Those of the last row that begins so, beside what is in `row` itself."""
    line = [line for line in out.splitlines() if line.startswith(f" {row} ")][-1]
    rest = re.sub(r"(?<=\d),(?=\d)", "", line.removeprefix(f" {row} "))
    return [float(number) for number in re.findall(r"(?<![\d.])[-+]?\d+(?:\.\d+)?", rest)]


def metrics(folder: Path, n: int) -> dict[str, Any]:
    metrics_: dict[str, Any] = json.loads((folder / f"round-{n:03}" / "metrics.json").read_text())
    return metrics_


def interval(row: dict[str, Any], key: str = "accuracy") -> list[float]:
    return [row[key], row["low"], row["high"]]


def near(*values: float | list[float]) -> Any:
    """These numbers, rounded as tables round them."""
    flat = [number for value in values for number in (value if isinstance(value, list) else [value])]
    return pytest.approx(flat, abs=0.0051)


def test_a_command_ends_with_every_way_to_answer_and_what_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(tmp_path / "r", [0.2, 0.7], samples=8, slow=0.7)
    out = output(capsys, terminal.show_result, folder)
    held_out = out[out.index("held out (40)") : out.index("trained on, worked")]
    split = metrics(folder, 1)["splits"]["held_out"]
    before, after, paired = split["before"], split["after"], split["paired"]
    for kind in ("fast", "worked"):
        sides, tokens = (
            [*interval(before[kind]), *interval(after[kind])],
            [before[kind]["tokens"], after[kind]["tokens"]],
        )
        assert numbers(held_out, kind) == near(sides, interval(paired[kind], "change"), tokens)
    assert numbers(held_out, "slow (40)") == near(interval(before["slow"]), before["slow"]["tokens"])
    assert numbers(held_out, "by heart") == near(interval(split["by_heart"], "ratio"))
    assert numbers(held_out, "maj@8") == near(interval(before["maj@8"], "rate"), interval(after["maj@8"], "rate"))
    assert "By heart, held out: The fast answer has caught up with the slow one" in out
    assert "The worked answers to the development problems decide: +0.500" in out


def test_a_wordy_problem_is_told_by_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wordy = f"Please be so kind as to tell me, {'very ' * 20}calmly, and with nothing but the number: {{asked}}"
    shown = output(capsys, terminal.show_result, finish(tmp_path / "r", [0.2, 0.7], wording=wordy))
    assert "e.g. Please be so kind as […] " in shown
    assert re.search(r"but the number: What is 2\d \+ 1\?", " ".join(shown.split()))


def test_status_has_a_line_a_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "r", [0.2, 0.7, 0.3], slow=0.8)
    out = output(capsys, terminal.show_status, folder)
    for n, promoted in ((1, "yes"), (2, "no")):
        split = metrics(folder, n)["splits"]["held_out"]
        after, before = split["after"], split["before"]
        rates = [*interval(after["fast"]), after["worked"]["accuracy"], before["slow"]["accuracy"]]
        *shown, _ = numbers(out, f"{n} finished")
        assert shown == near(rates, interval(split["by_heart"], "ratio"), after["fast"]["tokens"], 1234)
        assert re.search(rf"{n} finished .* {promoted}\b", out)
    assert "1 after sample" in output(capsys, terminal.show_status, begin(tmp_path / "begun"))


def test_names_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tmp_path / "r", [0.2])
    recipe = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(recipe.replace("some/model", "'[/x] [b]m'"))
    terminal.show_status(folder)
    assert "[/x] [b]m, task" in capsys.readouterr().out


def test_what_is_asked_twice_in_the_same_way_has_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [finish(tmp_path / name, [0.2, right], same=True) for name, right in (("a", 0.7), ("b", 0.8))]
    result = output(capsys, terminal.show_result, folders[0])
    assert "fast 0.200" in result and "The fast answers to the development problems decide" in result
    status = output(capsys, terminal.show_status, folders[0])
    fast = interval(metrics(folders[0], 1)["splits"]["held_out"]["after"]["fast"])
    assert numbers(status, "1 finished")[:5] == near(fast, 0.7, 1.0)
    shown = output(capsys, terminal.show_comparison, compare(folders), False)
    assert numbers(shown, "b fast")[:3] == near(1, 40, 0.1)
    fast = interval(metrics(folders[1], 1)["splits"]["held_out"]["after"]["fast"])
    assert numbers(shown, "held out 40 1 b") == near(fast, 3.0, 4321)
    assert not any("worked" in out for out in (result, status, shown))


def test_a_comparison_names_every_run_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a_name_that_says_which_model_and_task_and_strategy_and_seed"
    folders = [finish(tmp_path / seed / long, [0.2, 0.5]) for seed in ("1", "2")]
    terminal.show_comparison(compare(folders), False)
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines() if "│" in line]
    names = "".join(cells[3].strip() for cells in rows if len(cells) == 9)
    assert names.startswith(f"1/{long}2/{long}1/{long}2/{long}")
    assert "…" not in names and str(tmp_path) not in names


def test_a_comparison_shows_where_runs_stood_and_how_sure_one_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [finish(tmp_path / "a", [0.2, 0.4, 0.5]), finish(tmp_path / "b", [0.2, 0.9])]
    comparison = compare(folders)
    out = output(capsys, terminal.show_comparison, comparison, False)
    for name, words in (("held_out", "held out"), ("dev", "development")):
        for folder, n, sampled in ((folders[0], 2, 2 * 4321), (folders[1], 1, 4321)):
            after = metrics(folder, n)["splits"][name]["after"]
            tokens = [after["fast"]["tokens"], after["worked"]["tokens"]]
            rates = interval(after["fast"]) + interval(after["worked"])
            assert numbers(out, f"{words} 40 {n} {folder.name}") == near(rates, tokens, sampled)
    assert numbers(out, "b fast")[:3] == near(1, 40, 0.4), "and how sure that is, which compare works out"
    assert "fast: b is better than a" in out and "Not at equal cost: b sampled 4,321 tokens" in out
    by_round = output(capsys, terminal.show_comparison, comparison, True)
    assert numbers(by_round, "held out 40 0 b")[0] == 0.2 and numbers(by_round, "held out 40 1 a")[0] == 0.4


def test_a_tree_is_shown_as_it_was_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = begin(tmp_path / "r", tree=TREE)
    problem = make_problems().train[0]
    terminal.show_tree(folder, None, problem.id[:6])
    asked, *lines, legend = capsys.readouterr().out.splitlines()
    assert "What is 0 + 1?" in asked and problem.id in asked
    assert "green" in legend
    facts = [
        ("2 + 3 = 5", "g 0.75", "3 visits"),
        ("so 5", "value 0.90", "whole"),
        ("[bold]6[/]", "hopeless"),
        ("too deep",),
    ]
    assert [all(fact in line for fact in of) for line, of in zip(lines, facts, strict=True)] == [True] * 4
    depths = [len(re.split("[a-z0-9]", line, maxsplit=1)[0]) for line in lines]
    assert depths[0] == depths[3] < depths[1] == depths[2]


@pytest.mark.parametrize(
    ("n", "problem", "why"),
    [(None, "ffff", "no tree was searched for a problem"), (7, "0", "there is no round 7")],
)
def test_a_tree_that_is_not_there_is_one_clear_line(tmp_path: Path, n: int | None, problem: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        terminal.show_tree(begin(tmp_path / "r", tree=TREE), n, problem)


def test_without_a_search_there_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only strategies such as q_star, mcts and beam search trees"):
        terminal.show_tree(begin(tmp_path / "r"), None, make_problems().train[0].id)
