"""Show the teacher worked examples first, then sample as `direct` does (in-context learning, 2005.14165).

The examples stand before the problem as earlier turns of the chat, or in plain text as blocks with a blank line between
them, where a blank line then ends the answer. The student is trained on the bare problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.plugins.plugin import Options
from byheart.strategies.core.example_store import ExampleStore
from byheart.strategies.core.prompting import put, spaced
from byheart.strategies.direct import Direct, sample_until_enough
from byheart.types import Message, Problem, Retrieve, Solver, WorkedExample, replace


class Example(Options):
    """A worked example in a recipe."""

    prompt: str = Field(description="a problem, worded as the task words it")
    response: str = Field(description="a right response to it")


class FewShot(Direct):
    """Direct sampling after worked examples. What `prompt` puts around the problem it puts around theirs too."""

    examples: list[Example] = Field(
        default_factory=list,
        description="worked examples to show; with source: own, they fill up while the run has too few of its own",
    )
    source: Literal["given", "own"] = Field(
        default="given", description="given: from `examples`; own: solutions that earlier rounds of the run verified"
    )
    choose: Literal["seed", "nearest"] = Field(
        default="seed", description="seed: drawn by the problem's id; nearest: most similar to the problem (BM25)"
    )
    shots: int = Field(default=4, ge=1, description="worked examples in a prompt")

    @model_validator(mode="after")
    def _sound(self) -> FewShot:
        if self.source == "given" and not self.examples:
            raise ValueError("source: given needs examples, each a prompt and a response; or say source: own")
        if self.source == "given" and self.shots > len(self.examples):
            raise ValueError(f"shots: {self.shots} are more than the examples given, {len(self.examples)}")
        return self

    @cached_property
    def _given(self) -> ExampleStore:
        return ExampleStore(("", WorkedExample(example.prompt, example.response)) for example in self.examples)

    @override
    def solve(self, problem: Problem) -> Solver:
        nearest = self.choose == "nearest"
        own: list[WorkedExample] = []
        if self.source == "own":
            [own] = yield [Retrieve(problem, self.shots, nearest)]
        missing = self.shots - len(own)
        given = self._given(Retrieve(problem, missing, nearest)) if missing else []
        shown = [replace(example, prompt=put(example.prompt, self.prompt)) for example in (*given, *own)]
        prompt = put(problem.prompt, self.prompt)
        if not isinstance(prompt, str):
            return (yield from sample_until_enough(problem, in_chat(shown, prompt), self))
        shown[: len(given)] = map(with_space, shown[: len(given)])
        return (yield from sample_until_enough(problem, in_text(shown, prompt), self, stop=("\n\n",)))


def in_chat(examples: Sequence[WorkedExample], prompt: list[Message]) -> list[Message]:
    """`prompt` with `examples` before it, as turns of the same conversation; system messages only of `prompt`."""
    turns: list[Message] = []
    for example in examples:
        messages = [Message(role="user", content=example.prompt)] if isinstance(example.prompt, str) else example.prompt
        turns += [message for message in messages if message["role"] != "system"]
        turns.append(Message(role="assistant", content=example.response))
    system = [message for message in prompt if message["role"] == "system"]
    return [*system, *turns, *(message for message in prompt if message["role"] != "system")]


def in_text(examples: Iterable[WorkedExample], prompt: str) -> str:
    """`prompt` with `examples` before it, a block each. Blank lines within a response become line breaks, since a blank
    line ends a block."""
    blocks = (f"{example.prompt}{_BLANK_LINES.sub(_BREAK, example.response.rstrip())}\n\n" for example in examples)
    return "".join(blocks) + prompt


_BLANK_LINES, _BREAK = re.compile(r"\n\s*\n"), "\n"


def with_space(example: WorkedExample) -> WorkedExample:
    """`example` as a base model would have written it; what the run itself verified is that already."""
    return replace(example, response=spaced(example.prompt, example.response))
