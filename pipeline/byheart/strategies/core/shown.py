"""Few-shot prompting as it is usually measured (2005.14165): the same worked examples, in the same order, before every
problem, so that an engine that caches prefixes reads them once."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from typing_extensions import override

from byheart.strategies.core.prompting import put
from byheart.strategies.direct import Direct, sample_until_enough
from byheart.strategies.few_shot import in_chat, in_text
from byheart.types import Problem, Prompt, Solver, WorkedExample, replace


class Shown(Direct):
    """Direct sampling after the same worked examples. What `prompt` puts around the problem it puts around theirs
    too."""

    examples: list[WorkedExample] = Field(description="the worked examples, in their order")

    @override
    def solve(self, problem: Problem) -> Solver:
        prompt = shown(self.examples, problem.prompt, self.prompt)
        stop = ("\n\n",) if isinstance(prompt, str) else ()
        return (yield from sample_until_enough(problem, prompt, self, stop))


def shown(examples: Sequence[WorkedExample], prompt: Prompt, template: str) -> Prompt:
    """`prompt` after `examples`, each put into `template`: as turns of a chat, or in plain text as blocks."""
    before = [replace(example, prompt=put(example.prompt, template)) for example in examples]
    asked = put(prompt, template)
    return in_text(before, asked) if isinstance(asked, str) else in_chat(before, asked)
