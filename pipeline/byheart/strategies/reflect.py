"""Draft, critique, rewrite, and again: a model corrects itself (Self-Refine, 2303.17651; Llama 3, 2407.21783, 4.3.3).

All is one conversation. A rewrite is kept only if it verifies, and what became of each draft is noted. What is learned
is the final answer alone, or the habit itself: all that was said up to it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from byheart import recipe
from byheart.strategies.asking import answered, put, template
from byheart.strategies.several import Work, ask, joined, revised, together
from byheart.types import Completion, Problem, Prompt, Solver


class Options(recipe.Choice):
    """`samples` drafts, each with `turns` of critique and rewrite. `max_tokens` are for a draft and for a rewrite,
    `critique_tokens` for a critique. `rows` are taught: the `answer`, which is a rewrite by itself, or the `trace`, in
    which draft, critique and rewrite follow each other; its tokens are the sum of theirs, and it is judged whole."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    critique: template() = "Check this answer step by step. What is wrong with it, if anything?"  # type: ignore[valid-type]
    rewrite: template() = "Now answer again, and put right what was wrong."  # type: ignore[valid-type]
    turns: int = Field(default=1, ge=1)
    rows: Literal["answer", "trace"] = "answer"
    samples: int = Field(default=4, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=256, ge=1)
    critique_tokens: int = Field(default=256, ge=1)


def solve(problem: Problem, options: Options) -> Solver:
    attempts = yield from together([_reflect(problem.prompt, options) for _ in range(options.samples)])
    return (yield from revised(problem, attempts, options.name))


def _reflect(prompt: Prompt, options: Options) -> Work[list[Completion]]:
    """A draft and its rewrites, each as it would be taught."""
    asked = put(prompt, options.prompt)
    [[draft]] = yield [ask(asked, options.temperature, options.max_tokens)]
    said, versions = [draft], [draft]
    for _ in range(options.turns):
        asked = answered(asked, said[-1].text, options.critique)
        [[critique]] = yield [ask(asked, options.temperature, options.critique_tokens)]
        asked = answered(asked, critique.text, options.rewrite)
        [[rewrite]] = yield [ask(asked, options.temperature, options.max_tokens)]
        said += [critique, rewrite]
        versions.append(joined(said) if options.rows == "trace" else rewrite)
    return versions
