"""The response is a program that runs: it comes to its end in the sandbox and prints something, which is its answer.

That is no proof of anything: the strategy `program` learns by it what its programs print, and has that judged by the
recipe's verifier. Which part of the response is the program, and where it runs, is as for `code`; it has no input.
"""

from __future__ import annotations

from pydantic import Field

from byheart.types import Judgement, Problem
from byheart.verifiers import code

check = code.check

_LONGEST = 2000
"""So many characters of what a program prints are its answer."""


class Options(code.Options):
    """As for `code`: `test_time_limit` and `test_memory` are for the one run."""

    time_limit: float = Field(default=20.0, gt=0)


def caveat(options: Options) -> str:
    weaker = code.caveat(options)
    return " ".join(filter(None, ["Where `execution` stands, a program only had to run and to print.", weaker]))


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    program = code.solution(problem, response)
    if program is None:
        return Judgement(0.0, None, "no code in the response")
    if error := code.compile_error(program):
        return Judgement(0.0, None, f"compile error: {error}")
    ran = code.warm(options).run_program(program)
    printed = ran.stdout.strip()[:_LONGEST].strip() or None
    if result := code.unfinished(ran, options):
        return Judgement(None if result.passed is None else 0.0, printed, result.reason[:_LONGEST])
    return Judgement(1.0, printed) if printed else Judgement(0.0, None, "it printed nothing")
