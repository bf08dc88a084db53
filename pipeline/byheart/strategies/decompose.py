"""Smaller questions first: a problem is divided, its parts are answered in turn, and the answers put together
(least-to-most prompting, 2205.10625).

Each part is asked with the answers before it in view, and is itself divided while `depth` allows it. The student learns
the answer to the plain problem, or the whole trace that led to it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Strategy
from byheart.strategies.core.combinators import ask, joined, listed
from byheart.strategies.core.prompting import put, spaced, template
from byheart.types import Completion, Parallel, Part, Problem, Prompt, Rollout, Solver, Verify


class Decompose(Strategy):
    """Divides a problem into questions, answers those, and composes the answer."""

    divide: Annotated[str, template("problem")] = Field(
        default=("{problem}\n\nDo not answer yet. List the smaller questions to answer first, numbered, one a line:\n"),
        description="prompt that asks for the questions",
    )
    part: Annotated[str, template("problem", "known", "question")] = Field(
        default="{problem}\n\n{known}Q: {question}\nA:",
        description="prompt that asks one question; {known} holds the earlier ones with their answers",
    )
    compose: Annotated[str, template("problem", "known")] = Field(
        default="{known}\n{problem}", description="prompt that asks the problem itself after all questions and answers"
    )
    width: int = Field(default=4, ge=1, description="most questions that a problem, or a question, is divided into")
    depth: int = Field(default=1, ge=1, description="levels of questions; 1 divides the problem only")
    rows: Literal["answer", "trace"] = Field(
        default="answer",
        description="what is taught: the answer alone, or the trace of all questions and answers, judged as a whole",
    )
    samples: int = Field(default=4, ge=1, description="solutions per problem, each divided anew")
    temperature: float = Field(default=1.0, ge=0, description="sampling temperature, 0 is greedy")
    max_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of an answer")
    divide_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a list of questions")

    @override
    def solve(self, problem: Problem) -> Solver:
        [traces] = yield [Parallel([_work_out(problem.prompt, self, self.depth) for _ in range(self.samples)])]
        rollouts = []
        for parts in traces:
            taught = joined(parts) if self.rows == "trace" else parts[-1]
            note = "divided" if len(parts) > 1 else "undivided"
            taught = taught.saying(spaced(problem.prompt, taught.text))
            whole = taught.finish_reason == "stop"
            rollouts.append(Rollout.of(problem, taught, self.name, selected=whole, note=note))
        yield [Verify(problem, [rollout.response for rollout in rollouts])]
        return rollouts


def _work_out(prompt: Prompt, options: Decompose, depth: int) -> Part[list[Completion]]:
    """All completions on the way to the answer, which is the last; the answer alone where nothing was divided."""
    questions: list[str] = []
    if depth:
        [[division]] = yield [ask(put(prompt, options.divide), options.temperature, options.divide_tokens)]
        questions = listed(division, options.width)
    if not questions:
        [[answer]] = yield [ask(prompt, options.temperature, options.max_tokens)]
        return [answer]
    trace, known = [division], ""
    for question in questions:
        part = put(prompt, options.part, known=known, question=question)
        first, *rest = yield from _work_out(part, options, depth - 1)
        trace += [first.saying(f"{question}\n{first.text}"), *rest]
        known += f"Q: {question}\nA: {(rest or [first])[-1].text.strip()}\n"
    [[answer]] = yield [ask(put(prompt, options.compose, known=known), options.temperature, options.max_tokens)]
    return [*trace, answer]
