"""Smaller questions first: a problem is divided, its parts are answered in turn, and the answers put together
(least-to-most prompting, 2205.10625).

Each part is put with the answers before it in view, and is itself divided while `depth` allows it. What is learned is
the answer to the plain problem, or all that led to it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from byheart import recipe
from byheart.strategies.asking import put, spaced, template
from byheart.strategies.several import Work, ask, joined, listed, together
from byheart.types import Completion, Problem, Prompt, Rollout, Solver, Verify, replace


class Options(recipe.Choice):
    """`samples` times, the problem is divided into at most `width` questions, and those again, `depth` levels down.
    `divide` asks for them, `part` puts one of them after what is {known} by then, `compose` puts the problem itself
    after all of it. `divide_tokens` are for a list of questions, `max_tokens` for any answer.

    `rows` are taught: the `answer` by itself, or the `trace`, all that was said with each part under its question; its
    tokens are the sum of what was sampled, and it is judged whole."""

    divide: template("problem") = (  # type: ignore[valid-type]
        "{problem}\n\nDo not answer yet. List the smaller questions to answer first, numbered, one a line:\n"
    )
    part: template("problem", "known", "question") = "{problem}\n\n{known}Q: {question}\nA:"  # type: ignore[valid-type]
    compose: template("problem", "known") = "{known}\n{problem}"  # type: ignore[valid-type]
    width: int = Field(default=4, ge=1)
    depth: int = Field(default=1, ge=1)
    rows: Literal["answer", "trace"] = "answer"
    samples: int = Field(default=4, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=256, ge=1)
    divide_tokens: int = Field(default=256, ge=1)


def solve(problem: Problem, options: Options) -> Solver:
    attempts = yield from together([_work_out(problem.prompt, options, options.depth) for _ in range(options.samples)])
    rollouts = []
    for parts in attempts:
        taught = joined(parts) if options.rows == "trace" else parts[-1]
        note = "divided" if len(parts) > 1 else "undivided"
        taught = replace(taught, text=spaced(problem.prompt, taught.text))
        chosen = taught.finish_reason == "stop"
        rollouts.append(Rollout.of(problem, taught, options.name, chosen=chosen, note=note))
    yield [Verify(problem, [rollout.response for rollout in rollouts])]
    return rollouts


def _work_out(prompt: Prompt, options: Options, depth: int) -> Work[list[Completion]]:
    """All that was said on the way to the answer, which is the last of it; that alone where nothing was divided."""
    questions: list[str] = []
    if depth:
        [[division]] = yield [ask(put(prompt, options.divide), options.temperature, options.divide_tokens)]
        questions = listed(division, options.width)
    if not questions:
        [[answer]] = yield [ask(prompt, options.temperature, options.max_tokens)]
        return [answer]
    said, known = [division], ""
    for question in questions:
        part = put(prompt, options.part, known=known, question=question)
        first, *rest = yield from _work_out(part, options, depth - 1)
        said += [replace(first, text=f"{question}\n{first.text}"), *rest]
        known += f"Q: {question}\nA: {(rest or [first])[-1].text.strip()}\n"
    [[answer]] = yield [ask(put(prompt, options.compose, known=known), options.temperature, options.max_tokens)]
    return [*said, answer]
