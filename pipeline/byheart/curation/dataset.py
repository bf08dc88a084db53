"""A round's dataset on disk: rows, pairs and valued steps as Parquet files, which any tool reads, with a card that
explains them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet as parquet

from byheart.curation.rows import text
from byheart.files import write_text
from byheart.run import Stage
from byheart.templates import render_card
from byheart.types import Dataset, Example, digest
from byheart.verifiers.judge import Judge

_FILE = "train-00000-of-00001.parquet"


def read_dataset(folder: Path) -> Dataset:
    """The dataset in a round's directory."""
    return _dataset(folder, read_rows(folder), read_pairs(folder), read_steps(folder))


def read_rows(folder: Path) -> list[Example]:
    """The rows of the dataset in a round's directory."""
    return _read(folder / "dataset" / _FILE)


def read_pairs(folder: Path) -> list[Example]:
    """The pairs of the dataset in a round's directory; none where it has no file of them."""
    path = folder / "dataset" / "pairs" / _FILE
    return _read(path) if path.exists() else []


def read_steps(folder: Path) -> list[Example]:
    """The solutions with valued steps of the dataset in a round's directory; none where it has no file of them."""
    path = folder / "dataset" / "steps" / _FILE
    return _read(path) if path.exists() else []


def write_dataset(
    work: Stage, rows: list[Example], pairs: list[Example], stepwise: list[Example], options: Any, judge: Judge
) -> Dataset:
    """Beside its place, then renamed. Pairs and valued steps have a file only where there are any."""
    part, target = work.dir / "dataset.part", work.dir / "dataset"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    _write(part / _FILE, rows, _row_schema(rows))
    for name, some, schema in (("pairs", pairs, _pair_schema(pairs)), ("steps", stepwise, _step_schema(stepwise))):
        if some:
            (part / name).mkdir()
            _write(part / name / _FILE, some, schema)
    known = {"recipe": work.recipe, "round": work.round, "notes": work.notes, "options": options, "judge": judge}
    known["environments"] = work.environments
    write_text(part / "README.md", render_card("dataset_card.md", rows=rows[:3], text=text, **known))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return _dataset(work.dir, rows, pairs, stepwise)


def _dataset(folder: Path, rows: Sequence[Example], pairs: Sequence[Example], stepwise: Sequence[Example]) -> Dataset:
    name = digest(
        [(row["rollout_id"], row["round"], text(row), row["untrained"]) for row in rows],
        [(pair["chosen_id"], pair["rejected_id"]) for pair in pairs],
        [(one["rollout_id"], one["round"], one["values"]) for one in stepwise],
    )
    return Dataset(folder / "dataset", len(rows), name, len(pairs), len(stepwise))


def _read(path: Path) -> list[Example]:
    return parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]


def _write(path: Path, rows: list[Example], schema: pyarrow.Schema) -> None:
    with path.open("wb") as file:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), file)
        file.flush()
        os.fsync(file.fileno())


def _row_schema(rows: Sequence[Example]) -> pyarrow.Schema:
    """Named, not guessed, so that a round without a row has the same columns."""
    words = _words(rows)
    names = ("problem_id", "rollout_id", "policy", "strategy", "verifier", "answer")
    return pyarrow.schema(
        [("prompt", words), ("completion", words)]
        + [(name, pyarrow.string()) for name in names]
        + [(name, pyarrow.int64()) for name in ("seed", "num_tokens", "round")]
        + [("hinted", pyarrow.bool_()), ("untrained", pyarrow.list_(pyarrow.list_(pyarrow.int64())))]
        + [(name, pyarrow.float64()) for name in ("value", "score", "margin")]
    )


def _pair_schema(pairs: Sequence[Example]) -> pyarrow.Schema:
    return pyarrow.schema(
        [(name, _words(pairs)) for name in ("prompt", "chosen", "rejected")]
        + [(name, pyarrow.string()) for name in ("problem_id", "chosen_id", "rejected_id")]
        + [("round", pyarrow.int64())]
    )


def _step_schema(rows: Sequence[Example]) -> pyarrow.Schema:
    lists = (("completions", pyarrow.string()), ("labels", pyarrow.bool_()), ("values", pyarrow.float64()))
    return pyarrow.schema(
        [("prompt", _words(rows))]
        + [(name, pyarrow.list_(kind)) for name, kind in lists]
        + [(name, pyarrow.string()) for name in ("problem_id", "rollout_id")]
        + [("round", pyarrow.int64())]
    )


def _words(rows: Sequence[Example]) -> pyarrow.DataType:
    """The type of a prompt and of what answers it: plain text, or the messages of a chat."""
    message = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    return pyarrow.string() if rows and isinstance(rows[0]["prompt"], str) else pyarrow.list_(message)
