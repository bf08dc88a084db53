"""How a strategy puts a problem to the teacher. What it adds is for the teacher alone, never for the student."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator

from byheart import registry
from byheart.types import Message, Problem, Prompt, Solver


def template(*names: str) -> Any:
    """The type of an option: a prompt that uses every one of `names`; template("problem") is for "{problem} Think!"."""

    def sound(text: str) -> str:
        try:
            fields = [field for field in Formatter().parse(text) if field[1] is not None]
        except ValueError as error:
            raise ValueError(f"a brace that stands for itself is doubled ({error})") from None
        if any(spec or conversion for _, _, spec, conversion in fields):
            raise ValueError("in braces there is a name alone, with no ! and no : after it")
        if {name for _, name, _, _ in fields} != set(names):
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


def spaced(prompt: Prompt, response: str) -> str:
    """`response` with the space that what a base model writes itself begins with, "23 + 27 =" and " 50", where it was
    not written right after `prompt` and so has none."""
    apart = not isinstance(prompt, str) or prompt[-1:].isspace() or not response or response[0].isspace()
    return response if apart else f" {response}"


def begin(problem: Problem, options: Any) -> Solver:
    """The strategy with these options at work on `problem`: for strategies that are made of others."""
    solver: Solver = registry.resolve("strategies", options.name)(problem, options)
    return solver
