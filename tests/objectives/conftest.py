"""A dataset of eight sums, with a pair of a right and a wrong answer for each, and the job to learn it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Job


def says(answer: object) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": f"{answer}"}]


@pytest.fixture
def job(tiny: Path, tmp_path: Path) -> Job:
    return make_job(tiny, tmp_path)


def make_job(base: Path, folder: Path) -> Job:
    out = folder / "round-001/adapter"
    made = Job({"name": "sft"}, base, None, folder / "dataset", folder / "scratch", out, seed=0, allow_pickle=False)
    asked: list[Any] = [[{"role": "user", "content": f"What is {a} + 1?"}] for a in range(8)]
    write(made.rows, [{"prompt": prompt, "completion": says(a + 1)} for a, prompt in enumerate(asked)])
    write(
        made.pairs,
        [{"prompt": prompt, "chosen": says(a + 1), "rejected": says("many")} for a, prompt in enumerate(asked)],
    )
    return made


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
