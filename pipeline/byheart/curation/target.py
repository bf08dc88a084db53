"""What a row teaches: the solution as it was written, or its answer alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

from byheart.curation.rows import Candidates, by_problem, completion, text
from byheart.curation.stats import Tally
from byheart.errors import RunError
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Row, Solver, Verify, replace
from byheart.verifiers.core.service import VerifierService

T = TypeVar("T")

BATCH = 1000
"""The most problems, or rows, that are judged at the same time."""


def answers(
    candidates: Iterable[Candidates], problems: Mapping[str, Problem], verifier: VerifierService, tally: Tally
) -> Iterator[Candidates]:
    """The candidates with each completion replaced by the answer that the verifier read in it, if it judges that answer
    alone right; `tally` counts the others. `problems` by id. Raises RunError where it read no answer in any row."""
    num_rows = num_read = 0
    for batch in _batches(candidates):
        rows = [row for problem in batch for row in problem.rows]
        bare = [_bare(row, row.answer) for row in rows if row.answer]
        right = list(proved(bare, problems, verifier))
        num_rows, num_read = num_rows + len(rows), num_read + len(bare)
        tally.num_unproved += len(rows) - len(right)
        rows_by_problem = by_problem(right)
        for problem in batch:
            if problem.first.problem_id in rows_by_problem:
                yield problem._replace(rows=rows_by_problem[problem.first.problem_id])
    if num_rows and not num_read:
        raise RunError(
            f"curation.target: answer: the verifier {verifier.verifier.name!r} read no answer in any of {num_rows} "
            "right solutions, so there is none to learn; take the target shortest, or another verifier"
        )


def proved(rows: Iterable[Row], problems: Mapping[str, Problem], verifier: VerifierService) -> Iterator[Row]:
    """The rows whose completion, as it stands, the verifier judges right. `problems` by id."""
    for batch in _batches(rows):
        right: set[tuple[str, str]] = set()
        texts: dict[str, dict[str, None]] = {}  # by problem id, in order, each once
        for row in batch:
            texts.setdefault(row.problem_id, {})[text(row)] = None
        solvers = ((problems[name], _ask(problems[name], list(responses), right)) for name, responses in texts.items())
        for _ in drive(solvers, None, verifier):
            pass
        yield from (row for row in batch if (row.problem_id, text(row)) in right)


def _ask(problem: Problem, texts: list[str], right: set[tuple[str, str]]) -> Solver:
    """Adds to `right` the problem's id with each text that is judged right."""
    [verdicts] = yield [Verify(problem, texts)]
    right.update((problem.id, response) for response, verdict in zip(texts, verdicts, strict=True) if verdict.correct)
    return []


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _bare(row: Row, answer: str) -> Row:
    """`row` with `answer` as its completion, after the spaces that the completion began with: "23 + 27 =" is answered
    with " 50". Leading line breaks go, as they led to the solution."""
    whole = text(row)
    spaces = whole[: len(whole) - len(whole.lstrip(" "))]
    return replace(row, completion=completion(spaces + answer, row.completion), token_ids=[])
