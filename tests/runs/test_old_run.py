"""A run made by commit 9c20583 is read by every command that reads runs, or refused in one clear line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy
import pytest
from byheart.cli import app
from byheart.config import recipe
from byheart.errors import ByheartError
from byheart.evaluation import baseline
from byheart.files import load_yaml
from byheart.publish import packing
from byheart.report import terminal
from byheart.runs.run import Run, changes, read_state
from byheart.strategies.core.sampling import sample
from byheart.strategies.core.verifying import verify
from byheart.tasks.core.splits import load
from safetensors.numpy import save_file
from typer.testing import CliRunner

from tests.conftest import ROOT

OLD = ROOT / "tests/old_run/run"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old run, since some commands write into the run directory. No table is broken."""
    monkeypatch.setattr(terminal.console, "width", 160)
    return shutil.copytree(OLD, tmp_path / "old")


def said(*arguments: object) -> str:
    """What a command that succeeds prints, on one line."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.replace("│", "").split())


def refused(*arguments: object) -> str:
    """The message of a command that is refused."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert isinstance(done.exception, ByheartError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_status(run: Path) -> None:
    text = said("status", run)
    assert "q_star: smollm2-135m, task arithmetic" in text
    assert "1 finished 0.000 (0.00–0.49) 0.000 – 34.0 4 670 yes" in text
    assert "2 finished 0.000 (0.00–0.49) 0.000 – 30.2 6 400 yes" in text


def test_show(run: Path) -> None:
    right = said("show", run, "--verdict", "right")
    assert right.startswith("3 + 4 + 8 + 3 = answer 18 3c1982c6c9ff0b7a right 6 + 4 = 10 10 + 8 = 18 19 tokens")
    first = said("show", run, "--round", 1, "--problem", "6 + 11", "--verdict", "wrong")
    assert "wrong 6 + 11 = 17 17 + 7 = 14 14 + 5 = 19 (19 is not 29) 31 tokens" in first
    tree = said("show", run, "--tree", "3 + 4 + 8 + 3")
    assert "10 + 8 = 18 f 0.41, g 0.13, h 0.28, value 0.28, whole" in tree


def test_report(run: Path) -> None:
    page = Path(said("report", run).replace(" ", ""))
    assert page == run / "report.html"
    text = page.read_text("utf-8")
    assert "<h1>byheart: q_star" in text
    assert "Brier 0.128" in text
    assert "3 + 4 + 8 + 3 =" in text


def test_compare(run: Path) -> None:
    assert "old and run: no significant difference" in said("compare", OLD, run, "--by-round")
    lines = [json.loads(line) for line in (run / "round-002/evaluate.jsonl").read_text("utf-8").splitlines()]
    for answer in lines[0]["splits"]["held_out"]:
        answer["fast"]["right"] = answer["worked"]["right"] = True
    (run / "round-002/evaluate.jsonl").write_text(json.dumps(lines[0]) + "\n", "utf-8")
    assert "old fast 1 4 +1.000" in said("compare", OLD, run)


def test_publish_says_that_there_are_no_weights(run: Path) -> None:
    message = refused("publish", run, "--to", "me/sums", "--dry-run")
    assert message == (
        f"{run}: the weights of round 2 are missing: it has no adapter/adapter_model.safetensors; rounds with an "
        "adapter: none (--round N)"
    )


def test_with_weights_it_is_packed_for_publishing(run: Path) -> None:
    for folder in run.glob("round-*/adapter"):
        save_file({"weight": numpy.zeros(2, numpy.float32)}, folder / "adapter_model.safetensors")
    model, data = packing.pack(run, None, "me/sums", license="apache-2.0")
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct" in (model.folder / "README.md").read_text("utf-8")
    assert "me/sums" in (data.folder / "README.md").read_text("utf-8")


def test_with_its_recipe_in_the_words_of_today_it_goes_on_where_it_was(run: Path) -> None:
    asked = recipe.parse(recipe.translated(load_yaml((run / "recipe.yaml").read_text("utf-8"))))
    assert changes(run, asked) == []
    with Run(run, asked) as held:
        assert held.finished == 2
        first, second = held.earlier(3, load, baseline, sample, verify)
    assert first.rollouts.digest != second.rollouts.digest
    assert [rollout.selected for group in second.rollouts.value for rollout in group.rollouts].count(True) == 2


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("round-002/rollouts-00000.jsonl", "show"),
        ("round-002/verdicts.jsonl", "show"),
        ("round-002/problems.jsonl", "show"),
        ("round-002/evaluate.jsonl", "report"),
    ],
)
def test_what_another_version_wrote_is_refused_by_file_line_and_field(run: Path, file: str, command: str) -> None:
    first, *rest = (run / file).read_text("utf-8").splitlines(keepends=True)
    (run / file).write_text(json.dumps(json.loads(first) | {"since_then": 1}) + "\n" + "".join(rest), "utf-8")
    message = refused(command, run)
    assert message.startswith(f"{run / file}, line 1: not a ")
    assert "since_then" in message


def test_a_backup_of_a_round_is_none(run: Path) -> None:
    for name in ("round-001.bak", "round-2", "round-0001", "round-", "round-two", "Copy of round-001"):
        shutil.copytree(run / "round-001", run / name)
    (run / "round-009").write_text("a file")
    shutil.copy(run / "round-002/rollouts-00000.jsonl", run / "round-002/rollouts-00000 (copy).jsonl")
    assert said("status", run) == said("status", OLD)
    assert said("show", run, "--limit", 100) == said("show", OLD, "--limit", 100)


TORN = {
    "recipe.yaml": ("status", "{name: [", "no recipe of a run"),
    "state.json": ("run", '{"rounds": [', "torn"),
    "round-002/stages.json": ("status", '{"load": {"sta', "torn"),
    "round-002/metrics.json": ("status", '{"splits": {', "torn"),
    "round-002/problems.jsonl": ("show", '{"train": [', "line 1"),
    "round-002/evaluate.jsonl": ("report", "", "0 lines"),
    "round-002/verdicts.jsonl": ("show", "[]\n", "line 1"),
}
"""File -> a command that reads it, what is left of it, and what is said."""


@pytest.mark.parametrize("file", TORN)
def test_a_torn_file_is_named(run: Path, file: str) -> None:
    command, left, words = TORN[file]
    (run / file).write_text(left)
    message = refused_by(command, run)
    assert message.startswith(str(run / file))
    assert words in message


@pytest.mark.parametrize("file", ["round-002/problems.jsonl", "round-002/baseline.jsonl"])
def test_a_missing_file_is_named(run: Path, file: str) -> None:
    (run / file).unlink()
    assert refused_by("report", run).startswith(f"{run / file} is missing; put it back")


@pytest.mark.parametrize("row", ["[]", "7", "null", '{"load": 3}', '{"load": []}', '"text"'])
@pytest.mark.parametrize("file", ["stages.json", "metrics.json"])
def test_a_file_of_another_shape_is_named(run: Path, file: str, row: str) -> None:
    (run / "round-002" / file).write_text(row)
    message = refused_by("status", run)
    assert str(run / "round-002" / file) in message or "measured otherwise" in message


@pytest.mark.parametrize("key", ["seconds", "generating_seconds", "digest", "status", "resumed"])
def test_a_record_of_a_stage_with_a_value_of_another_type_is_named(run: Path, key: str) -> None:
    path = run / "round-002/stages.json"
    records = json.loads(path.read_text("utf-8"))
    records["sample"][key] = {"name": []}
    path.write_text(json.dumps(records))
    message = refused_by("report", run)
    assert message.startswith(f"{path}: ") and f"sample.{key}" in message


def test_files_of_two_runs_are_told_apart(run: Path) -> None:
    shutil.copy(run / "round-001/problems.jsonl", run / "round-002/problems.jsonl")
    metrics = json.loads((run / "round-002/metrics.json").read_text("utf-8"))
    for split in metrics["splits"].values():
        for kind in ("fast", "worked"):
            split["paired"][kind]["gained"] = ["0123456789abcdef"]
    (run / "round-002/metrics.json").write_text(json.dumps(metrics), "utf-8")
    assert "metrics.json names the problem 0123456789abcdef" in refused("report", run)


def refused_by(command: str, run: Path) -> str:
    """The message of a command that is refused by what it reads of `run`."""
    if command != "run":
        return refused(command, run)
    with pytest.raises(ByheartError) as error:
        read_state(run)
    return str(error.value)
