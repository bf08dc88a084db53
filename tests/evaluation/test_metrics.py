"""The metrics of a round as JSON: what was written is read, and written again as it was."""

import json
from pathlib import Path
from typing import Any

import pytest
from byheart.evaluation import RoundMetrics
from byheart.runs.records import CurationStats
from pydantic import ValidationError

from tests.conftest import ROOT

WRITTEN = sorted((ROOT / "tests/old_run/run").glob("round-*/metrics.json"))


def read(path: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(path.read_text())
    return metrics


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.parent.name)
def test_metrics_have_the_keys_that_they_had(path: Path) -> None:
    written = read(path)
    curated = written.pop("curation")
    metrics = RoundMetrics.from_dict(written)
    assert json.dumps(metrics.to_dict(), sort_keys=True) == json.dumps(written, sort_keys=True)
    assert CurationStats.from_dict(curated).to_dict().items() >= curated.items()
    side, raw = metrics.held_out.after, written["splits"]["held_out"]["after"]
    assert [rate.to_dict() for rate in side.sampled.values()] == [raw[key] for key in raw if "@" in key]
    assert side.slow is None and "slow" not in raw and side.values and side.values.brier == raw["values"]["brier"]


def test_there_are_two_rounds_to_read() -> None:
    assert len(WRITTEN) == 2


@pytest.mark.parametrize("where", ["", "splits", "splits.dev.before", "splits.dev.before.fast", "splits.dev.paired"])
def test_an_unknown_key_is_refused(where: str) -> None:
    metrics = read(WRITTEN[0])
    del metrics["curation"]
    part = metrics
    for key in where.split(".") if where else []:
        part = part[key]
    part["since_then"] = 1
    with pytest.raises(ValidationError, match="since_then"):
        RoundMetrics.from_dict(metrics)
