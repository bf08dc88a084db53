"""What a finished round leaves: the scorer of its policy, what was curated, and measures that only its redoing ends."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from byheart.config import recipe
from byheart.errors import RunError
from byheart.runs.records import CurationStats, StageRecord
from byheart.runs.run import Run
from byheart.types import Policy

from tests.fakes import NO_METRICS


def opened(folder: Path, redo_from: int | None = None) -> Run:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}}
    return Run(folder / "run", recipe.parse(raw), None, redo_from)


def test_a_policy_is_read_with_its_scorer(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        folder = run.round_dir(1)
        folder.mkdir()
        policy = Policy("m", folder / "adapter", "adapter-1", folder / "scorer/adapter")
        run.finish(1, policy, NO_METRICS)
        assert run.policy(1) == policy


def test_what_was_curated_is_among_the_metrics(tmp_path: Path) -> None:
    counts = dict.fromkeys((field.name for field in fields(CurationStats)), 0)
    stats = CurationStats.from_dict(counts | {"unique_rate": None, "hint_share": 0.25, "caveats": ["weak"]})
    with opened(tmp_path) as run:
        folder = run.round_dir(1)
        folder.mkdir()
        record = StageRecord("done", "digest", "made", stats=stats)
        (folder / "stages.json").write_text(json.dumps({"curate": record.written()}))
        run.finish(1, Policy("m"), NO_METRICS)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == NO_METRICS.to_dict() | {"curation": stats.to_dict()}


def test_measures_are_set_aside_with_the_first_round_only(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        (run.dir / "measures").mkdir()
        for n in (1, 2):
            run.round_dir(n).mkdir()
            run.finish(n, Policy("m"), NO_METRICS)
    with opened(tmp_path, redo_from=2) as run:
        assert (run.dir / "measures").is_dir()
        assert (run.dir / "replaced-1/round-002").is_dir()
    with opened(tmp_path, redo_from=1) as run:
        assert not (run.dir / "measures").exists()
        assert (run.dir / "replaced-2/measures").is_dir()


def test_torn_metrics_are_found_when_the_run_is_opened_not_after_another_round(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.round_dir(1).mkdir()
        run.finish(1, Policy("m"), NO_METRICS)
    (run.round_dir(1) / "metrics.json").write_text('{"splits": {')
    with pytest.raises(RunError, match=r"round-001/metrics\.json is torn.*--redo-from"):
        opened(tmp_path)
    opened(tmp_path, redo_from=1).close()
