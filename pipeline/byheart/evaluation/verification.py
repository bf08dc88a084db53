"""`byheart verify FILE --verifier math`: verdicts on existing responses, from any source.

A row is a JSON object with `response`, or as in byheart's own data sets `completion`, and what the verifier needs:
`answer`, for code `tests`, for choice `choices`. It is returned with `score` (1.0, 0.0, or null where it could not be
judged), `extracted`, `found` (where in the response that was: the last box, the last line, after which words) and
`reason`, which for an unjudged row says what would let it be judged. They come in order, and are judged as they arrive,
so the command works in a pipe.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import yaml

from byheart.contracts import Verifier
from byheart.errors import InputError, RecipeError
from byheart.files import load_yaml, read_row, room
from byheart.progress import console
from byheart.strategies.core.driver import drive
from byheart.tasks.core.gold import gold
from byheart.text import text_of, visible, wrong_prompt
from byheart.types import Problem, Solver, Verdict, Verify
from byheart.verifiers.core import service
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.thinking import answer_part

AHEAD = 1024
"""Most rows that are judged at a time."""

Row = dict[str, Any]


def verify_file(source: str, verifier: str, out: Path | None) -> bool:
    """Judge the rows of `source` ("-": standard input) and write them to `out` (None: standard output).

    Returns whether all rows were good; a bad row is reported on standard error, with its line, and left out. Raises
    InputError where a file can't be read or written, RecipeError where the verifier is not known or needs what only a
    run has.
    """
    try:
        by = Verifier.parse(load_yaml(verifier))
    except (ValueError, yaml.YAMLError) as error:
        raise RecipeError(f"--verifier: {error}") from None
    service.check(by)
    if service.by_agreement(by):
        raise RecipeError("--verifier: agreement is between all samples of a problem; consensus is for a recipe")
    if service.asks_policy(by):
        raise RecipeError("--verifier: there is no policy here to ask; remote_judge asks a server")
    if out and source != "-" and out.resolve() == Path(source).resolve():
        raise InputError(f"--out: {out} is the file that is read; name another")
    counts: Counter[str] = Counter()
    with ExitStack() as opened:
        verifying = service.VerifierService(by, opened.enter_context(Pool()))
        try:
            # Standard input gets a file object of its own: the thread below may still read when the interpreter exits.
            opens = gzip.open if source.endswith(".gz") else open
            lines = open(0, "rb", closefd=False) if source == "-" else opens(source, "rb")  # noqa: SIM115
            target = opened.enter_context(out.open("w", encoding="utf-8")) if out else sys.stdout
        except OSError as error:
            raise InputError(f"{error.filename}: {error.strerror}") from None
        if isinstance(target, TextIOWrapper):
            target.reconfigure(encoding="utf-8")
        for batch in _batches(lines, source):
            rows = [row for number, line in batch if (row := _row(number, line, by, source, counts)) is not None]
            with room(out.parent if out else Path.cwd()):
                for row in _judged(rows, by, verifying, counts):
                    target.write(visible(json.dumps(row, ensure_ascii=False)) + "\n")
                target.flush()
    summary = ", ".join(f"{counts[word]} {word}" for word in ("right", "wrong", "unjudged", "bad"))
    console.print(f"{sum(counts.values())} rows: {summary}")
    return not counts["bad"]


def _batches(lines: Iterable[bytes], source: str) -> Iterator[list[tuple[int, bytes]]]:
    """The lines with their numbers, as many at a time as have arrived, so that a slow writer gets its verdicts."""
    arrived: Queue[tuple[int, bytes] | Exception | None] = Queue(AHEAD)

    def read() -> None:
        try:
            for numbered in enumerate((part for line in lines for part in line.splitlines()), 1):
                arrived.put(numbered)
            arrived.put(None)
        except (OSError, EOFError, zlib.error) as error:
            arrived.put(error)

    Thread(target=read, daemon=True).start()
    while True:
        batch = []
        item = arrived.get()
        while isinstance(item, tuple):
            batch.append(item)
            if len(batch) == AHEAD or arrived.empty():
                break
            item = arrived.get()
        yield batch
        if isinstance(item, Exception):
            reason = item.strerror if isinstance(item, OSError) and item.strerror else item
            raise InputError(f"{source}: can't be read to its end: {reason}")
        if item is None:
            return


def _row(number: int, line: bytes, by: Verifier, source: str, counts: Counter[str]) -> Row | None:
    """The row in a line; None where the line is blank, or bad, which is reported."""
    if not line.strip():
        return None
    try:
        row = read_row(line)
        reason = _unfit(row, by)
    except ValueError as error:
        reason = str(error)
    if reason:
        counts["bad"] += 1
        console.print(f"{source}, line {number}: left out: {reason}")
        return None
    return row


def _unfit(row: Row, by: Verifier) -> str | None:
    """Why a row can't be judged; None where it can."""
    if _response(row) is None:
        return "it has no response, as text"
    problem = _problem(row, by)
    for part in by.walk():
        if isinstance(part, Verifier):
            for key in part.needs_meta:
                if key not in row and part.unreadable(problem):
                    return f"it has no {key}"
    if by.requires_gold() and "answer" not in row:
        return "it has no answer"
    return None


def _judged(rows: list[Row], by: Verifier, verifier: service.VerifierService, counts: Counter[str]) -> Iterator[Row]:
    """The rows with their verdicts, in order, each as soon as those before it are judged."""
    verdicts: dict[int, Verdict] = {}

    def solve(index: int, problem: Problem) -> Solver:
        [[verdicts[index]]] = yield [Verify(problem, [_response(rows[index]) or ""])]
        return []

    problems = [_problem(row, by) for row in rows]
    written = 0
    solvers = ((problem, solve(index, problem)) for index, problem in enumerate(problems))
    for _ in drive(solvers, None, verifier):
        while written in verdicts:
            verdict = verdicts.pop(written)
            counts["unjudged" if verdict.score is None else "right" if verdict.correct else "wrong"] += 1
            answer = answer_part(_response(rows[written]) or "")
            where = by.found(answer) if verdict.answer is not None and answer is not None else ""
            judged = {"score": verdict.score, "extracted": verdict.answer, "found": where, "reason": verdict.reason}
            yield rows[written] | judged
            written += 1


def _problem(row: Row, by: Verifier) -> Problem:
    """The problem of a row. Raises ValueError where its answer is neither text nor a number."""
    meta = {name: value for name, value in row.items() if name not in ("prompt", "answer", "response", "completion")}
    return Problem("", row.get("prompt", ""), gold(row.get("answer")), by.name, meta)


def _response(row: Row) -> str | None:
    """The response in a row; None where it has none."""
    response = row.get("response", row.get("completion"))
    if isinstance(response, list) and response and wrong_prompt(response) is None:
        return text_of(response)
    return response if isinstance(response, str) else None
