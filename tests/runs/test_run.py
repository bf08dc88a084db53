"""The run directory: what is done is read, what is not is done, and nothing is lost in between."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from byheart.config import recipe
from byheart.errors import RunError
from byheart.files import Journal, read_records, write_records
from byheart.runs.records import LoadStats, Stages
from byheart.runs.run import Halt, Run
from byheart.runs.stages import Stage, stage
from byheart.strategies.core.sampling import sample
from byheart.strategies.core.verifying import verify
from byheart.types import Dataset, Policy, Problem, Problems, Step

from tests.conftest import verifier_by
from tests.fakes import NO_METRICS


def raw(**rest: Any) -> dict[str, Any]:
    return {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic", "digits": 2}} | rest


def opened(folder: Path, only: str | None = None, redo_from: int | None = None, **rest: Any) -> Run:
    return Run(folder / "run", recipe.parse(raw(**rest)), only, redo_from)


calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def read_steps(folder: Path) -> list[Step]:
    return read_records(folder / "steps.jsonl", Step)


@stage(read_steps)
def step(work: Stage, *inputs: Any) -> list[Step]:
    """A stage that writes down that it was done, and fails where it is told to."""
    calls.append(work.name)
    if "fail" in inputs:
        raise OSError("the disk is on fire")
    work.stats = LoadStats(len(inputs), 0, 0, 0) if work.name == "load" else None
    made = [Step(str(part), 0.5, work.round) for part in inputs]
    write_records(work.dir / "steps.jsonl", made)
    return made


# Stages


def test_a_stage_on_record_is_read_and_not_done_again(tmp_path: Path) -> None:
    run = opened(tmp_path)
    made = run.stage(1, "load", step, "a", {"b": 1})
    run.close()
    run = opened(tmp_path)
    again = run.stage(1, "load", step, "a", {"b": 1})
    assert (again.value, again.digest) == (made.value, made.digest)
    assert calls == ["load"]
    record = run.records(1)["load"]
    assert (record.done, record.made, record.stats) == (True, made.digest, LoadStats(2, 0, 0, 0))
    assert record.seconds >= 0
    run.close()


def test_what_a_stage_may_refuse_by_is_given_to_it_and_does_not_have_it_done_again(tmp_path: Path) -> None:
    @stage(read_steps)
    def refusing(work: Stage, *inputs: Any, limit: int) -> list[Step]:
        if len(inputs) > limit:
            raise RunError("too many")
        return step(work, *inputs)

    run = opened(tmp_path)
    with pytest.raises(RunError, match="too many"):
        run.stage(1, "load", refusing, "a", limit=0)
    made = run.stage(1, "load", refusing, "a", limit=1)
    assert run.stage(1, "load", refusing, "a", limit=0).digest == made.digest
    assert calls == ["load"]
    run.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a", "b"),
        ([Step("x")], [Step("y")]),
        (Policy("m"), Policy("m", None, "adapter-1")),
        (Dataset(Path("a"), 1, "d1"), Dataset(Path("a"), 1, "d2")),
        (recipe.parse(raw()).task, recipe.parse(raw(task={"name": "arithmetic", "digits": 3})).task),
    ],
    ids=["text", "records", "policy", "dataset", "options"],
)
def test_a_stage_is_done_again_when_what_decides_it_changes(tmp_path: Path, before: Any, after: Any) -> None:
    run = opened(tmp_path)
    for value in (before, before, after, after):
        run.stage(1, "load", step, value)
    assert calls == ["load", "load"]
    run.close()


def test_what_a_stage_made_is_not_held_but_read_from_its_files(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        made = run.stage(1, "load", step, "a")
        write_records(run.round_dir(1) / "steps.jsonl", [Step("other")])
        assert made.value == [Step("other")]


def test_a_stage_is_not_done_again_for_what_does_not_decide_it(tmp_path: Path) -> None:
    run = opened(tmp_path)
    run.stage(
        1,
        "train",
        step,
        Dataset(Path("runs/a"), 3, "d"),
        verifier_by(),
        Policy("m", Path("runs/a/adapter"), "adapter-1"),
    )
    run.stage(
        1, "train", step, Dataset(Path("/b"), 3, "d"), verifier_by(), Policy("m", Path("/b/adapter"), "adapter-1")
    )
    assert calls == ["train"]
    run.close()


def test_rounds_and_stages_have_records_of_their_own(tmp_path: Path) -> None:
    run = opened(tmp_path)
    for n in (1, 2):
        for name in ("load", "sample"):
            run.stage(n, name, step, "a")
    assert calls == ["load", "sample", "load", "sample"]
    assert run.records(2).keys() == {"load", "sample"}
    run.close()


def test_a_stage_that_failed_is_owed(tmp_path: Path) -> None:
    run = opened(tmp_path)
    with pytest.raises(OSError, match="on fire"):
        run.stage(1, "load", step, "fail")
    assert run.records(1)["load"].status == "started"
    with pytest.raises(OSError, match="on fire"):
        run.stage(1, "load", step, "fail")
    assert calls == ["load", "load"]
    run.close()


def test_sampling_and_verifying_are_read_as_they_were_whatever_finished_first(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    answers = {"slow?": ["5", "6"], "quick?": ["4"], "slower?": ["7"]}
    script.write_text(json.dumps(answers))
    run = opened(
        tmp_path,
        engine={"name": "scripted", "script": str(script)},
        strategy={"samples": 1, "max_samples": 3, "enough": 1},
    )
    workers = run.recipe.executor.start(run.recipe.engine, Path(), run.recipe.model, run.dir / "engine.log")
    problems = Problems([Problem.of(asked, "4", "number") for asked in answers], [], [])
    run.round_dir(1).mkdir()
    write_records(run.round_dir(1) / "problems.jsonl", [problems])
    sampled, verified = [], []
    for _ in range(2):
        inputs: list[Any] = [problems, Policy("m"), run.recipe.strategy, None, workers, verifier_by(), []]
        rollouts = run.stage(1, "sample", sample, *inputs)
        sampled.append(list(rollouts.value))
        verdicts = run.stage(1, "verify", verify, problems, rollouts, Policy("m"), workers, verifier_by())
        verified.append(list(verdicts.value))
    counts = [(one.problem_id, len(one.rollouts)) for one in sampled[0]]
    assert counts == [(problem.id, count) for problem, count in zip(problems.train, [3, 1, 3], strict=True)]
    assert sampled[1] == sampled[0]
    assert verified[1] == verified[0]
    run.close()


# Rounds


def finished(run: Run, n: int, adapter: bool = False) -> None:
    run.stage(n, "load", step, n)
    folder = run.round_dir(n) / "adapter"
    if adapter:
        (folder.parent / "merged").mkdir()
    run.finish(
        n,
        Policy("m", folder, f"adapter-{n}") if adapter else run.policy(n - 1),
        replace(NO_METRICS, after=f"adapter-{n}"),
    )


def test_a_round_ends_with_a_policy_and_its_metrics(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert (run.finished, run.policy(0)) == (0, Policy("m"))
    finished(run, 1)
    finished(run, 2, adapter=True)
    finished(run, 3)
    run.close()
    run = opened(tmp_path)
    assert run.finished == 3
    promoted = Policy("m", run.dir / "round-002" / "adapter", "adapter-2")
    assert [run.policy(n) for n in range(4)] == [Policy("m"), Policy("m"), promoted, promoted]
    metrics = json.loads((run.round_dir(2) / "metrics.json").read_text())
    assert metrics == replace(NO_METRICS, after="adapter-2").to_dict() | {"curation": {}}
    run.close()


def test_only_the_merged_weights_of_the_policy_at_hand_are_kept(tmp_path: Path) -> None:
    run = opened(tmp_path)
    finished(run, 1, adapter=True)
    finished(run, 2, adapter=True)
    assert not (run.round_dir(1) / "merged").exists()
    assert (run.round_dir(2) / "merged").is_dir()
    run.close()


def test_a_target_counts_from_what_is_finished(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert run.target(2) == 2
    finished(run, 1)
    finished(run, 2)
    assert run.target(1) == 3
    run.close()


def test_an_interrupted_command_goes_on_to_its_own_target(tmp_path: Path) -> None:
    run = opened(tmp_path)
    assert run.target(3) == 3
    finished(run, 1)
    run.close()
    run = opened(tmp_path)
    assert run.target(3) == 3
    finished(run, 2)
    run.close()
    run = opened(tmp_path)
    assert run.target(1) == 3
    finished(run, 3)
    assert run.target(3) == 6
    run.close()


def test_a_command_for_one_stage_does_not_shorten_the_next_command(tmp_path: Path) -> None:
    run = opened(tmp_path, only="load")
    run.target(1)
    with pytest.raises(Halt):
        run.stage(1, "load", step, "a")
    run.close()
    run = opened(tmp_path)
    assert run.target(3) == 3
    run.close()


def test_one_stage_alone_is_done_once_and_then_halts(tmp_path: Path) -> None:
    for words in ("round 1: load done", "round 1: load was done before"):
        run = opened(tmp_path, only="load")
        with pytest.raises(Halt, match=words):
            run.stage(1, "load", step, "a")
        run.close()
    assert calls == ["load"]


def test_one_stage_alone_wants_those_before_it_done(tmp_path: Path) -> None:
    run = opened(tmp_path, only="sample")
    with pytest.raises(RunError, match=r"has not been through load yet; run `byheart load` first"):
        run.stage(1, "load", step, "a")
    assert calls == []
    assert not run.round_dir(1).exists()
    run.close()
    run = opened(tmp_path)
    made = run.stage(1, "load", step, "a")
    run.close()
    run = opened(tmp_path, only="sample")
    assert run.stage(1, "load", step, "a").value == made.value
    with pytest.raises(Halt, match="sample done"):
        run.stage(1, "sample", step, "b")
    assert calls == ["load", "sample"]
    run.close()


# The recipe of a run, and beginning anew


def begun(folder: Path) -> None:
    """A run with one stage on record."""
    run = opened(folder)
    run.stage(1, "load", step, "a")
    run.close()


def test_a_recipe_may_be_mended_until_a_stage_is_done(tmp_path: Path) -> None:
    run = opened(tmp_path)
    with pytest.raises(OSError, match="on fire"):
        run.stage(1, "load", step, "fail")
    run.close()
    opened(tmp_path, seed=4).close()
    assert yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())["seed"] == 4


@pytest.mark.parametrize(
    ("n", "rest", "words"),
    [
        (3, {}, "only 1 rounds"),
        (2, {"seed": 9}, "seed: 0 -> 9"),
        (2, {"evaluation": {"also": {"facts": {"task": "times_table"}}}}, "also.facts.max_tokens: None -> 64"),
    ],
)
def test_redoing_what_would_not_fit_is_refused_and_moves_nothing(
    tmp_path: Path, n: int, rest: dict[str, Any], words: str
) -> None:
    run = opened(tmp_path)
    finished(run, 1)
    run.close()
    before = contents(tmp_path)
    with pytest.raises(RunError, match=words):
        opened(tmp_path, redo_from=n, **rest)
    assert contents(tmp_path) == before


def test_a_changed_recipe_is_refused_with_its_keys(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(RunError) as error:
        opened(tmp_path, seed=4, task={"name": "arithmetic", "digits": 3})
    message = str(error.value)
    assert "seed: 0 -> 4" in message
    assert "task.digits: 2 -> 3" in message
    assert "model.name" not in message
    assert "--redo-from" in message
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text()) == recipe.parse(raw()).resolved()


def test_a_refused_run_is_not_held(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(RunError) as error:
        opened(tmp_path, seed=4)
    opened(tmp_path).close()  # while `error` still holds the frame in which it was refused
    assert "seed" in str(error.value)


def test_another_number_of_rounds_is_the_same_recipe(tmp_path: Path) -> None:
    opened(tmp_path, rounds=1).close()
    opened(tmp_path, rounds=7).close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_redoing_moves_rounds_aside_unharmed(tmp_path: Path) -> None:
    run = opened(tmp_path)
    for n in (1, 2, 3):
        finished(run, n, adapter=n == 2)
    run.target(2)
    run.stage(4, "load", step, "begun")
    before = {n: contents(run.round_dir(n)) for n in (1, 2, 3, 4)}
    old = (run.dir / "recipe.yaml").read_bytes()
    run.close()
    run = opened(tmp_path, redo_from=2, curation={"keep": 9})
    [aside] = run.dir.glob("replaced-*")
    assert contents(run.round_dir(1)) == before[1]
    assert {n: contents(aside / f"round-{n:03d}") for n in (2, 3, 4)} == {n: before[n] for n in (2, 3, 4)}
    assert (aside / "recipe.yaml").read_bytes() == old
    assert (run.finished, run.policy(1)) == (1, Policy("m"))
    assert run.target(1) == 2
    assert not run.round_dir(2).exists()
    run.close()
    opened(tmp_path, curation={"keep": 9}).close()


# One process


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


HOLD = f"""
import sys
from pathlib import Path
from byheart.config import recipe
from byheart.runs.run import Run
run = Run(Path(sys.argv[1]) / "run", recipe.parse({raw()!r}))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_is_held_by_one_process_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    holder = child(HOLD, tmp_path)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another byheart process holds this run"):
            opened(tmp_path)
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    opened(tmp_path).close()


def test_a_run_is_held_within_a_process_too(tmp_path: Path) -> None:
    run = opened(tmp_path)
    with pytest.raises(RunError, match="holds this run"):
        opened(tmp_path)
    run.close()
    opened(tmp_path).close()


# No room

FULL = f"""
import resource, signal, sys
from pathlib import Path
from byheart.config import recipe
from byheart.errors import RunError
from byheart.evaluation.metrics import RoundMetrics
from byheart.files import Journal, write_json, write_text
from byheart.runs.records import SampleStats
from byheart.runs.run import Run
from byheart.runs.stages import stage
from byheart.types import Policy, Step

where, what = Path(sys.argv[1]), sys.argv[2]

def fill(work, *inputs):
    if what == "file":
        write_text(work.dir / "big.txt", "x" * 100_000)
    if what == "journal":
        journal = Journal(work.dir, "steps", Step)
        try:
            for n in range(100):
                journal.append(Step(str(n) * 500))
        finally:
            journal.close()
    if what == "record":
        work.stats = SampleStats(0, 0, 0, 0, {{"x" * 100_000: 1}}, 0, 0)
fill = stage(lambda folder: None)(fill)

parsed = recipe.parse({raw()!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096) if what != "opening" else (16, 16))

if what == "opening":
    limit()
try:
    run = Run(where / "run", parsed)
    limit()
    if what == "metrics":
        run.round_dir(1).mkdir(exist_ok=True)
        run.finish(1, Policy("m"), RoundMetrics("y" * 100_000, "base", False, False, "worked", False, {{}}))
    else:
        run.stage(1, "sample", fill, what)
except RunError as error:
    print("RunError:", error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["file", "journal", "record", "metrics", "opening"])
def test_no_room_left_is_said_plainly_and_harms_nothing(tmp_path: Path, what: str) -> None:
    if what != "opening":
        run = opened(tmp_path)
        run.stage(1, "load", step, "a")
        run.close()
    before = contents(tmp_path / "run") if what != "opening" else {}
    done = child(FULL, tmp_path, what)
    output, _ = done.communicate(timeout=60)
    assert "Traceback" not in output
    assert f"RunError: {tmp_path / 'run'}" in output and ": no room left to write" in output
    assert "run the same command again" in output.replace("\n", " ")
    after = contents(tmp_path / "run")
    record = "round-001/stages.json"
    assert {name: after[name] for name in before if name != record} == {
        name: text for name, text in before.items() if name != record
    }
    assert [name for name in after if name.endswith(".part")] == []
    run = opened(tmp_path)
    assert run.stage(1, "load", step, "a").value == [Step("a", 0.5, 1)]
    assert calls == ["load"]
    assert run.finished == 0
    assert not Stages(run.records(1)).done("sample")
    whole = Journal(run.round_dir(1), "steps", Step).read()
    assert whole == [Step(str(n) * 500) for n in range(len(whole))]
    run.close()
