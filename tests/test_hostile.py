"""Names, paths and texts from outside, of whatever characters: no command is steered by them, or takes them for
patterns, markup or options."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from byheart import cli
from byheart.files import dump_yaml, load_yaml
from byheart.report.charts import Chart, Line, Point

from tests.conftest import environment
from tests.report.runs import begin, finish
from tests.warm import Warm

EVIL = "\x1b]0;PWNED\x07\x1b[2J\x9b2J\r\u202e[/q8] [link=x]\u2066 :smile: {{ 7 * 7 }}"
"""A window's title, a screen cleared by two codes, a line overwritten, text turned around, and markup."""

PROGRAM = f"def f(x):\n    return x  # {EVIL}\nprint(f(ANSWER))"

COMMANDS = {
    "run": ["evil.yaml", "--dry-run"],
    **{stage: [f"{EVIL}.yaml"] for stage in ("load", "baseline", "sample", "curate", "controls", "train", "evaluate")},
    "verify": ["rows.jsonl", "--verifier", "number"],
    "pull": [f"memory://{EVIL}"],
    "status": ["run"],
    "show": ["run", "--problem", "What"],
    "report": [f"run {EVIL.replace('/', '')}"],
    "compare": ["run", f"run {EVIL.replace('/', '')}"],
    "publish": ["run", "--to", EVIL, "--dry-run"],
    "doctor": [EVIL],
    "recipes": [EVIL],
    "options": [EVIL],
    "schema": [EVIL],
}
"""Command -> arguments by which it has to show what came from outside, or to quote it."""


def steering(text: str) -> set[str]:
    """The characters of `text` that steer what shows it."""
    return {character for character in text if not character.isprintable()} - {"\n"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, a recipe and rows, all of them hostile."""
    folder = tmp_path_factory.mktemp("evil")
    for name in ("run", f"run {EVIL.replace('/', '')}"):
        run = finish(folder / name, [0.2, 0.7], wording=f"{{asked}} {EVIL}", groups=(EVIL, "[/]"), by="digits")
        path = run / "recipe.yaml"
        raw = load_yaml(path.read_text("utf-8"))
        raw["model"]["name"] = raw["name"] = EVIL
        path.write_text(dump_yaml(raw), "utf-8")
    rows = [{"prompt": f"{n} {EVIL}", "answer": f"{n}", "response": EVIL, "extra": EVIL} for n in range(3)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"response": "x"}]), "utf-8")
    recipe = {"extends": "addition", "name": "evil", "model": {"name": EVIL}}
    (folder / "evil.yaml").write_text(dump_yaml(recipe), "utf-8")
    return folder


def test_every_command_is_among_those_that_are_tried() -> None:
    registered = {command.name or getattr(command.callback, "__name__", "") for command in cli.app.registered_commands}
    assert registered == COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_is_steered(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, err = called(capsys, monkeypatch, command, *COMMANDS[command])
    assert "Traceback" not in out + err
    assert not steering(out + err), (code, out + err)
    assert re.search(r"\\(u00|x)1b\]0;PWNED", out + err)


def called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    """What a command prints, called by its entry."""
    monkeypatch.setattr("sys.argv", ["byheart", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), *capsys.readouterr()


def test_a_program_is_shown_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tmp_path / "run", responses=[PROGRAM])
    code, out, _ = called(capsys, monkeypatch, "show", str(run), "--limit", "1")
    assert code == 0
    first, second, third = out.splitlines()[-4:-1]  # before what says that there are more
    assert first == "  wrong    def f(x):"
    assert second.startswith(" " * 15 + "return x  # \\u001b]0;PWNED")
    assert third.startswith(" " * 11 + "print(f(")


def test_the_pages_show_what_would_steer_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    called(capsys, monkeypatch, "report", "run")
    called(capsys, monkeypatch, *("compare", *COMMANDS["compare"], "--page", "page.html"))
    for path in ("run/report.html", "page.html"):
        page = Path(path).read_text("utf-8")
        assert not steering(page)
        assert r"\u001b]0;PWNED\u0007\u001b[2J\u009b2J\u000d\u202e[/q8]" in page
        assert "{{ 7 * 7 }}" in page


def test_a_chart_shows_what_would_steer_it() -> None:
    svg = Chart(EVIL, "", [Line(EVIL, [Point(0, 0.5, 0.4, 0.6), Point(1, 0.6, 0.5, 0.7)], 0)]).svg(1)
    assert not steering(svg)
    assert r"\u001b]0;PWNED" in svg


NAMES = (
    "try[1]",
    "a*b?{c,d}",
    'it\'s "so" $HOME `x` ; &',
    "new\nline\tü ☃",
    "50%s %20#x",
    "-rf",
    "~no-such-user",
    "a::b c",
)
"""Names that are patterns, quotes, options, or several words to somebody."""


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_read_wherever_it_lies(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finish(tmp_path / name, [0.2, 0.7])
    finish(tmp_path / "other", [0.2, 0.4])
    for command in (("status",), ("show",), ("report",), ("compare", "other", "--page", f"{name}.html")):
        code, out, err = called(capsys, monkeypatch, *command, "--", name)
        assert (code, err) == (0, ""), (command, out)
    assert (tmp_path / name / "report.html").is_file()
    assert (tmp_path / f"{name}.html").is_file()


@pytest.mark.torch
@pytest.mark.parametrize("name", ["-a[1] *b?{c} ", "~d%s e::f#", "new\nline 'q\" $x `y` ü"])
def test_a_round_is_done_wherever_the_run_lies(name: str, tmp_path: Path, tiny: Path, warm: Warm) -> None:
    decoy = tmp_path / "-a1 XbYc "  # which the first of the names as a pattern would mean
    decoy.mkdir()
    recipe(tmp_path, tiny, "objective: none")
    call = caller(warm, tmp_path)
    done = call("run", "r.yaml", "--dry-run", f"--run-dir=./{name}")
    assert done.returncode == 0, done.stderr
    done = call("run", "r.yaml", f"--run-dir=./{name}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name / "round-001/metrics.json").is_file()
    assert [*decoy.iterdir()] == []
    for command in ("status", "show", "report"):
        done = call(command, f"./{name}")
        assert done.returncode == 0, done.stderr


@pytest.mark.train
def test_a_round_is_trained_on_its_own_rows(tmp_path: Path, tiny: Path, warm: Warm) -> None:
    recipe(tmp_path, tiny, "{name: sft, min_optimizer_steps: 2, max_optimizer_steps: 2, global_batch_size: 2}")
    call = caller(warm, tmp_path)
    made = {}
    for name, seed in (("g/plain", 2), ("g/aXb", 1), ("g/a*b", 2), ("-try[1]::/.hidden", 2)):
        done = call("run", "r.yaml", f"seed={seed}", f"--run-dir={name}")
        assert done.returncode == 0, done.stderr
        made[name] = json.loads((tmp_path / name / "round-001/policy.json").read_text("utf-8"))["id"]
    assert made["g/aXb"] != made["g/plain"] == made["g/a*b"] == made["-try[1]::/.hidden"]
    packed = call("publish", "g/a*b", "--to", "me/sums", "--base", "someone/tiny", "--license", "mit", "--dry-run")
    assert packed.returncode == 0, packed.stderr


def recipe(folder: Path, model: Path, objective: str) -> None:
    """r.yaml, of sums whose answers an engine reads from a script."""
    words = "What is {} + {}? Reply with just the number."
    script = {words.format(a, b): [f"{a + b}"] for a in range(10, 100) for b in range(10, 100)}
    (folder / "script.json").write_text(json.dumps(script))
    (folder / "r.yaml").write_text(f"""
name: r
model: {{name: {model}, max_context: 128}}
task: {{name: arithmetic, num_train: 8, num_dev: 4, num_held_out: 4}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, max_samples: 2}}
objective: {objective.removeprefix("objective: ")}
evaluation: {{num_train: 4}}
""")


def caller(warm: Warm, folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    return lambda *arguments: warm.run(arguments, folder, environment())
