r"""MATH (2103.03874): competition mathematics. Its 7,500 training problems; MATH-500 (2305.20050) is held out."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from byheart import recipe
from byheart.tasks import rows, splits
from byheart.types import Problem

TRAIN = rows.Hub(
    "DigitalLearningGmbH/MATH-lighteval", "0530c78699ea5e8eb5530600900e1f328b48acad", ("problem", "solution"), "default"
)
TEST = rows.Hub("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", ("problem", "solution"))


class Options(rows.Options):
    prompt: str = "{problem}\n\nReason step by step, then give the final answer within \\boxed{{}}."
    verifier: recipe.choice("verifiers") = Field(default="math", validate_default=True)  # type: ignore[valid-type]


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(TRAIN, "train", options, seed, problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    return rows.held_out(TEST, "test", options, seed, problem)


def problem(options: Options, row: rows.Row) -> Problem:
    """MATH says level "Level 5" and subject `type`, MATH-500 level 5 and `subject`; it has an `answer` as well."""
    answer = row.get("answer") or boxed(row["solution"])
    prompt = splits.asked(options.prompt.format(problem=row["problem"]), options.chat)
    meta = {
        "solution": row["solution"],
        "level": str(row.get("level", "")).removeprefix("Level "),
        "subject": row.get("subject") or row.get("type") or "",
    }
    return Problem.of(prompt, answer, options.verifier.name, meta)


def boxed(solution: str) -> str:
    r"""What the last \boxed or \fbox holds: its group in braces, or what follows it up to the end of the formula."""
    last = max(solution.rfind(r"\boxed"), solution.rfind(r"\fbox"))
    if last < 0:
        raise ValueError(r"the solution has no \boxed answer")
    held = solution[last:].removeprefix(r"\boxed").removeprefix(r"\fbox")
    if not held.startswith("{"):
        return held.partition("$")[0].strip()
    depth = 0
    for place, sign in enumerate(held):
        escaped = held[place - 1] == "\\" and held[place - 2 : place] != "\\\\"
        depth += 0 if escaped else (sign == "{") - (sign == "}")
        if depth == 0:
            return held[1:place].strip()
    raise ValueError(r"the last \boxed is never closed")
