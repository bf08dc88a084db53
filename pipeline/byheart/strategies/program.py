"""Let Python work it out: the model writes a program, and what it prints is the answer (PAL, 2211.10435).

A program that fails goes back to the model with its error, to be mended: learning from execution feedback, as in Llama
3 (2407.21783, section 4.3.1). Programs run in the sandbox alone (verifiers/execution.py). What they print is judged by
the recipe's verifier like any other answer. One that failed to the last printed nothing, so its response is empty; the
programs themselves, try by try, are the steps of a rollout.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from byheart import recipe
from byheart.recipe import Recipe
from byheart.strategies.asking import answered, put, spaced, template
from byheart.strategies.several import Work, together
from byheart.types import Generate, Problem, Rollout, Solver, Step, Verify, replace
from byheart.verifiers import judge
from byheart.verifiers.code import solution


class Options(recipe.Choice):
    """`samples` programs, each with `retries` more tries after an {error}, which are shown it and what was printed
    before it, the {output}, both cut to 300 characters. `run` says how they are run.

    `rows` are taught: the `answer`, which is what was printed and nothing else, or the `program`, with its output under
    it. Only a tokenizer knows the tokens of either, so `num_tokens` are those of the last program as it was written:
    fewest is the simplest program, and a floor on them is one on programs."""

    prompt: template("problem") = (  # type: ignore[valid-type]
        "{problem}\n\nDo not answer yourself. Write a Python program, in a code block, that works it out and prints "
        "the answer."
    )
    mend: template("error", "output") = (  # type: ignore[valid-type]
        "The program failed: {error}\nUntil then it printed: {output}\nWrite all of it again, mended."
    )
    run: recipe.choice("verifiers") = Field(default="execution", validate_default=True)  # type: ignore[valid-type]
    retries: int = Field(default=1, ge=0)
    rows: Literal["answer", "program"] = "answer"
    samples: int = Field(default=4, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=256, ge=1)


def check(recipe: Recipe) -> None:
    """Raises SandboxError where programs can't be run on this machine."""
    judge.check(recipe.strategy.run)


def solve(problem: Problem, options: Options) -> Solver:
    rollouts = yield from together([_work_out(problem, options) for _ in range(options.samples)])
    yield [Verify(problem, [rollout.response for rollout in rollouts])]
    return rollouts


def _work_out(problem: Problem, options: Options) -> Work[Rollout]:
    asked = put(problem.prompt, options.prompt)
    opening, stop = "", tuple[str, ...]()
    if isinstance(asked, str):  # a base model is led into the program, and out at the end of the block
        asked, opening, stop = f"{asked}\n", "```python\n", ("\n```",)
    tries: list[Step] = []
    while True:
        begun = f"{asked}{opening}" if isinstance(asked, str) else asked
        [[written]] = yield [Generate(begun, temperature=options.temperature, max_tokens=options.max_tokens, stop=stop)]
        text = written.text
        if opening:
            text = f"{'' if text.startswith('```') else opening}{text}\n```"
        tries.append(Step(text))
        [[ran]] = yield [Verify(problem, [text], by=options.run)]
        if ran.score != 0.0 or len(tries) > options.retries:
            break  # it ran, or can't be run here, or had all its tries
        asked = answered(
            asked, text, options.mend, error=_clipped(ran.reason), output=_clipped(ran.answer or "nothing")
        )
    if not ran.correct:
        note = "failed" if ran.score == 0.0 else "unjudged"
        return Rollout.of(problem, replace(written, text=""), options.name, steps=tries, chosen=False, note=note)
    printed = taught = ran.answer or ""
    if options.rows == "program":
        taught = f"```python\n{(solution(problem, text) or '').strip()}\n```\nAnswer: {printed}"
    said = replace(written, text=spaced(problem.prompt, taught))
    note, chosen = "mended" if len(tries) > 1 else "ran", written.finish_reason == "stop"
    return Rollout.of(problem, said, options.name, steps=tries, chosen=chosen, note=note)


def _clipped(text: str) -> str:
    """Enough of an error or an output to mend a program by; the context is small."""
    return text if len(text) <= 300 else f"{text[:200]} ... {text[-100:]}"
