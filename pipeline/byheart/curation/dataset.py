"""A round's dataset on disk: rows, pairs and valued steps as Parquet files, with a card that explains them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
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
from byheart.types import Dataset, Pair, Record, Row, StepwiseRow
from byheart.verifiers.core.service import VerifierService

R = TypeVar("R", bound=Record)

_FILE = "train-00000-of-00001.parquet"
_PAIRS, _STEPS = f"pairs/{_FILE}", f"steps/{_FILE}"
_GROUP = 1000
"""Records are written, and read, so many at a time."""


def read_dataset(folder: Path) -> Dataset:
    """The dataset in the directory `folder` of a round."""
    part = folder / "dataset"
    pairs, stepwise = _read_any(part / _PAIRS, Pair), _read_any(part / _STEPS, StepwiseRow)
    return _dataset(folder, _read(part / _FILE, Row), pairs, stepwise)


def read_rows(folder: Path) -> list[Row]:
    """The rows of the dataset in the directory `folder` of a round."""
    return list(_read(folder / "dataset" / _FILE, Row))


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs of the dataset in the directory `folder` of a round; empty where it has no file of them."""
    return list(_read_any(folder / "dataset" / _PAIRS, Pair))


def read_steps(folder: Path) -> list[StepwiseRow]:
    """The valued steps of the dataset in the directory `folder` of a round; empty where it has no file of them."""
    return list(_read_any(folder / "dataset" / _STEPS, StepwiseRow))


def write_tables(folder: Path, rows: Iterable[Row], pairs: Iterable[Pair], stepwise: Iterable[StepwiseRow]) -> Dataset:
    """Write the dataset of the round in `folder`, all but its card, to a temporary directory. Pairs and valued steps
    have a file only where there are any."""
    part = folder / "dataset.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    return _dataset(
        folder,
        _written(part / _FILE, rows, _row_schema, even_empty=True),
        _written(part / _PAIRS, pairs, _pair_schema),
        _written(part / _STEPS, stepwise, _step_schema),
    )


def write_card(
    work: Stage, rows: list[Row], stats: CurationStats, options: CurationOptions, verifier: VerifierService
) -> None:
    """Write the card, with `rows` as examples, and give the temporary directory its name."""
    part, target = work.dir / "dataset.part", work.dir / "dataset"
    card = render_card(
        "dataset_card.md",
        about=work.about,
        round=work.round,
        environments=work.environments,
        stats=stats,
        options=options,
        verifier=verifier,
        rows=rows,
        text=text,
    )
    write_text(part / "README.md", card)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _dataset(folder: Path, rows: Iterable[Row], pairs: Iterable[Pair], stepwise: Iterable[StepwiseRow]) -> Dataset:
    name, (num_rows, num_pairs, num_stepwise) = digest_of_lists(
        ((row.rollout_id, row.round, text(row), row.untrained, *filter(None, [row.token_ids])) for row in rows),
        ((pair.chosen_id, pair.rejected_id) for pair in pairs),
        ((row.rollout_id, row.round, row.values) for row in stepwise),
    )
    return Dataset(folder / "dataset", num_rows, name, num_pairs, num_stepwise)


def digest_of_lists(*lists: Iterable[object]) -> tuple[str, list[int]]:
    """What types.digest makes of these lists, and how long they are; one item at a time is in memory."""
    sha256 = hashlib.sha256()
    lengths: list[int] = []
    for items in lists:
        sha256.update(b", [" if lengths else b"[[")
        length = 0
        for length, item in enumerate(items, 1):
            sha256.update((", " * (length > 1) + json.dumps(item, ensure_ascii=False)).encode())
        sha256.update(b"]")
        lengths.append(length)
    sha256.update(b"]")
    return sha256.hexdigest()[:16], lengths


def _read(path: Path, kind: type[R]) -> Iterator[R]:
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_GROUP):
            yield from (kind.from_dict(row) for row in batch.to_pylist())


def _read_any(path: Path, kind: type[R]) -> Iterator[R]:
    """The records in the file, none where there is none."""
    return _read(path, kind) if path.exists() else iter(())


def _written(
    path: Path, records: Iterable[R], schema: Callable[[Sequence[R]], pyarrow.Schema], even_empty: bool = False
) -> Iterator[R]:
    """`records`, on their way into a Parquet file. Where there are none, there is a file only if `even_empty`."""
    iterator = iter(records)
    group = list(islice(iterator, _GROUP))
    if not group and not even_empty:
        return
    path.parent.mkdir(exist_ok=True)
    columns = schema(group)
    with path.open("wb") as file:
        with parquet.ParquetWriter(file, columns) as writer:
            while group:
                writer.write_table(pyarrow.Table.from_pylist([row.to_dict() for row in group], schema=columns))
                yield from group
                group = list(islice(iterator, _GROUP))
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
        + [("token_ids", pyarrow.list_(pyarrow.int64()))]
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
