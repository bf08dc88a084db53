"""AIME, 30 problems a year with an integer from 0 to 999 as the answer: 2025 is held out, 2024 is for the other splits.

Too few problems to learn much from: they are meant for measuring, and 2024 for whatever else a round needs.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import rows, splits
from byheart.types import Problem

AIME_2024 = rows.Hub("Maxwell-Jia/AIME_2024", "8d88b2876a82a080e2f172cc9b25d0d9d2cb4792", ("Problem", "Answer"))
AIME_2025 = rows.Hub("math-ai/aime25", "563bb8404243c5f09de6ec262f2db674fe5bce9b", ("problem", "answer"))


class AIME(rows.DatasetTask):
    """The American Invitational Mathematics Examination of 2024 and 2025."""

    num_train: int = Field(default=20, ge=1, description="training problems per round")
    num_dev: int = Field(default=10, ge=1, description="problems by which a policy is promoted or not")
    num_held_out: int = Field(default=30, ge=1, description="problems that only measure")
    prompt: str = Field(
        default="{problem}\n\nReason step by step, then give the answer, an integer, within \\boxed{{}}.",
        description="template of the prompt: may use {problem}; every other brace is doubled",
    )
    verifier: Member[Verifier] = named("math", "judges solutions; it measures every policy")

    @override
    def source(self) -> str:
        return AIME_2024.dataset

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(AIME_2024, "train", seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return self._official(AIME_2025, "test", seed)

    @override
    def _problem(self, row: rows.Row) -> Problem:
        """The columns of 2024 are capitalized, those of 2025 are not; the answer 073 is 73."""
        names = {name.lower(): name for name in row}
        prompt = splits.as_prompt(self.prompt.format(problem=row[names["problem"]]), self.chat)
        solution = row[names["solution"]] if "solution" in names else None
        meta = {"solution": solution} if solution else {}
        return Problem.of(prompt, str(int(row[names["answer"]])), self.verifier.name, meta)
