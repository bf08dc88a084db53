"""HumanEval (2107.03374): 164 Python functions from a signature and docstring each, judged by running asserts.

There is no training set: all splits are taken from the 164, so no measure compares with a leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import rows, splits
from byheart.types import Problem

HUB = rows.Hub(
    "openai/openai_humaneval",
    "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
    ("prompt", "canonical_solution", "test", "entry_point"),
    splits=("test",),
)


class HumanEval(rows.DatasetTask):
    """Python functions to complete from a signature and a docstring."""

    num_train: int = Field(default=64, ge=1, description="training problems per round")
    num_dev: int = Field(default=20, ge=1, description="problems by which a policy is promoted or not")
    num_held_out: int = Field(default=80, ge=1, description="problems that only measure")
    prompt: str = Field(
        default=(
            "Complete this function:\n\n```python\n{problem}```\n\n"
            "Reply with the whole function, its imports included, in one block of Python code."
        ),
        description="template of the prompt: may use {problem}; every other brace is doubled",
    )
    verifier: Member[Verifier] = named("code", "judges solutions; it measures every policy")

    @override
    def source(self) -> str:
        return HUB.dataset

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(HUB, "test", seed)

    @override
    def _problem(self, row: rows.Row) -> Problem:
        """A solution that is only the function's body completes the stub, `prelude`. Imports and helpers above the
        function in the stub belong to the task and are set again before the test."""
        stub, name = row["prompt"], row["entry_point"]
        above = stub[: stub.rindex(f"def {name}(")]
        test = f"{above}\n{row['test']}\ncheck({name})"
        meta = {"tests": [{"assert": test}], "entry_point": name, "prelude": stub}
        prompt = splits.as_prompt(self.prompt.format(problem=stub), self.chat)
        return Problem.of(prompt, stub + row["canonical_solution"], self.verifier.name, meta)
