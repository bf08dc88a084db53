"""`byheart verify FILE --verifier math`: verdicts on responses that there are, from wherever they came.

A row is a JSON object with `response` and what the verifier needs: `answer`, for code `tests`, for choice `choices`.
It comes back with `score` (1.0, 0.0, or null where it could not be judged), `extracted` and `reason`, in order. Rows
are judged as they arrive, so this can stand in a pipe.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, Any

import yaml

from byheart.errors import InputError, RecipeError
from byheart.files import read_row, room
from byheart.progress import console
from byheart.recipe import Choice, chosen
from byheart.strategies.driver import drive
from byheart.types import Problem, Solver, Verdict, Verify
from byheart.verifiers import judge, tags
from byheart.verifiers.pool import Pool

AHEAD = 1024
"""So many rows are judged at a time, or as many as have come."""

Row = dict[str, Any]


def verify_file(source: str, verifier: str, out: Path | None) -> bool:
    """Judge the rows of `source` ("-": standard input) and write them to `out` (None: standard output).

    Returns whether all rows were good; one that can't be judged at all is said on standard error, with its line, and
    left out. Raises InputError where a file can't be read or written, RecipeError where the verifier is not known or
    wants what only a run has.
    """
    try:
        by = chosen("verifiers", yaml.safe_load(verifier))
    except (ValueError, yaml.YAMLError) as error:
        raise RecipeError(f"--verifier: {error}") from None
    judge.check(by)
    if judge.together(by):
        raise RecipeError("--verifier: agreement is between all samples of a problem; consensus is for a recipe")
    if judge.asks(by):
        raise RecipeError("--verifier: there is no policy here to ask; remote_judge asks a server")
    if out and source != "-" and out.resolve() == Path(source).resolve():
        raise InputError(f"--out: {out} is the file that is read; name another")
    counts: Counter[str] = Counter()
    with ExitStack() as opened:
        one = judge.Judge(by, opened.enter_context(Pool()))
        try:
            # Standard input under a file object of its own: the thread below may be at it when the interpreter ends.
            lines = open(0 if source == "-" else source, "rb", closefd=source != "-")  # noqa: SIM115
            target = opened.enter_context(out.open("w", encoding="utf-8")) if out else sys.stdout
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from None
        if isinstance(target, TextIOWrapper):
            target.reconfigure(encoding="utf-8")
        for batch in _batches(lines, source):
            rows = [row for number, line in batch if (row := _row(number, line, by, source, counts)) is not None]
            with room(out.parent if out else Path.cwd()):
                for row in _judged(rows, by, one, counts):
                    target.write(json.dumps(row, ensure_ascii=False) + "\n")
                target.flush()
    said = ", ".join(f"{counts[word]} {word}" for word in ("right", "wrong", "unjudged", "bad"))
    console.print(f"{sum(counts.values())} rows: {said}", markup=False)
    return not counts["bad"]


def _batches(lines: IO[bytes], source: str) -> Iterator[list[tuple[int, bytes]]]:
    """The lines with their numbers, as many at a time as have come, so that a slow writer gets its answers."""
    come: Queue[tuple[int, bytes] | OSError | None] = Queue(AHEAD)

    def read() -> None:
        try:
            for numbered in enumerate(lines, 1):
                come.put(numbered)
            come.put(None)
        except OSError as error:
            come.put(error)

    Thread(target=read, daemon=True).start()
    while True:
        batch = []
        found = come.get()
        while isinstance(found, tuple):
            batch.append(found)
            if len(batch) == AHEAD or come.empty():
                break
            found = come.get()
        yield batch
        if isinstance(found, OSError):
            raise InputError(f"{source}: can't be read to its end: {found.strerror}")
        if found is None:
            return


def _row(number: int, line: bytes, by: Choice, source: str, counts: Counter[str]) -> Row | None:
    """The row in a line, or None where there is none in it or it is no good, which is said."""
    if not line.strip():
        return None
    try:
        row = read_row(line)
        wrong = _wrong(row, by)
    except ValueError as error:
        wrong = str(error)
    if wrong:
        counts["bad"] += 1
        console.print(f"{source}, line {number}: left out: {wrong}", markup=False)
        return None
    return row


def _wrong(row: Row, by: Choice) -> str | None:
    """What keeps a row from being judged."""
    if not isinstance(row.get("response"), str):
        return "it has no response, as text"
    if not isinstance(row.get("answer"), str | int | float | None) or isinstance(row.get("answer"), bool):
        return "its answer is neither text nor a number"
    names = {one.name for one in tags.tree(by)}
    if "code" in names and "tests" not in row:
        return "it has no tests"
    if names & {"number", "exact", "regex", "choice", "math"} and "answer" not in row:
        return "it has no answer"
    return None


def _judged(rows: list[Row], by: Choice, one: judge.Judge, counts: Counter[str]) -> Iterator[Row]:
    """The rows with what the verifier says of each, in order, and each as soon as those before it are judged."""
    found: dict[int, Verdict] = {}

    def asking(place: int, problem: Problem) -> Solver:
        [[found[place]]] = yield [Verify(problem, [rows[place]["response"]])]
        return []

    problems = [_problem(row, by) for row in rows]
    written = 0
    for _ in drive(((problem, asking(place, problem)) for place, problem in enumerate(problems)), None, one):
        while written in found:
            verdict = found.pop(written)
            counts["unjudged" if verdict.score is None else "right" if verdict.correct else "wrong"] += 1
            yield rows[written] | {"score": verdict.score, "extracted": verdict.answer, "reason": verdict.reason}
            written += 1


def _problem(row: Row, by: Choice) -> Problem:
    answer = row.get("answer")
    meta = {name: value for name, value in row.items() if name not in ("prompt", "answer", "response")}
    prompt = row.get("prompt", "")
    return Problem("", prompt, None if answer is None else str(answer), by.name, meta)
