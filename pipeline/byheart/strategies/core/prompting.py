"""How a strategy puts a problem to the teacher. What it adds is for the teacher alone: no student is trained on it."""

from __future__ import annotations

from string import Formatter

from pydantic import AfterValidator

from byheart.types import Message, Prompt


def template(*names: str) -> AfterValidator:
    """A validator for an option that is a prompt template: `Annotated[str, template("problem")]` takes
    "{problem} Think!". Raises ValueError where the text does not use every one of `names` in braces, or uses more."""

    def sound(text: str) -> str:
        try:
            fields = [field for field in Formatter().parse(text) if field[1] is not None]
        except ValueError as error:
            raise ValueError(f"a literal brace has to be doubled ({error})") from None
        if any(spec or conversion for _, _, spec, conversion in fields):
            raise ValueError("braces hold a name alone, with no ! and no : after it")
        if {name for _, name, _, _ in fields} != set(names):
            wanted = " and ".join(f"{{{name}}}" for name in names) or "nothing"
            raise ValueError(f"it has to use {wanted} in braces, and no more")
        return text

    return AfterValidator(sound)


def put(prompt: Prompt, text: str, **parts: str) -> Prompt:
    """`prompt` with its last message, or all of a plain text, put into `text` at {problem}; `parts` fill the rest."""
    if isinstance(prompt, str):
        return text.format(problem=prompt, **parts)
    *before, last = prompt
    return [*before, Message(role=last["role"], content=text.format(problem=last["content"], **parts))]


def answered(prompt: Prompt, response: str, text: str, **parts: str) -> Prompt:
    """The conversation in which `prompt` was answered with `response` and the user continues with `text`, filled with
    `parts`."""
    follow_up = text.format(**parts)
    if isinstance(prompt, str):
        return f"{prompt}{response}\n\n{follow_up}\n"
    return [*prompt, Message(role="assistant", content=response), Message(role="user", content=follow_up)]


def spaced(prompt: Prompt, response: str) -> str:
    """`response` as a base model would have written it right after `prompt`: "23 + 27 =" is followed by " 50", with a
    space. Unchanged where it has that space, or needs none, as in a chat."""
    separate = not isinstance(prompt, str) or prompt[-1:].isspace() or not response or response[0].isspace()
    return response if separate else f" {response}"
