"""GSM8K (2110.14168): word problems of grade-school arithmetic, 7,473 to train on and 1,319 held out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import rows, splits
from byheart.types import Problem

HUB = rows.Hub("openai/gsm8k", "cc7b047b6e5bb11b4f1af84efc572db110a51b3c", ("question", "answer"), "main")


class GSM8K(rows.DatasetTask):
    """Word problems of grade-school arithmetic; the answer is a number."""

    prompt: str = Field(
        default="{problem}\n\nReason step by step, then give the final number within \\boxed{{}}.",
        description="template of the prompt: may use {problem}; every other brace is doubled",
    )
    verifier: Member[Verifier] = named("number", "judges solutions; it measures every policy")

    @override
    def source(self) -> str:
        return HUB.dataset

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(HUB, "train", seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return self._official(HUB, "test", seed)

    @override
    def _problem(self, row: rows.Row) -> Problem:
        """The gold answer follows the last "####", with commas between thousands. The solution is that of the data set
        without the annotations for a calculator, <<48/2=24>>, and ends as the prompt asks."""
        solution, separator, answer = row["answer"].rpartition("####")
        if not separator:
            raise ValueError("the answer has no ####")
        prompt = splits.as_prompt(self.prompt.format(problem=row["question"]), self.chat)
        answer = answer.strip().replace(",", "")
        meta = {"solution": f"{_CALCULATOR.sub('', solution).strip()}\n\\boxed{{{answer}}}"}
        return Problem.of(prompt, answer, self.verifier.name, meta)


_CALCULATOR = re.compile("<<[^<>]*>>")
