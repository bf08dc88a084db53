"""How a strategy puts a problem to the teacher. What it adds is for the teacher alone, never for the student."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator

from pipeline import registry
from pipeline.types import Message, Problem, Prompt, Solver


def template(*names: str) -> Any:
    """The type of an option: a prompt that uses every one of `names`; template("problem") is for "{problem} Think!"."""

    def sound(text: str) -> str:
        try:
            used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError as error:
            raise ValueError(f"a brace that stands for itself is doubled ({error})") from None
        if used != set(names):
            wanted = " and ".join(f"{{{name}}}" for name in names) or "nothing"
            raise ValueError(f"it has to use {wanted} in braces, and no more")
        return text

    return Annotated[str, AfterValidator(sound)]


def put(prompt: Prompt, text: str, **parts: str) -> Prompt:
    """`prompt` with its last message, or all of a plain text, put into `text` at {problem}; `parts` fill the rest."""
    if isinstance(prompt, str):
        return text.format(problem=prompt, **parts)
    *before, last = prompt
    return [*before, Message(role=last["role"], content=text.format(problem=last["content"], **parts))]


def answered(prompt: Prompt, response: str, text: str, **parts: str) -> Prompt:
    """The conversation in which `prompt` was answered with `response`, and the user goes on with `text`."""
    said = text.format(**parts)
    if isinstance(prompt, str):
        return f"{prompt}{response}\n\n{said}\n"
    return [*prompt, Message(role="assistant", content=response), Message(role="user", content=said)]


def begin(problem: Problem, options: Any) -> Solver:
    """The strategy with these options at work on `problem`: for strategies that are made of others."""
    solver: Solver = registry.resolve("strategies", options.name)(problem, options)
    return solver
