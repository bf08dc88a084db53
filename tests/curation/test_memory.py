"""Curation does not hold what was sampled."""

import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.curation import curate
from byheart.files import Journal, write_records
from byheart.runs.run import Run
from byheart.runs.stages import Made
from byheart.strategies.core.sampling import read_rollouts
from byheart.strategies.core.verifying import read_verdicts
from byheart.types import Problem, Problems, RolloutGroup, replace

from tests.conftest import verifier_by
from tests.curation.conftest import CHAT, judged, rolled

LONG = 20_000
"""Characters of each wrong solution, and of what its verdict says of it."""


def sampled(folder: Path, num_problems: int) -> Problems:
    """Write a round in which each problem has a short right solution and two long wrong ones."""
    problems = Problems([Problem(f"p{n}", CHAT, "4", "number") for n in range(num_problems)], [], [])
    folder.mkdir(parents=True)
    write_records(folder / "problems.jsonl", [problems])
    journal, verdicts = Journal(folder, "rollouts", RolloutGroup), []
    for problem in problems.train:
        texts = {"a": "4", "b": "5" * LONG, "c": "6" * LONG}
        rollouts = [rolled(problem.id + name, text, problem=problem.id) for name, text in texts.items()]
        verdicts += [
            replace(judged(rollout, float(rollout.response == "4")), reason=rollout.response) for rollout in rollouts
        ]
        journal.append(RolloutGroup(problem.id, rollouts, []))
    journal.close()
    write_records(folder / "verdicts.jsonl", verdicts)
    return problems


def peak(folder: Path, num_problems: int, options: dict[str, Any]) -> int:
    """Most bytes that curating so many problems takes."""
    raw = {"name": "r", "model": {"name": "m"}, "task": {"name": "times_table"}, "curation": options}
    with Run(folder, recipe.parse(raw)) as run:
        problems = sampled(run.round_dir(1), num_problems)
        at, verifier = run.round_dir(1), verifier_by()
        rollouts, verdicts = (Made(read.__name__, partial(read, at)) for read in (read_rollouts, read_verdicts))
        tracemalloc.start()
        dataset = run.stage(1, "curate", curate, problems, rollouts, verdicts, run.recipe.curation, verifier, []).value
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert dataset.num_rows == num_problems
    return most


@pytest.mark.parametrize("options", [{}, {"quota": "proportional", "max_rows": 1000}], ids=str)
def test_more_rollouts_take_no_more_memory(tmp_path: Path, options: dict[str, Any]) -> None:
    few, many = 30, 180
    more = peak(tmp_path / "many", many, options) - peak(tmp_path / "few", few, options)
    assert more < (many - few) * 2 * LONG / 4
