"""What is on record of a stage: whether it was begun before, and where its seconds went."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from byheart.config import recipe
from byheart.contracts import Work, Workers
from byheart.files import read_records, write_records
from byheart.runs.run import Run
from byheart.runs.stages import Stage, stage
from byheart.types import Policy, Problem, RolloutGroup, Step


class Idle(Workers):
    """Workers without work, whose clocks the test sets."""

    def load(self, policy: Policy) -> None:
        raise AssertionError("there is no policy to load")

    def map(self, problems: Iterable[Problem | None], work: Work) -> Iterator[RolloutGroup]:
        raise AssertionError("there is no work to do")


def opened(folder: Path) -> Run:
    return Run(folder / "run", recipe.parse({"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}}))


def read(folder: Path) -> list[Step]:
    return read_records(folder / "steps.jsonl", Step)


@stage(read)
def worked(work: Stage, workers: Workers, fails: bool = False) -> list[Step]:
    """A stage that keeps its workers busy, and in the end fails where it is told to."""
    workers.seconds, workers.start_seconds, workers.swap_seconds = 3.2504, 20.0, 0.5004
    write_records(work.dir / "steps.jsonl", [])
    if fails:
        raise OSError("the disk is on fire")
    return []


def test_seconds_of_the_engine_are_those_since_the_stage_began(tmp_path: Path) -> None:
    workers = Idle()
    workers.seconds, workers.start_seconds = 1.0, 20.0
    with opened(tmp_path) as run:
        run.stage(1, "load", worked, workers)
        record = run.records(1)["load"]
    keys = ("generating_seconds", "engine_start_seconds", "swap_seconds", "training_seconds")
    assert [getattr(record, key) for key in keys] == [2.25, 0.0, 0.5, 0.0]  # to the millisecond
    assert record.resumed is False


def test_a_stage_that_was_begun_before_says_so(tmp_path: Path) -> None:
    workers = Idle()
    with opened(tmp_path) as run:
        with pytest.raises(OSError, match="on fire"):
            run.stage(1, "load", worked, workers, True)
        assert run.records(1)["load"].status == "started"
        run.stage(1, "load", worked, workers)
        assert run.records(1)["load"].resumed is True
