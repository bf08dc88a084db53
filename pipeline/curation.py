"""From verified rollouts to the rows that are trained on: small pure functions, put together in `curate`.

A row is one Example in trl's prompt-completion format with its provenance: which policy, strategy, seed and round it
came from and what its verifier said. Rows go through the functions in the order in which they stand here.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
from pydantic import Field

from pipeline import recipe
from pipeline.contamination import overlapping
from pipeline.files import write_text
from pipeline.run import Stage, stage
from pipeline.templates import render_card
from pipeline.types import Attempts, Dataset, Example, Problems, Rollout, Verdict, digest
from pipeline.verifiers.judge import Judge


class Options(recipe.Options):
    """At most `keep` rows a problem, the most concise; none under `min_tokens` (its end token counted), which are
    often guesses; with `accumulate`, the rows of earlier rounds as well.

    With `decontaminate`, no row that overlaps with a measured problem: by `overlap` (0..1) of its words, in runs of
    `ngram`. Without it such rows are counted all the same, and the card says that they were trained on."""

    keep: int = Field(default=4, ge=1)
    min_tokens: int = Field(default=2, ge=1)
    accumulate: bool = True
    decontaminate: bool = True
    ngram: int = Field(default=5, ge=1)
    overlap: float = Field(default=0.8, gt=0, le=1)


def correct(rollouts: Iterable[Rollout], verdicts: Iterable[Verdict]) -> list[tuple[Rollout, Verdict]]:
    """Rollouts that were judged right and came to their end: what was cut off would teach not to end."""
    by_id = {verdict.rollout_id: verdict for verdict in verdicts}
    judged = ((rollout, by_id.get(rollout.id)) for rollout in rollouts)
    return [
        (rollout, verdict)
        for rollout, verdict in judged
        if verdict is not None and verdict.correct and rollout.finish_reason == "stop"
    ]


def example(rollout: Rollout, verdict: Verdict, n: int) -> Example:
    """The row of one right rollout of round `n`."""
    chat = not isinstance(rollout.prompt, str)
    return {
        "prompt": rollout.prompt,
        "completion": [{"role": "assistant", "content": rollout.response}] if chat else rollout.response,
        "problem_id": rollout.problem_id,
        "rollout_id": rollout.id,
        "policy": rollout.policy,
        "strategy": rollout.strategy,
        "seed": rollout.seed,
        "hinted": rollout.hinted,
        "num_tokens": rollout.num_tokens,
        "verifier": verdict.verifier,
        "score": verdict.score,
        "margin": verdict.margin,
        "answer": verdict.answer,
        "round": n,
    }


def distinct(rows: Iterable[Example]) -> list[Example]:
    """The first of a problem's rows that read alike but for case and spacing; numbers and steps tell them apart."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        key = (row["problem_id"], " ".join(text(row).casefold().split()))
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def concise(rows: Iterable[Example], keep: int, min_tokens: int) -> list[Example]:
    """For each problem the `keep` rows with the fewest tokens, but none with fewer than `min_tokens`."""
    by_problem: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row["num_tokens"] >= min_tokens:
            by_problem[row["problem_id"]].append(row)
    return [row for group in by_problem.values() for row in sorted(group, key=_size)[:keep]]


def text(row: Example) -> str:
    """The words of a row's completion."""
    completion = row["completion"]
    return str(completion if isinstance(completion, str) else completion[0]["content"])


def read_dataset(folder: Path) -> Dataset:
    """The dataset in a round's directory."""
    rows = read_rows(folder)
    return Dataset(folder / "dataset", len(rows), _name(rows))


def read_rows(folder: Path) -> list[Example]:
    """The rows of the dataset in a round's directory."""
    return parquet.read_table(folder / "dataset" / _FILE).to_pylist()  # type: ignore[no-any-return]


@stage(read_dataset)
def curate(
    work: Stage,
    problems: Problems,
    rollouts: Sequence[Attempts],
    verdicts: Sequence[Verdict],
    options: Options,
    judge: Judge,
) -> Dataset:
    """Write the rows of this round, and of those before it where they accumulate, with a card that says so.

    A row of an earlier round that another verifier let in is left out.
    """
    every = [rollout for attempts in rollouts for rollout in attempts.rollouts]
    right = correct(every, verdicts)
    rows = [example(rollout, verdict, work.round) for rollout, verdict in right]
    earlier = work.dir.parent / f"round-{work.round - 1:03d}"
    if options.accumulate and work.round > 1:
        rows = [row for row in read_rows(earlier) if row["verifier"] == judge.identity] + rows
    measured = problems.dev + problems.held_out
    overlap = overlapping(rows, measured, options.ngram, options.overlap)
    if options.decontaminate:
        rows = [row for row, overlaps in zip(rows, overlap, strict=True) if not overlaps]
    rows = concise(distinct(rows), options.keep, options.min_tokens)
    work.notes |= {
        "num_right": sum(verdict.correct for verdict in verdicts),
        "num_cut_off": sum(verdict.correct for verdict in verdicts) - len(right),
        "num_wrong": sum(verdict.score is not None and not verdict.correct for verdict in verdicts),
        "num_unjudged": sum(verdict.score is None for verdict in verdicts),
        "num_overlapping": sum(overlap),
        "num_solved": len({rollout.problem_id for rollout, _ in right}),
        "num_rows": len(rows),
        "num_rows_new": sum(row["round"] == work.round for row in rows),
        "caveats": judge.caveats,
    }
    if not options.decontaminate:
        work.notes["caveats"] += [
            f"Not decontaminated, as the recipe asks: {sum(overlap)} right solutions overlap with measured problems "
            "and were not left out."
        ]
    _write(work, rows, options, judge)
    return Dataset(work.dir / "dataset", len(rows), _name(rows))


_FILE = "train-00000-of-00001.parquet"


def _write(work: Stage, rows: list[Example], options: Options, judge: Judge) -> None:
    part, target = work.dir / "dataset.part", work.dir / "dataset"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    with (part / _FILE).open("wb") as file:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=_schema(rows)), file)
        file.flush()
        os.fsync(file.fileno())
    known = {"recipe": work.recipe, "round": work.round, "notes": work.notes, "options": options, "judge": judge}
    write_text(part / "README.md", render_card("dataset_card.md", rows=rows[:3], text=text, **known))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


def _schema(rows: Sequence[Example]) -> pyarrow.Schema:
    """Named, not guessed, so that a round without a row has the same columns."""
    message = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    words = pyarrow.string() if rows and isinstance(rows[0]["prompt"], str) else pyarrow.list_(message)
    names = ("problem_id", "rollout_id", "policy", "strategy", "verifier", "answer")
    return pyarrow.schema(
        [("prompt", words), ("completion", words)]
        + [(name, pyarrow.string()) for name in names]
        + [(name, pyarrow.int64()) for name in ("seed", "num_tokens", "round")]
        + [("hinted", pyarrow.bool_()), ("score", pyarrow.float64()), ("margin", pyarrow.float64())]
    )


def _size(row: Example) -> tuple[int, str]:
    return row["num_tokens"], row["rollout_id"]


def _name(rows: Sequence[Example]) -> str:
    return digest([(row["rollout_id"], row["round"]) for row in rows])
