"""The steps of a solution: the same split for search, labels and training; and how the values of steps make one number.

A step is a piece of the text as written, its line break included, so that the steps of a text, joined, are the text.
The tokens of a solution are those of its whole text; a token belongs to the step in which it begins: see
chat.encode_steps.
"""

from __future__ import annotations

import io
import math
import re
import tokenize
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from byheart.text import normalised

Kind = Literal["line", "sentence", "marked", "statement"]
"""What a step is: a line; a sentence; the text between marks such as "Step 2" or "## Step 2" at the beginning of a
line; a Python statement, over as many lines as its brackets and strings are open."""

UNTIL: dict[Kind, tuple[str, ...]] = {
    "line": ("\n",),
    "sentence": (". ", "! ", "? ", "\n"),
    "marked": ("\nStep ", "\n## "),
    "statement": ("\n",),
}
"""The texts at which sampling of a step stops. Usually that is the end of the step; `first` can tell."""

AGGREGATE: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "max": max,
    "sum": sum,
    "product": math.prod,
    "last": lambda values: values[-1],
}
"""Name -> how the values of the steps of a solution make one number."""

_LINE = r"\n[^\S\n]*?(?=[^\S\n]?\S)"
"""The end of a line with the indentation of the next but for its last space, which tokenizers join to the word."""
_ENDS: dict[Kind, str] = {
    "line": _LINE,
    # a number that begins a line, as in "1. Add.", ends no sentence
    "sentence": rf"(?P<number>^[^\S\n]*\w{{1,2}}[.)](?=\s))|[.!?][\"')\]*]*(?=[^\S\n]+\S)|{_LINE}",
    "marked": r"\n(?=[^\S\n]*(?:## |Step\b))",
    "statement": _LINE,
}


def split(text: str, kind: Kind) -> list[str]:
    """The steps of `text`, none of them blank unless all of it is; joined, they are `text`."""
    steps: list[str] = []
    step = ""
    for piece in _pieces(text, kind):
        step += piece
        if step.strip() and not (kind == "statement" and _open(step)):
            steps.append(step)
            step = ""
    if step and steps and not step.strip():
        steps[-1] += step
    elif step:
        steps.append(step)
    return steps


def alike(step: str, kind: Kind) -> str:
    """The form by which two steps are equal: without case and spacing, except in code, where both have a meaning."""
    return step if kind == "statement" else normalised(step)


def first(text: str, kind: Kind) -> str | None:
    """The first step of a `text` that may continue; None where that step is not complete."""
    step, *rest = split(text + (" x" if text[-1:].isspace() else "x"), kind)
    return step if rest else None


def _pieces(text: str, kind: Kind) -> Iterator[str]:
    begin = 0
    for end in re.finditer(_ENDS[kind], text, re.MULTILINE):
        if not end.groupdict().get("number"):
            yield text[begin : end.end()]
            begin = end.end()
    yield text[begin:]


def _open(code: str) -> bool:
    """Whether a bracket or a string in these lines of Python is still open at their end."""
    try:
        list(tokenize.generate_tokens(io.StringIO(code).readline))
    except tokenize.TokenError as error:
        return "multi-line" in str(error) or "triple-quoted" in str(error)
    except SyntaxError:
        return False
    return False
