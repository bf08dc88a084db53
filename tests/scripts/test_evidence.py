"""make evidence: what its plan lists is run once, recorded, resumed, and run again where its recipe has changed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from byheart.evaluation.metrics import Accuracy, ControlMetrics
from byheart.models import machine
from rich.console import Console

from scripts.bench import evidence, figures
from scripts.bench.checkout import ROOT
from scripts.bench.ledger import Ledger, read_plan
from tests.machines import program
from tests.report.runs import finish

PLAN = """
questions:
- proves: that three digits are no harder than two
  seeds: [0, 1]
  runs:
  - {recipe: sums.yaml, rounds: 2, minutes: 20}
  - {recipe: sums.yaml, name: longer, set: [task.digits=3], rounds: 2, minutes: 30}
"""
RECIPE = "name: sums\nmodel: {name: some/model}\ntask: {name: arithmetic}\n"
BYHEART = """
echo "$*" >>asked
folder="${*: -1}"
mkdir -p "$folder"
if [ -e broken ]; then exit 3; fi
if [ -e slow ]; then cp -r one/. "$folder"; exec sleep 100; fi
cp -r two/. "$folder"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which byheart copies rounds that were made before; with a file `slow` it stops after the first."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence/plan.yaml").write_text(PLAN)
    (tmp_path / "sums.yaml").write_text(RECIPE)
    program(tmp_path / ".venv/bin/byheart", BYHEART)
    finish(tmp_path / "one", [0.25, 0.5])
    finish(tmp_path / "two", [0.25, 0.5, 0.75])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATA", raising=False)
    return tmp_path


def work(root: Path, minutes: float = 100) -> tuple[list[str], str]:
    """The runs that failed, and what was printed."""
    console = Console(file=StringIO(), width=200)
    failed = evidence.work(Ledger(root), minutes, console)
    return failed, console.file.getvalue()  # type: ignore[attr-defined]


def shown(root: Path) -> str:
    console = Console(file=StringIO(), width=200)
    evidence.show(Ledger(root), console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def states(root: Path) -> dict[str, str]:
    ledger = Ledger(root)
    return {run.key: ledger.state(run).word for run in ledger.plan}


def asked(root: Path) -> list[str]:
    """What byheart was asked, without the run directories."""
    path = root / "asked"
    return [line.partition(" --run-dir")[0] for line in path.read_text().splitlines()] if path.exists() else []


def record(root: Path, key: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((root / f"evidence/{key}.json").read_text())
    return raw


def test_what_is_missing_is_run_in_the_plans_order_recorded_and_not_run_again(root: Path) -> None:
    assert "4 of 4 runs missing, about 1.7 hours" in shown(root)
    failed, out = work(root)
    assert failed == [] and "sums-0: recorded, sums-0.json" in out
    assert asked(root) == [
        "run sums.yaml seed=0 --rounds 2",
        "run sums.yaml task.digits=3 seed=0 --rounds 2",
        "run sums.yaml seed=1 --rounds 2",
        "run sums.yaml task.digits=3 seed=1 --rounds 2",
    ]
    assert "nothing missing" in shown(root)
    assert work(root) == ([], "")
    assert len(asked(root)) == 4


def test_a_record_says_how_it_was_made_and_what_each_round_measured(root: Path) -> None:
    work(root)
    known = record(root, "longer-1")
    assert known["command"] == "byheart run sums.yaml task.digits=3 seed=1 --rounds 2"
    assert known["machine"]["processor"] == machine.hardware()
    assert known["commit"] in machine.version()
    assert known["made_with"][0]["round"] == 1
    assert known["made_with"][0]["python"] == machine.versions()["python"]
    assert known["resolved"]["task"]["digits"] == 3 and known["resolved"]["seed"] == 1
    assert re.fullmatch("[0-9a-f]+", known["digest"])
    stages = [json.loads(path.read_text()) for path in (root / "two").glob("round-*/stages.json")]
    assert known["seconds"] == round(sum(stage["seconds"] for row in stages for stage in row.values()), 1)
    first = known["rounds"]["1"]
    assert first["held_out"]["after"]["fast"]["accuracy"] == 0.5
    assert first["held_out"]["before"]["fast"]["low"] < 0.25 < first["held_out"]["before"]["fast"]["high"]
    assert first["held_out"]["paired"]["fast"]["gained"] == 10, "how many, not their ids"
    assert first["counts"]["sample"]["num_tokens"] == 4321
    assert len((root / "evidence/longer-1.json").read_text()) < 40_000


def test_a_run_resumed_by_another_version_in_its_first_round_keeps_the_facts_of_both(root: Path) -> None:
    path = root / "two/round-001/environments.jsonl"
    facts = json.loads(path.read_text())
    later = facts | {"versions": facts["versions"] | {"python": "3.99"}}
    path.write_text(f"{json.dumps(facts)}\n{json.dumps(later)}\n")
    work(root)
    known = record(root, "longer-1")
    assert known["machine"]["processor"] == machine.hardware()
    assert known["made_with"][1] == {"round": 1, "python": "3.99"}


def test_a_figure_can_name_what_a_control_came_to(root: Path) -> None:
    path = root / "two/round-001/metrics.json"
    accuracy = Accuracy(40, 0, 0.125, 0.05, 0.26, 3.0)
    words = ("4 worked examples", "the prompt '{problem} 1.5'")
    made = [ControlMetrics(each, {"fast": accuracy}, {}) for each in words]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"controls": [control.to_dict() for control in made]}))
    work(root)
    for key in ("4_worked_examples", "the_prompt_problem_1_5_"):
        assert figures.value(root, f"sums-0 rounds.1.controls.{key}.accuracy.fast.accuracy") == 0.125


def test_a_changed_recipe_makes_a_record_stale_and_is_run_anew(root: Path) -> None:
    work(root)
    (root / "sums.yaml").write_text(RECIPE + "curation: {keep: 3}\n")
    assert states(root)["sums-0"] == "stale"
    assert "curation.keep: 4 -> 3" in shown(root)
    work(root)
    assert set(states(root).values()) == {"recorded"}
    assert len(asked(root)) == 8


def test_what_decides_nothing_makes_no_record_stale(root: Path) -> None:
    work(root)
    (root / "sums.yaml").write_text(f"# Sums.\n{RECIPE}engine: {{max_num_seqs: 7}}\nrounds: 9\n")
    assert set(states(root).values()) == {"recorded"}


def test_a_key_that_was_added_since_makes_no_record_stale(root: Path) -> None:
    work(root)
    path = root / "evidence/sums-0.json"
    old = json.loads(path.read_text())
    del old["resolved"]["evaluation"]["continue_from"]
    path.write_text(json.dumps(old))
    assert states(root)["sums-0"] == "recorded"


def test_more_rounds_than_are_recorded_are_missing(root: Path) -> None:
    work(root)
    plan = root / "evidence/plan.yaml"
    plan.write_text(PLAN.replace("{recipe: sums.yaml, rounds: 2", "{recipe: sums.yaml, rounds: 3"))
    assert states(root) == {
        "sums-0": "under way",
        "longer-0": "recorded",
        "sums-1": "under way",
        "longer-1": "recorded",
    }


def test_a_run_that_takes_too_long_is_interrupted_and_resumed(root: Path) -> None:
    (root / "slow").touch()
    _, out = work(root, minutes=0.02)
    assert "sums-0: time is up; the next call resumes it" in out
    assert states(root)["sums-0"] == "under way" and not (root / "evidence/sums-0.json").exists()
    assert "1 of 2 rounds" in shown(root) and "about 10 min" in shown(root)
    (root / "slow").unlink()
    work(root)
    assert asked(root)[:2] == ["run sums.yaml seed=0 --rounds 2", "run sums.yaml seed=0 --rounds 1"]
    assert record(root, "sums-0")["rounds"].keys() == {"1", "2"}


def test_what_does_not_fit_is_left_for_another_call(root: Path) -> None:
    work(root, minutes=25)
    assert [line.partition(" --")[0] for line in asked(root)] == ["run sums.yaml seed=0", "run sums.yaml seed=1"]
    assert states(root)["longer-0"] == "missing"


def test_estimates_follow_what_was_recorded_on_this_machine(root: Path) -> None:
    work(root)
    path = root / "evidence/sums-0.json"
    for key, seconds in (("sums-0", 3600), ("sums-1", 3600), ("longer-0", 5400)):
        path = root / f"evidence/{key}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds}))
    shutil.rmtree(root / "build")
    (root / "evidence/longer-1.json").unlink()
    ledger = Ledger(root)
    assert ledger.pace == 3
    assert ledger.minutes(ledger.plan[-1]) == pytest.approx(90)


def test_a_failed_run_does_not_stop_the_others_and_is_told(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "broken").touch()
    (root / "evidence/figures.yaml").write_text("README.md:\n- {at: Half, unrecorded: '0.50 12s'}\n")
    monkeypatch.delenv("EVIDENCE_MINUTES", raising=False)
    with pytest.raises(SystemExit) as ended:
        evidence.main(root)
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "Nothing else should run on this machine" in out
    assert out.count("failed with exit code 3") == 4 and out.count("4 of 4 runs missing") == 2
    assert "figures without a record (evidence/figures.yaml says why): 2 in README.md" in out


def test_no_minutes_only_list(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "evidence/figures.yaml").write_text("{}")
    monkeypatch.setenv("EVIDENCE_MINUTES", "0")
    with pytest.raises(SystemExit) as ended:
        evidence.main(root)
    assert not ended.value.code and asked(root) == []


def test_a_run_that_has_no_recipe_or_no_data_is_said_to_lack_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = root / "evidence/plan.yaml"
    (root / "own.yaml").write_text(RECIPE.replace("{name: arithmetic}", "{name: file, path: none, verifier: number}"))
    runs = [
        "{recipe: nothing, rounds: 2, minutes: 1}",
        "{recipe: own.yaml, set: [task.path=$DATA/x], rounds: 2, minutes: 1}",
    ]
    plan.write_text(f"questions:\n- proves: it\n  seeds: [0]\n  runs: [{', '.join(runs)}]\n")
    assert states(root) == {"nothing-0": "can't be run", "own-0": "can't be run"}
    out = shown(root)
    assert "nothing: no such recipe" in out and "DATA=FOLDER has to name its data" in out
    monkeypatch.setenv("DATA", "file")  # a word that the record may hold
    work(root)
    assert asked(root) == [f"run own.yaml task.path={root}/file/x seed=0 --rounds 2"]
    assert states(root)["own-0"] == "recorded"
    text = (root / "evidence/own-0.json").read_text()
    assert "task.path=$DATA/x" in text and str(root) not in text
    monkeypatch.delenv("DATA")
    assert states(root)["own-0"] == "recorded", "another folder, or none now, is no other recipe"


def test_a_path_of_this_machine_is_not_recorded(root: Path) -> None:
    plan = root / "evidence/plan.yaml"
    edit = "recipe: sums.yaml", f"recipe: {root}/sums.yaml, name: sums"
    plan.write_text(PLAN.replace(*edit, 1).replace("seeds: [0, 1]", "seeds: [0]"))
    failed, out = work(root)
    assert failed == ["sums-0"] and f"it would hold {root}, a path of this machine" in " ".join(out.split())
    assert not (root / "evidence/sums-0.json").exists()


@pytest.mark.engine
@pytest.mark.train
@pytest.mark.slow
def test_a_real_run_is_recorded(root: Path, tiny: Path) -> None:
    (root / ".venv/bin/byheart").unlink()
    (root / ".venv/bin/byheart").symlink_to(Path(sys.executable).with_name("byheart"))
    shutil.copytree(tiny, root / "tiny")
    (root / "sums.yaml").write_text(
        """
name: sums
model: {name: ./tiny, max_context: 128}
task: {name: arithmetic, digits: 1, num_train: 4, num_dev: 2, num_held_out: 2}
engine: {name: transformers}
strategy: {name: direct, samples: 2, max_samples: 2, max_tokens: 4}
evaluation: {num_train: 2, num_slow: 1, fast: {max_tokens: 4}, worked: {max_tokens: 4}}
"""
    )
    (root / "evidence/plan.yaml").write_text(
        "questions:\n- proves: it\n  seeds: [3]\n  runs: [{recipe: sums.yaml, rounds: 1, minutes: 1}]\n"
    )
    failed, out = work(root)
    assert failed == [], out
    known = record(root, "sums-3")
    assert known["made_with"][0]["torch"] and known["seconds"] > 0
    assert known["rounds"]["1"]["held_out"]["before"]["fast"]["problems"] == 2
    assert known["rounds"]["1"]["costs"]["sample"]["generating"] > 0
    assert not re.search(r'["\s=]/\w', (root / "evidence/sums-3.json").read_text())


# What is committed


def test_the_plan_names_recipes_that_there_are_and_no_run_of_more_than_150_minutes() -> None:
    plan = read_plan(ROOT / "evidence/plan.yaml")
    assert len({run.key for run in plan}) == len(plan)
    for run in plan:
        assert run.parsed and 0 < run.minutes <= 150 and run.rounds > 0


def test_records_are_of_runs_in_the_plan_as_its_recipes_are_now_and_hold_no_path() -> None:
    """A recipe has changed where a record is stale: run it again, or delete the record and mark its figures."""
    ledger = Ledger(ROOT)
    planned = {run.key: run for run in ledger.plan}
    for path in (ROOT / "evidence").glob("*.json"):
        assert path.stem in planned and ledger.state(planned[path.stem]).word != "stale", path
        assert not re.search(r'["\s=]/\w', path.read_text()), path
