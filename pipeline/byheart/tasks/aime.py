"""AIME, 30 problems a year with an integer from 0 to 999 as the answer: 2025 is held out, 2024 is for the rest.

Too few to learn much from: they are for measuring, and 2024 for what else a round needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from byheart import recipe
from byheart.tasks import rows, splits
from byheart.types import Problem

AIME_2024 = rows.Hub("Maxwell-Jia/AIME_2024", "8d88b2876a82a080e2f172cc9b25d0d9d2cb4792", ("Problem", "Answer"))
AIME_2025 = rows.Hub("math-ai/aime25", "563bb8404243c5f09de6ec262f2db674fe5bce9b", ("problem", "answer"))


class Options(rows.Options):
    num_train: int = Field(default=20, ge=1)
    num_dev: int = Field(default=10, ge=1)
    num_held_out: int = Field(default=30, ge=1)
    prompt: str = "{problem}\n\nReason step by step, then give the answer, an integer, within \\boxed{{}}."
    verifier: recipe.choice("verifiers") = Field(default="math", validate_default=True)  # type: ignore[valid-type]


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(AIME_2024, "train", options, seed, problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    return rows.held_out(AIME_2025, "test", options, seed, problem)


def problem(options: Options, row: rows.Row) -> Problem:
    """The columns of 2024 begin with a capital, those of 2025 do not; 073 is 73."""
    row = {name.lower(): value for name, value in row.items()}
    prompt = splits.asked(options.prompt.format(problem=row["problem"]), options.chat)
    meta = {"solution": row["solution"]} if row.get("solution") else {}
    return Problem.of(prompt, str(int(row["answer"])), options.verifier.name, meta)
