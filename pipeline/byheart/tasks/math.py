"""MATH (2103.03874): competition mathematics. Its 7,500 training problems; MATH-500 (2305.20050) is held out."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import rows, splits
from byheart.types import Problem

TRAIN = rows.Hub(
    "DigitalLearningGmbH/MATH-lighteval", "0530c78699ea5e8eb5530600900e1f328b48acad", ("problem", "solution"), "default"
)
TEST = rows.Hub("HuggingFaceH4/MATH-500", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be", ("problem", "solution"))


class MATH(rows.DatasetTask):
    """Problems of mathematics competitions; the answer is a formula."""

    prompt: str = Field(
        default="{problem}\n\nReason step by step, then give the final answer within \\boxed{{}}.",
        description="template of the prompt: may use {problem}; every other brace is doubled",
    )
    verifier: Member[Verifier] = named("math", "judges solutions; it measures every policy")

    @override
    def source(self) -> str:
        return TRAIN.dataset

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(TRAIN, "train", seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return self._official(TEST, "test", seed)

    @override
    def _problem(self, row: rows.Row) -> Problem:
        """MATH has level "Level 5" and subject `type`; MATH-500 has level 5, `subject`, and an `answer` as well."""
        answer = row.get("answer") or boxed(row["solution"])
        prompt = splits.as_prompt(self.prompt.format(problem=row["problem"]), self.chat)
        meta = {
            "solution": row["solution"],
            "level": str(row.get("level", "")).removeprefix("Level "),
            "subject": row.get("subject") or row.get("type") or "",
        }
        return Problem.of(prompt, answer, self.verifier.name, meta)


def boxed(solution: str) -> str:
    r"""The content of the last \boxed or \fbox: its group in braces, or what follows it up to the end of the formula.
    Raises ValueError where there is none, or its brace is never closed."""
    last = max(solution.rfind(r"\boxed"), solution.rfind(r"\fbox"))
    if last < 0:
        raise ValueError(r"the solution has no \boxed answer")
    content = solution[last:].removeprefix(r"\boxed").removeprefix(r"\fbox")
    if not content.startswith("{"):
        return content.partition("$")[0].strip()
    depth = 0
    for index, sign in enumerate(content):
        escaped = content[index - 1] == "\\" and content[index - 2 : index] != "\\\\"
        depth += 0 if escaped else (sign == "{") - (sign == "}")
        if depth == 0:
            return content[1:index].strip()
    raise ValueError(r"the last \boxed is never closed")
