"""Let Python work it out: the model writes a program, and what it prints is the answer (PAL, 2211.10435).

A program that fails goes back to the model with its error, to be mended: learning from execution feedback, as in Llama
3 (2407.21783, section 4.3.1). Programs run in the sandbox alone (verifiers/execution.py). What they print is judged by
the recipe's verifier like any other answer.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline import recipe
from pipeline.recipe import Recipe
from pipeline.strategies.asking import answered, put, template
from pipeline.strategies.several import Work, together
from pipeline.types import Generate, Problem, Rollout, Solver, Verify, replace
from pipeline.verifiers import judge
from pipeline.verifiers.code import solution


class Options(recipe.Choice):
    """`samples` programs, each with `retries` more tries after an {error}, which are shown it and what was printed
    before it, the {output}. `run` says how they are run.

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
    stop = (_END,) if isinstance(asked, str) else ()
    errors = 0
    while True:
        [[written]] = yield [Generate(asked, temperature=options.temperature, max_tokens=options.max_tokens, stop=stop)]
        [[ran]] = yield [Verify(problem, [written.text], by=options.run)]
        if ran.score != 0.0 or errors == options.retries:
            break  # it ran, or can't be run here, or had all its tries
        errors += 1
        asked = answered(asked, written.text, options.mend, error=ran.reason, output=ran.answer or "nothing")
    if not ran.correct:
        return Rollout.of(problem, written, options.name, chosen=False, note="failed")
    taught = ran.answer
    if options.rows == "program":
        taught = f"```python\n{(solution(problem, written.text) or '').strip()}\n```\nAnswer: {ran.answer}"
    note, chosen = "mended" if errors else "ran", written.finish_reason == "stop"
    return Rollout.of(problem, replace(written, text=taught), options.name, chosen=chosen, note=note)


_END = "\n```\n"
"""Where a base model's program ends. A blank line can't end it, since programs have some."""
