"""HumanEval (2107.03374): 164 Python functions from a signature and docstring each, judged by running asserts.

There is no training set: all splits are taken out of the 164, so what is measured on them compares with no leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from byheart import recipe
from byheart.tasks import rows, splits
from byheart.types import Problem

HUB = rows.Hub(
    "openai/openai_humaneval",
    "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
    ("prompt", "canonical_solution", "test", "entry_point"),
    splits=("test",),
)


class Options(rows.Options):
    num_train: int = Field(default=64, ge=1)
    num_dev: int = Field(default=20, ge=1)
    num_held_out: int = Field(default=80, ge=1)
    prompt: str = (
        "Complete this function:\n\n```python\n{problem}```\n\n"
        "Reply with the whole function, its imports included, in one block of Python code."
    )
    verifier: recipe.choice("verifiers") = Field(default="code", validate_default=True)  # type: ignore[valid-type]


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(HUB, "test", options, seed, problem)


def problem(options: Options, row: rows.Row) -> Problem:
    """A solution that is the function's body alone completes the stub, `prelude`. What stands above the function there,
    imports and helpers, is the task's and is set again before the test."""
    stub, name = row["prompt"], row["entry_point"]
    above = stub[: stub.rindex(f"def {name}(")]
    test = f"{above}\n{row['test']}\ncheck({name})"
    meta = {"tests": [{"assert": test}], "entry_point": name, "prelude": stub}
    prompt = splits.asked(options.prompt.format(problem=stub), options.chat)
    return Problem.of(prompt, stub + row["canonical_solution"], options.verifier.name, meta)
