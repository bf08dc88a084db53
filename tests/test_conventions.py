"""What users expect of any command: its help, its version, its colours, its paths, and one line for what went wrong."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from byheart import cli

from tests.conftest import environment
from tests.report.runs import begin, finish

COMMANDS = [command.name or "" for command in cli.app.registered_commands if command.name] + ["run", "status", "show"]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command's entry, in `tmp_path`: its exit code, and what it prints."""

    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["byheart", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return called


@pytest.mark.parametrize("command", COMMANDS)
def test_h_is_help(call: Call, command: str) -> None:
    asked = call(command, "-h")
    assert asked == call(command, "--help")
    assert asked[0] == 0 and f"byheart {command}" in asked[1]


def test_the_version_is_told(call: Call) -> None:
    code, out, _ = call("--version")
    assert code == 0 and re.match(r"byheart \d+\.\d+", out)


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [
        ("run", "--run-dir", "runs/<name of the recipe>"),
        ("run", "--rounds", "the recipe's"),
        ("load", "--run-dir", "runs/<name of the recipe>"),
        ("show", "--round", "the last one"),
        ("show", "--limit", "10"),
        ("verify", "--out", "standard output"),
        ("schema", "--out", "standard output"),
        ("compare", "--split", "held_out"),
    ],
)
def test_the_help_has_the_default(call: Call, command: str, option: str, default: str) -> None:
    _, out, _ = call(command, "--help")
    row = next(line for line in out.splitlines() if option in line)
    assert re.search(rf"\[default: \(?{re.escape(default)}\)?\]", row)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument 'recipe'"),
        (["status"], "Missing argument"),
        (["run", "addition", "--run_dir", "x"], "No such option: --run_dir"),
        (["show", "x", "--limit", "0"], "Invalid value for '--limit'"),
        (["show", "x", "--limit", "many"], "Invalid value for '--limit'"),
    ],
)
def test_a_command_that_is_mistyped_is_told_in_one_line(call: Call, arguments: list[str], words: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("byheart: ") and words in err and err.count("\n") == 1


def test_a_message_is_not_broken_where_there_is_no_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = "/".join(["a directory"] * 20)
    code, _, err = call("status", long)
    assert code == 2
    assert err.count("\n") == 1 and long in err


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_has_no_colours(tmp_path: Path, no_color: bool) -> None:
    """In a terminal."""
    ours, theirs = pty.openpty()
    env = {key: value for key, value in environment(TERM="xterm-256color").items() if key != "NO_COLOR"}
    env |= {"NO_COLOR": "1"} if no_color else {}
    command = [sys.executable, "-m", "byheart.cli", "status", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, env=env, stdout=theirs, stderr=theirs, check=False)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    assert done.returncode == 2 and "not a run directory" in said
    assert ("\x1b[31m" in said) is not no_color


def test_a_tilde_is_the_home_directory(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    begin(home / "run")
    assert call("status", "~/run")[0] == 0
    assert call("schema", "--out=~/schema.json")[0] == 0
    assert call("recipes", "addition", "--copy=~/mine/r.yaml")[0] == 0
    assert call("run", "~/mine/r.yaml", "--dry-run", "--run-dir=~/other")[0] == 0
    finish(home / "a", [0.2, 0.5])
    finish(home / "b", [0.2, 0.7])
    assert call("compare", "~/a", "~/b", "--page=~/page.html")[0] == 0
    assert (home / "page.html").is_file()
    assert not (tmp_path / "~").exists()
    assert call("status", "~no-such-user/run")[0] == 2


def test_a_dry_run_of_another_recipe_is_a_plan_that_says_so(call: Call, tmp_path: Path) -> None:
    recipe, folder = tmp_path / "r.yaml", begin(tmp_path / "run")
    recipe.write_text("extends: addition\nname: r\n")
    code, out, err = call("run", recipe, "curation.keep=3", "--dry-run", f"--run-dir={folder}")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "without --dry-run this is refused" in words and "curation.keep: 4 -> 3" in words
    assert "name a new run with --run-dir" in words and "--redo-from" in words
    code, out, _ = call("run", recipe, "curation.keep=3", "--dry-run", f"--run-dir={folder}", "--redo-from", 1)
    assert code == 0 and "this begins at round 1" in out
    code, _, err = call("run", recipe, "--dry-run", f"--run-dir={folder}", "--redo-from", 5)
    assert code == 3 and "only 0 rounds are finished" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "addition", "--dry-run", "--run-dir", "afile"], 2),
        (["run", "addition", "--run-dir", "afile"], 2),
        (["load", "addition", "--run-dir", "afile"], 2),
        (["status", "afile"], 2),
        (["report", "afile/x"], 2),
        (["schema", "--out", "afile/schema.json"], 3),
        (["schema", "--out", "/proc/schema.json"], 3),
        (["schema", "--out", "n" * 300], 3),
        (["compare", "a", "b", "--page", "afile/x.html"], 2),
        (["compare", "a", "b", "--page", "/proc/x.html"], 3),
        (["recipes", "addition", "--copy", "/proc/r.yaml"], 3),
        (["recipes", "addition", "--copy", "afile"], 2),
        (["status", "x" * 300], 3),
        (["run", "addition", f"task.path={'x' * 300}"], 2),
    ],
)
def test_a_place_that_does_not_do_is_told_in_one_line(
    call: Call, tmp_path: Path, arguments: list[str], code: int
) -> None:
    (tmp_path / "afile").write_text("mine")
    if arguments[0] == "compare":
        finish(tmp_path / "a", [0.2, 0.5])
        finish(tmp_path / "b", [0.2, 0.7])
    ended, _, err = call(*arguments)
    assert ended == code, err
    assert err.startswith("byheart: ") and err.count("\n") == 1
    assert (tmp_path / "afile").read_text() == "mine"
