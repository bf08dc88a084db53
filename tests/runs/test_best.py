"""The best policy of a run: kept by name, and what the next round starts from where the recipe says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.runs.records import RoundEnd, RunState
from byheart.runs.run import Run, read_state
from byheart.types import Policy

from tests.fakes import NO_METRICS


def opened(folder: Path, redo_from: int | None = None, **rest: Any) -> Run:
    raw: dict[str, Any] = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}}
    return Run(folder / "run", recipe.parse(raw | rest), None, redo_from)


def finish(run: Run, rounds: str) -> None:
    """Rounds that end with a policy of their own, the best so far where it is 'b', or where it is '-' with the last."""
    for n, mark in enumerate(rounds, 1):
        folder = run.round_dir(n)
        (folder / "merged").mkdir(parents=True)
        new = Policy("m", folder / "adapter", f"adapter-{n}")
        run.finish(n, run.policy(n - 1) if mark == "-" else new, replace(NO_METRICS, best=mark == "b"))


@pytest.mark.parametrize(
    ("rounds", "best", "last"),
    [("b", 1, 1), ("p", 0, 1), ("bp", 1, 2), ("bpb-", 3, 3), ("pp-", 0, 2), ("-b-p", 2, 4), ("---", 0, 0)],
)
def test_the_next_round_starts_from_the_last_or_the_best(tmp_path: Path, rounds: str, best: int, last: int) -> None:
    names = ["base", *(f"adapter-{n}" for n in range(1, len(rounds) + 1))]
    with opened(tmp_path) as run:
        finish(run, rounds)
        assert run.policy(len(rounds)).id == names[last]
    state = json.loads((tmp_path / "run/state.json").read_text())
    assert state["rounds"][-1]["best"] == best
    with opened(tmp_path / "best", evaluation={"continue_from": "best"}) as run:
        finish(run, rounds)
        assert run.policy(len(rounds)).id == names[best]
        merged = [path.parent.name for path in run.dir.glob("round-*/merged")]
    assert merged == ([f"round-{best:03d}"] if best else [])


def test_what_the_best_was_measured_to_is_the_baseline_of_the_round_after_it(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        finish(run, "pbp-")
        assert [run.started_from_best(n) for n in range(1, 6)] == [1, 1, 3, 3, 3]


def test_a_measure_by_other_options_is_no_measure_of_the_best(tmp_path: Path) -> None:
    schedule = {"evaluation.worked": [{"max_tokens": 64}, {"max_tokens": 64}, {"max_tokens": 16}]}
    with opened(tmp_path, schedule=schedule) as run:
        finish(run, "bpp")
        assert [run.started_from_best(n) for n in (2, 3, 4)] == [2, 3, 4]


def test_the_best_goes_with_its_round_where_that_is_done_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        finish(run, "bpb")
    with opened(tmp_path, redo_from=3):
        state = read_state(tmp_path / "run")
    assert state.best(2) == 1 and len(state.rounds) == 2


@pytest.mark.parametrize(
    ("adapters", "best"),
    [
        ([None, None], 0),
        (["round-001/adapter", "round-001/adapter"], 1),
        (["start/adapter", "round-002/adapter"], 2),
        (["start/adapter", "start/adapter"], 0),
    ],
)
def test_of_an_older_version_the_last_that_was_promoted_is_taken(adapters: list[str | None], best: int) -> None:
    state = RunState([RoundEnd("some-id", adapter) for adapter in adapters])
    assert state.best(2) == best and state.best(0) == 0
