"""Valued steps on disk: read as they were written, and part of what the dataset is known by."""

from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.curation import curate, read_dataset
from byheart.curation.attempts import Attempt
from byheart.curation.dataset import digest_of_lists, read_steps
from byheart.curation.steps import StepOptions, stepwise_rows
from byheart.files import Journal, write_records
from byheart.runs.run import Run
from byheart.types import Dataset, Problem, Problems, Prompt, Rollout, RolloutGroup, Verdict, digest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import verifier_by
from tests.curation.conftest import CHAT, PLAIN, judged, rolled


def curated(folder: Path, tried: list[tuple[Rollout, Verdict]], **curation: Any) -> Dataset:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}, "curation": curation}
    rollouts, verdicts = (list(column) for column in zip(*tried, strict=True))
    problems = Problems([Problem("p", rollouts[0].prompt, "4", "number")], [], [])
    attempts = [RolloutGroup("p", rollouts, [])]
    with Run(folder, recipe.parse(raw)) as run:
        run.round_dir(1).mkdir(parents=True)
        write_records(run.round_dir(1) / "problems.jsonl", [problems])
        write_records(run.round_dir(1) / "verdicts.jsonl", verdicts)
        journal = Journal(run.round_dir(1), "rollouts", RolloutGroup)
        journal.append(attempts[0])
        journal.close()
        options = run.recipe.at(1).curation
        return run.stage(1, "curate", curate, problems, attempts, verdicts, options, verifier_by(), []).value


@pytest.mark.parametrize("prompt", [CHAT, PLAIN], ids=["chat", "plain"])
def test_they_are_read_as_they_were_written(tmp_path: Path, prompt: Prompt) -> None:
    tried = [
        (right := rolled("a", "1 + 1 = 2\n4", prompt=prompt), judged(right)),
        (wrong := rolled("b", "1 + 1 = 2\n5", prompt=prompt), judged(wrong, 0.0)),
    ]
    dataset = curated(tmp_path / "run", tried, steps={})
    made = stepwise_rows([Attempt(1, *pair) for pair in tried], "line", StepOptions(), seed=0)
    read = read_steps(dataset.folder.parent)
    assert sorted(read, key=lambda row: row.rollout_id) == sorted(made, key=lambda row: row.rollout_id)
    assert [row.prompt for row in read] == [prompt, prompt]
    assert read_dataset(dataset.folder.parent) == dataset
    assert dataset.num_stepwise == 2


def test_other_values_are_another_dataset(tmp_path: Path) -> None:
    tried = [
        (right := rolled("a", "1 + 1 = 2\n4"), judged(right)),
        (wrong := rolled("b", "1 + 1 = 2\n5"), judged(wrong, 0.0)),
    ]
    names = {
        curated(tmp_path / f"{target}", tried, steps={"target": target}).digest for target in ("monte_carlo", "hard")
    }
    assert len(names) == 2


@given(
    st.lists(
        st.lists(st.tuples(st.text(), st.floats(allow_nan=False), st.lists(st.integers()))), min_size=1, max_size=3
    )
)
def test_a_dataset_is_named_as_its_lists_would_be(lists: list[list[Any]]) -> None:
    assert digest_of_lists(*lists) == (digest(*lists), [len(items) for items in lists])
