"""A dry run finds what is wrong with problems, in whatever split they are, and does nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.errors import TaskError
from byheart.files import write_json
from byheart.planning.dry_run import plan
from byheart.runs.records import RoundEnd, RunState


def planned(folder: Path, *odd: dict[str, Any], **rest: Any) -> list[str]:
    """The notes of a dry run on 60 sums, and these rows after them."""
    rows = [{"prompt": f"{n} + 1", "answer": n + 1, "level": str(n % 2)} for n in range(60)]
    path = folder / "sums.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [*rows, *odd]))
    sizes = {"num_train": 4, "num_dev": 2, "num_held_out": 2}
    task = {"name": "file", "path": str(path), "verifier": "number", "meta_columns": ["level"]} | sizes
    raw = {"name": "t", "model": {"name": "smollm2-135m"}, "task": task | rest.pop("task", {})} | rest
    return plan(recipe.parse(raw), folder / "run", 1).notes


def test_sound_problems_are_planned_for(tmp_path: Path) -> None:
    assert "nothing was done" in planned(tmp_path, evaluation={"group_by": "level"})[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("odd", "rest", "words"),
    [
        ({"answer": "many"}, {}, r"sums\.jsonl, line 61: the gold answer 'many' is not a number"),
        ({"answer": ["61"]}, {}, r"sums\.jsonl, line 61: .* several accepted answers"),
        ({"answer": 61}, {"verifier": "choice"}, "file: choice can't read what 61 of 61 problems are judged by"),
        (
            {"answer": "many"},
            {"task": {"verifier": "exact"}, "verifier": "number"},
            "file: number can't read what 1 of 61 problems are judged by, .* 'many' is not a number",
        ),
        (
            {"answer": 61},
            {"evaluation": {"group_by": "levl"}},
            "evaluation.group_by: .* no 'levl' in its meta, which has",
        ),
        (
            {"answer": 61},
            {"task": {"meta_columns": ["levl"]}},
            "no column 'levl'; it has prompt, answer, level, did you",
        ),
        (
            {"answer": 61},
            {"task": {"only": {"level": [1]}}},
            r"task.only: level is '1' \(str\) in the problems, and not 1",
        ),
    ],
    ids=str,
)
def test_what_would_be_found_out_after_all_sampling_is_refused(
    tmp_path: Path, odd: dict[str, Any], rest: dict[str, Any], words: str
) -> None:
    with pytest.raises(TaskError, match=words):
        planned(tmp_path, {"prompt": "60 + 1", "level": "0"} | odd, **rest)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("finished", "more"), [(0, ""), (2, ", but for those that an earlier round has")])
def test_it_says_which_controls_are_new(tmp_path: Path, finished: int, more: str) -> None:
    raw = {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic", "num_held_out": 7}}
    write_json(tmp_path / "state.json", RunState([RoundEnd("base")] * finished).to_dict())
    stages = plan(recipe.parse(raw | {"evaluation": {"controls": {"majority": 2}}}), tmp_path, 1).stages
    assert {stage: would for stage, would, _ in stages}["controls"] == (
        f"14 answers of the model that the run began with{more}"
    )


def test_it_says_how_many_rounds_are_left_at_most(tmp_path: Path) -> None:
    raw = {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    until = recipe.parse(raw | {"rounds": {"most": 6, "patience": 2}})
    assert plan(until, tmp_path / "run").title.startswith("round 1 to 6 at most in ")
    assert plan(until, tmp_path / "run", 2).title.startswith("round 1 to 2 in ")
