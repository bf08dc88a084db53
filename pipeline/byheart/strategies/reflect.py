"""Draft, critique, rewrite, and again: a model corrects itself (Self-Refine, 2303.17651; Llama 3, 2407.21783, 4.3.3).

All is one conversation. A rewrite is selected only if it verifies, and the note of each attempt says what became of its
draft. The student learns the final answer alone, or the habit itself: the whole trace up to it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Strategy
from byheart.strategies.core.combinators import ask, joined, revised
from byheart.strategies.core.prompting import answered, put, template
from byheart.types import Completion, Parallel, Part, Problem, Prompt, Solver


class Reflect(Strategy):
    """Drafts, critiques and rewrites."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}", description="prompt for the draft; never trained on"
    )
    critique: Annotated[str, template()] = Field(
        default="Check this answer step by step. What is wrong with it, if anything?",
        description="message that asks for a critique",
    )
    rewrite: Annotated[str, template()] = Field(
        default="Now answer again, and put right what was wrong.", description="message that asks for a rewrite"
    )
    turns: int = Field(default=1, ge=1, description="critiques of a draft, each with a rewrite")
    rows: Literal["answer", "trace"] = Field(
        default="answer",
        description="what is taught: a version alone, or the trace of draft, critiques and rewrites, judged as a whole",
    )
    samples: int = Field(default=4, ge=1, description="drafts per problem")
    temperature: float = Field(default=1.0, ge=0, description="sampling temperature, 0 is greedy")
    max_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a draft or a rewrite")
    critique_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a critique")

    @override
    def solve(self, problem: Problem) -> Solver:
        [attempts] = yield [Parallel([_reflect(problem.prompt, self) for _ in range(self.samples)])]
        return (yield from revised(problem, attempts, self.name))


def _reflect(prompt: Prompt, options: Reflect) -> Part[list[Completion]]:
    """A draft and its rewrites, each as it would be taught."""
    conversation = put(prompt, options.prompt)
    [[draft]] = yield [ask(conversation, options.temperature, options.max_tokens)]
    trace, versions = [draft], [draft]
    for _ in range(options.turns):
        conversation = answered(conversation, trace[-1].text, options.critique)
        [[critique]] = yield [ask(conversation, options.temperature, options.critique_tokens)]
        conversation = answered(conversation, critique.text, options.rewrite)
        [[rewrite]] = yield [ask(conversation, options.temperature, options.max_tokens)]
        trace += [critique, rewrite]
        versions.append(joined(trace) if options.rows == "trace" else rewrite)
    return versions
