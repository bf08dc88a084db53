"""What a row teaches: the solution as it was written, or its answer alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from byheart.curation.rows import completion, text
from byheart.errors import RunError
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Row, Solver, Verify, replace
from byheart.verifiers.core.service import VerifierService


def answers(rows: Iterable[Row], problems: Mapping[str, Problem], verifier: VerifierService) -> list[Row]:
    """The rows with each completion replaced by the answer that the verifier read in it, if it judges that answer alone
    right. `problems` by id. Raises RunError where it read no answer in any row."""
    rows = list(rows)
    bare = [_bare(row, row.answer) for row in rows if row.answer]
    if rows and not bare:
        raise RunError(
            f"curation.target: answer: the verifier {verifier.verifier.name!r} read no answer in any of {len(rows)} "
            "right solutions, so there is none to learn; take the target shortest, or another verifier"
        )
    return proved(bare, problems, verifier)


def proved(rows: Iterable[Row], problems: Mapping[str, Problem], verifier: VerifierService) -> list[Row]:
    """The rows whose completion, as it stands, the verifier judges right. `problems` by id."""
    rows = list(rows)
    right: set[tuple[str, str]] = set()

    def ask(problem: Problem, texts: list[str]) -> Solver:
        [verdicts] = yield [Verify(problem, texts)]
        right.update(
            (problem.id, response) for response, verdict in zip(texts, verdicts, strict=True) if verdict.correct
        )
        return []

    responses: dict[str, dict[str, None]] = {}  # by problem id, in order, each once
    for row in rows:
        responses.setdefault(row.problem_id, {})[text(row)] = None
    solvers = ((problems[name], ask(problems[name], list(texts))) for name, texts in responses.items())
    for _ in drive(solvers, None, verifier):
        pass
    return [row for row in rows if (row.problem_id, text(row)) in right]


def _bare(row: Row, answer: str) -> Row:
    """`row` with `answer` as its completion, after the spaces that the completion began with: "23 + 27 =" is answered
    with " 50". Leading line breaks go, as they led to the solution."""
    whole = text(row)
    spaces = whole[: len(whole) - len(whole.lstrip(" "))]
    return replace(row, completion=completion(spaces + answer, row.completion))
