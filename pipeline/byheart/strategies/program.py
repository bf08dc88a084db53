"""Let Python compute the answer: the model writes a program, and what it prints is the answer (PAL, 2211.10435).

A program that fails goes back to the model with its error to be fixed: learning from execution feedback, as in Llama 3
(2407.21783, section 4.3.1). Programs run in the sandbox only (verifiers/execution.py). What they print is judged by the
recipe's verifier like any other answer. A rollout whose last program failed has an empty response. The programs
themselves, try by try, are the steps of a rollout. Notes: "ran", "fixed", "failed", or "unjudged".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Strategy, Verifier
from byheart.plugins.plugin import Member, named
from byheart.strategies.core.prompting import answered, put, spaced, template
from byheart.types import Generate, Parallel, Part, Problem, Rollout, Solver, Step, Verify
from byheart.verifiers.code import solution
from byheart.verifiers.core import service

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Program(Strategy):
    """Programs that print the answer. What is taught has tokens that only a tokenizer knows, so `num_tokens` of a
    rollout counts those of its last program: the fewest is the simplest program."""

    prompt: Annotated[str, template("problem")] = Field(
        default=(
            "{problem}\n\nDo not answer yourself. Write a Python program, in a code block, that works it out and "
            "prints the answer."
        ),
        description="prompt for the teacher; never trained on",
    )
    retry_prompt: Annotated[str, template("error", "output")] = Field(
        default="The program failed: {error}\nUntil then it printed: {output}\nWrite all of it again, mended.",
        description="prompt after a program that failed; {error} and {output} are cut to 300 characters each",
    )
    run: Member[Verifier] = named("execution", "the verifier that runs the programs, with its limits")
    retries: int = Field(default=1, ge=0, description="further tries after a program that failed")
    rows: Literal["answer", "program"] = Field(
        default="answer",
        description="what is taught: the printed output alone, or the program with its output under it",
    )
    samples: int = Field(default=4, ge=1, description="programs per problem, not counting retries")
    temperature: float = Field(default=1.0, ge=0, description="sampling temperature, 0 is greedy")
    max_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a program")

    @override
    def check(self, recipe: Recipe) -> None:
        service.check(self.run)

    @override
    def solve(self, problem: Problem) -> Solver:
        rollouts: list[Rollout]
        [rollouts] = yield [Parallel([_work_out(problem, self) for _ in range(self.samples)])]
        yield [Verify(problem, [rollout.response for rollout in rollouts])]
        return rollouts


def _work_out(problem: Problem, options: Program) -> Part[Rollout]:
    """One rollout: a program and its fixes, until one runs or `retries` are spent."""
    conversation = put(problem.prompt, options.prompt)
    opening, stop = "", tuple[str, ...]()
    if isinstance(conversation, str):  # a base model is led into the code block, and stopped at its end
        conversation, opening, stop = f"{conversation}\n", "```python\n", ("\n```",)
    programs: list[Step] = []
    while True:
        prompt = f"{conversation}{opening}" if isinstance(conversation, str) else conversation
        [[completion]] = yield [
            Generate(prompt, temperature=options.temperature, max_tokens=options.max_tokens, stop=stop)
        ]
        text = completion.text
        if opening:
            text = f"{'' if text.startswith('```') else opening}{text}\n```"
        programs.append(Step(text))
        [[ran]] = yield [Verify(problem, [text], by=options.run)]
        if ran.score != 0.0 or len(programs) > options.retries:
            break  # it ran, can't be run here, or had its last try
        conversation = answered(
            conversation, text, options.retry_prompt, error=_clip(ran.reason), output=_clip(ran.answer or "nothing")
        )
    if not ran.correct:
        note = "failed" if ran.score == 0.0 else "unjudged"
        failed = completion.saying("")
        return Rollout.of(problem, failed, options.name, steps=programs, selected=False, note=note)
    printed = taught = ran.answer or ""
    if options.rows == "program":
        taught = f"```python\n{(solution(problem, text) or '').strip()}\n```\nAnswer: {printed}"
    response = completion.saying(spaced(problem.prompt, taught))
    note, whole = "fixed" if len(programs) > 1 else "ran", completion.finish_reason == "stop"
    return Rollout.of(problem, response, options.name, steps=programs, selected=whole, note=note)


def _clip(text: str) -> str:
    """Enough of an error or an output to fix a program by; the context is small."""
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-100:]}"
