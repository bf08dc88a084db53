"""A stage's digest is the whole truth: it is made of the digests of what the stage is given, earlier rounds
included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart import recipe
from byheart.errors import RunError
from byheart.files import read_records, write_records
from byheart.runs import Run
from byheart.stages import Made, Stage, stage
from byheart.types import Step, Undeciding

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


def read(folder: Path) -> list[Step]:
    calls.append("read")
    return read_records(folder / "steps.jsonl", Step)


@stage(read)
def write(work: Stage, *inputs: Any) -> list[Step]:
    """Writes down what it is given."""
    calls.append(work.name)
    steps = [Step(str(value)) for value in inputs]
    write_records(work.dir / "steps.jsonl", steps)
    return steps


def opened(folder: Path, **sections: Any) -> Run:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}} | sections
    return Run(folder / "run", recipe.parse(raw))


def test_what_a_stage_made_is_handed_on_as_the_thing_itself_and_counts_by_its_digest(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        first = run.stage(1, "baseline", write, "a")
        second = run.stage(1, "verify", write, first)
        assert second.value == [Step(str([Step("a")]))]
        records = run.records(1)
    assert first.digest == records["baseline"].made
    assert first.digest != second.digest


def test_nothing_is_read_or_computed_at_the_start_of_a_run_that_is_done(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, run.stage(1, "baseline", write, "a"))
    calls.clear()
    with opened(tmp_path) as run:
        last = run.stage(1, "verify", write, run.stage(1, "baseline", write, "a"))
        assert calls == []
        assert last.value == [Step(str([Step("a")]))]
        assert calls == ["read"]


def test_another_result_does_the_stages_after_it_again(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, run.stage(1, "baseline", write, "a"))
        run.stage(1, "verify", write, run.stage(1, "baseline", write, "b"))
    assert calls == ["baseline", "verify"] * 2


def test_the_same_result_of_something_else_does_not(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, Made("same", lambda: "a"))
        run.stage(1, "verify", write, Made("same", lambda: "b"))
        run.stage(1, "verify", write, Made("other", lambda: "a"))
    assert calls == ["verify", "verify"]


class Clock(Undeciding):
    """Says only how fast."""


def test_what_decides_nothing_is_in_no_digest(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.stage(1, "verify", write, Clock(), "a")
        run.stage(1, "verify", write, Clock(), "a")
    assert calls == ["verify"]


def finished(run: Run, n: int, word: str) -> None:
    for name in ("load", "baseline", "sample", "verify"):
        run.stage(n, name, write, f"{name} {word}")


def test_a_stage_that_looks_back_depends_on_what_earlier_rounds_made(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        finished(run, 1, "a")
        earlier = run.earlier(2, write, write, write, write)  # type: ignore[arg-type]  # what they make is no matter
        run.stage(2, "sample", write, earlier)
        run.stage(2, "sample", write, earlier)
        assert calls.count("sample") == 2, "once in each round"
        finished(run, 1, "b")
        changed = run.earlier(2, write, write, write, write)  # type: ignore[arg-type]  # what they make is no matter
        run.stage(2, "sample", write, changed)
        assert calls.count("sample") == 4


def test_a_round_that_an_older_version_did_is_named_by_what_is_in_its_files(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        made = run.stage(1, "baseline", write, "a")
        path = run.round_dir(1) / "stages.json"
        records = json.loads(path.read_text())
        del records["baseline"]["made"]
        path.write_text(json.dumps(records))
        again = run.stage(1, "baseline", write, "a")
        assert again.digest == made.digest
    assert calls == ["baseline", "read"]


def test_a_finished_round_without_a_record_is_refused(tmp_path: Path) -> None:
    with (
        opened(tmp_path) as run,
        pytest.raises(RunError, match=r"the stage load of this finished round is not on record"),
    ):
        run.earlier(2, write, write, write, write)  # type: ignore[arg-type]  # what they make is no matter


@pytest.mark.parametrize(
    ("change", "words"),
    [({"num_more": 1}, "sample.num_more"), ({"num_tokens": "many"}, "sample.num_tokens"), ({"status": None}, "sample")],
)
def test_a_record_that_another_version_wrote_is_refused_in_one_line(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    counted = dict.fromkeys(
        ("num_problems", "num_rollouts", "num_selected", "num_hinted", "num_tokens", "num_failed"), 0
    )
    record = {"status": "done", "digest": "d", "notes": {}} | counted | change
    if record["status"] is None:
        del record["status"]
    with opened(tmp_path) as run:
        run.round_dir(1).mkdir()
        (run.round_dir(1) / "stages.json").write_text(json.dumps({"sample": record}))
        with pytest.raises(RunError, match="not what this version of byheart records") as error:
            run.records(1)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
