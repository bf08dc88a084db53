"""The response is a program that runs: it comes to its end in the sandbox and prints something, which is its answer.

That proves nothing about the answer: the strategy `program` uses it to run its programs, and has what they print judged
by the recipe's verifier. The program is read and isolated as by `code`; it has no input.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.types import Judgement, Problem
from byheart.verifiers import code

_LONGEST = 2000
"""Most characters of the output that are the answer; the rest is cut."""


class Execution(code.Sandboxed):
    """Runs a program once; `test_time_limit` and `test_memory` are the limits of that run."""

    version: ClassVar[int] = 2

    time_limit: float = Field(default=20.0, gt=0, description="seconds for one response")

    @override
    def caveat(self) -> str:
        weaker = super().caveat()
        return " ".join(filter(None, ["Where `execution` stands, a program only had to run and to print.", weaker]))

    @override
    def unreadable(self, problem: Problem) -> None:
        return None

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        program = code.solution(problem, response)
        if program is None:
            return Judgement(0.0, None, "no code in the response")
        if error := code.compile_error(program):
            return Judgement(0.0, None, f"compile error: {error}")
        ran = code.warm(self).run_program(program)
        printed = ran.stdout.strip()[:_LONGEST].strip() or None
        if result := code.unfinished(ran, self):
            return Judgement(None if result.passed is None else 0.0, printed, result.reason[:_LONGEST])
        return Judgement(1.0, printed) if printed else Judgement(0.0, None, "it printed nothing")
