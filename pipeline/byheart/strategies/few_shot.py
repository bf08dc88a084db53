"""Show the teacher worked examples first, then try as `direct` does (in-context learning, 2005.14165).

The examples stand before the problem as earlier turns of the chat, or in plain text as blocks with a blank line between
them, where a blank line then ends the answer. The student is trained on the bare problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal

from pydantic import Field, model_validator

from byheart import recipe
from byheart.strategies import direct
from byheart.strategies.asking import put, spaced
from byheart.strategies.memory import Memory
from byheart.types import Message, Problem, Recall, Solver, WorkedExample, replace


class Example(recipe.Options):
    """A problem as the task puts it, and a right response to it."""

    prompt: str
    response: str


class Options(direct.Options):
    """So many `shots`, those nearest to the problem or drawn by its id. `source: given` takes them from `examples`;
    `own` from what earlier rounds of the run verified, and while that is too few, as in the first round, from
    `examples` as well, if there are any. What `prompt` puts around the problem it puts around the examples' too."""

    examples: list[Example] = Field(default_factory=list)
    source: Literal["given", "own"] = "given"
    choose: Literal["seed", "nearest"] = "seed"
    shots: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if self.source == "given" and not self.examples:
            raise ValueError("source: given needs examples, each a prompt and a response; or say source: own")
        if self.source == "given" and self.shots > len(self.examples):
            raise ValueError(f"shots: {self.shots} are more than the examples given, {len(self.examples)}")
        return self

    @cached_property
    def given(self) -> Memory:
        return Memory(("", WorkedExample(one.prompt, one.response)) for one in self.examples)


check = direct.check


def solve(problem: Problem, options: Options) -> Solver:
    nearest = options.choose == "nearest"
    own: list[WorkedExample] = []
    if options.source == "own":
        [own] = yield [Recall(problem, options.shots, nearest)]
    missing = options.shots - len(own)
    given = options.given(Recall(problem, missing, nearest)) if missing else []
    shown = [replace(one, prompt=put(one.prompt, options.prompt)) for one in (*given, *own)]
    prompt = put(problem.prompt, options.prompt)
    if not isinstance(prompt, str):
        return (yield from direct.tries(problem, in_chat(shown, prompt), options))
    shown[: len(given)] = map(apart, shown[: len(given)])
    return (yield from direct.tries(problem, in_text(shown, prompt), options, stop=("\n\n",)))


def in_chat(examples: Sequence[WorkedExample], prompt: list[Message]) -> list[Message]:
    """`prompt` with `examples` before it, as turns of the same conversation."""
    turns: list[Message] = []
    for one in examples:
        asked = [Message(role="user", content=one.prompt)] if isinstance(one.prompt, str) else one.prompt
        turns += [turn for turn in asked if turn["role"] != "system"]
        turns.append(Message(role="assistant", content=one.response))
    system = [turn for turn in prompt if turn["role"] == "system"]
    return [*system, *turns, *(turn for turn in prompt if turn["role"] != "system")]


def in_text(examples: Iterable[WorkedExample], prompt: str) -> str:
    """`prompt` with `examples` before it, each a block of its own; in it a blank line would say that it ends there."""
    return "".join(f"{one.prompt}{_BLANK_LINES.sub(_BREAK, one.response.rstrip())}\n\n" for one in examples) + prompt


_BLANK_LINES, _BREAK = re.compile(r"\n\s*\n"), "\n"


def apart(one: WorkedExample) -> WorkedExample:
    """As a base model would have written it; what the run found itself is that already."""
    return replace(one, response=spaced(one.prompt, one.response))
