"""A round's dataset on disk: rows, pairs and valued steps as Parquet files, with a card that explains them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow
import pyarrow.parquet as parquet

from byheart.curation.options import CurationOptions
from byheart.curation.rows import text
from byheart.files import write_text
from byheart.runs.records import CurationStats
from byheart.runs.stages import Stage
from byheart.templates import render_card
from byheart.types import Dataset, Pair, Record, Row, StepwiseRow, digest
from byheart.verifiers.core.service import VerifierService

R = TypeVar("R", bound=Record)

_FILE = "train-00000-of-00001.parquet"


def read_dataset(folder: Path) -> Dataset:
    """The dataset in the directory `folder` of a round."""
    return _dataset(folder, read_rows(folder), read_pairs(folder), read_steps(folder))


def read_rows(folder: Path) -> list[Row]:
    """The rows of the dataset in the directory `folder` of a round."""
    return _read(folder / "dataset" / _FILE, Row)


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs of the dataset in the directory `folder` of a round; empty where it has no file of them."""
    path = folder / "dataset" / "pairs" / _FILE
    return _read(path, Pair) if path.exists() else []


def read_steps(folder: Path) -> list[StepwiseRow]:
    """The valued steps of the dataset in the directory `folder` of a round; empty where it has no file of them."""
    path = folder / "dataset" / "steps" / _FILE
    return _read(path, StepwiseRow) if path.exists() else []


def write_dataset(
    work: Stage,
    rows: list[Row],
    pairs: list[Pair],
    stepwise: list[StepwiseRow],
    stats: CurationStats,
    options: CurationOptions,
    verifier: VerifierService,
) -> Dataset:
    """Write the dataset of a round to a temporary directory, then rename it. Pairs and valued steps have a file only
    where there are any."""
    part, target = work.dir / "dataset.part", work.dir / "dataset"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    _write(part / _FILE, rows, _row_schema(rows))
    if pairs:
        _write(part / "pairs" / _FILE, pairs, _pair_schema(pairs))
    if stepwise:
        _write(part / "steps" / _FILE, stepwise, _step_schema(stepwise))
    card = render_card(
        "dataset_card.md",
        about=work.about,
        round=work.round,
        environments=work.environments,
        stats=stats,
        options=options,
        verifier=verifier,
        rows=rows[:3],
        text=text,
    )
    write_text(part / "README.md", card)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return _dataset(work.dir, rows, pairs, stepwise)


def _dataset(folder: Path, rows: Sequence[Row], pairs: Sequence[Pair], stepwise: Sequence[StepwiseRow]) -> Dataset:
    name = digest(
        [(row.rollout_id, row.round, text(row), row.untrained) for row in rows],
        [(pair.chosen_id, pair.rejected_id) for pair in pairs],
        [(row.rollout_id, row.round, row.values) for row in stepwise],
    )
    return Dataset(folder / "dataset", len(rows), name, len(pairs), len(stepwise))


def _read(path: Path, kind: type[R]) -> list[R]:
    return [kind.from_dict(row) for row in parquet.read_table(path).to_pylist()]


def _write(path: Path, rows: Sequence[Record], schema: pyarrow.Schema) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        parquet.write_table(pyarrow.Table.from_pylist([row.to_dict() for row in rows], schema=schema), file)
        file.flush()
        os.fsync(file.fileno())


def _row_schema(rows: Sequence[Row]) -> pyarrow.Schema:
    """Declared, not inferred, so that a round without rows has the same columns."""
    words = _words(rows)
    names = ("problem_id", "rollout_id", "policy", "strategy", "verifier", "answer")
    return pyarrow.schema(
        [("prompt", words), ("completion", words)]
        + [(name, pyarrow.string()) for name in names]
        + [(name, pyarrow.int64()) for name in ("seed", "num_tokens", "round")]
        + [("hinted", pyarrow.bool_()), ("untrained", pyarrow.list_(pyarrow.list_(pyarrow.int64())))]
        + [(name, pyarrow.float64()) for name in ("value", "score", "margin")]
    )


def _pair_schema(pairs: Sequence[Pair]) -> pyarrow.Schema:
    return pyarrow.schema(
        [(name, _words(pairs)) for name in ("prompt", "chosen", "rejected")]
        + [(name, pyarrow.string()) for name in ("problem_id", "chosen_id", "rejected_id")]
        + [("round", pyarrow.int64())]
    )


def _step_schema(rows: Sequence[StepwiseRow]) -> pyarrow.Schema:
    lists = (("completions", pyarrow.string()), ("labels", pyarrow.bool_()), ("values", pyarrow.float64()))
    return pyarrow.schema(
        [("prompt", _words(rows))]
        + [(name, pyarrow.list_(kind)) for name, kind in lists]
        + [(name, pyarrow.string()) for name in ("problem_id", "rollout_id")]
        + [("round", pyarrow.int64())]
    )


def _words(rows: Sequence[Row | Pair | StepwiseRow]) -> pyarrow.DataType:
    """The type of prompts and completions: plain text, or the messages of a chat."""
    message = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    return pyarrow.string() if rows and isinstance(rows[0].prompt, str) else pyarrow.list_(message)
