"""What a row teaches: the solution as it was written, or its answer alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from byheart.curation.rows import text
from byheart.errors import RunError
from byheart.strategies.driver import drive
from byheart.types import Example, Problem, Solver, Verify
from byheart.verifiers.judge import Judge


def answers(rows: Iterable[Example], problems: Mapping[str, Problem], judge: Judge) -> list[Example]:
    """The rows with nothing left of each completion but the answer that the verifier read in it; those whose answer it
    proves right by itself. `problems` by id. Raises RunError where it read no answer in any row."""
    rows = list(rows)
    bare = [_bare(row) for row in rows if row["answer"]]
    if rows and not bare:
        raise RunError(
            f"curation.target: answer: the verifier {judge.by.name!r} read no answer in any of {len(rows)} right "
            "solutions, so there is none to learn; take the target shortest, or another verifier"
        )
    return proved(bare, problems, judge)


def proved(rows: Iterable[Example], problems: Mapping[str, Problem], judge: Judge) -> list[Example]:
    """Those of the rows whose words the verifier finds right as they stand, whatever they were made of."""
    rows = list(rows)
    right: set[tuple[str, str]] = set()

    def asks(problem: Problem, texts: list[str]) -> Solver:
        [verdicts] = yield [Verify(problem, texts)]
        right.update((problem.id, said) for said, verdict in zip(texts, verdicts, strict=True) if verdict.correct)
        return []

    said: dict[str, dict[str, None]] = {}  # in the order in which they came
    for row in rows:
        said.setdefault(row["problem_id"], {})[text(row)] = None
    for _ in drive(((problems[name], asks(problems[name], list(texts))) for name, texts in said.items()), None, judge):
        pass
    return [row for row in rows if (row["problem_id"], text(row)) in right]


def _bare(row: Example) -> Example:
    """The row with its answer for a completion, after the space that the completion began with, as those to a plain
    text do: "23 + 27 =" is answered with " 50". Line breaks it began with led to the solution, and go with it."""
    written = text(row)
    said = written[: len(written) - len(written.lstrip(" "))] + row["answer"]
    plain = isinstance(row["completion"], str)
    return row | {"completion": said if plain else [{"role": "assistant", "content": said}]}
