r"""Where a response says "this is my answer": \boxed{...}, <answer>...</answer>, "the answer is ...", "Answer: ...",
and "#### ..." on the last line, as GSM8K has it (2110.14168)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_MARK = re.compile(
    r"\\boxed ?\{|<answer>"
    r"|(?:answer|Answer|ANSWER)(?:\*\*)?(?: is(?! not\b)\b| IS\b| would be\b| should be\b| ?[:=])[:*\s]*"
)
_SENTENCE = re.compile(r"(?:[^.\n]|\.(?!\s|$))*")


class Marked(NamedTuple):
    """What stands under a mark; `closed` where the mark says itself where that ends."""

    text: str
    closed: bool


def marked(text: str) -> Iterator[Marked]:
    """What is marked in `text`, the last first; where a mark has no end of its own, all up to the next mark."""
    last_line = text.rstrip().rpartition("\n")[2]
    if last_line.startswith("#### "):
        yield Marked(last_line[5:].strip(), True)
    end = len(text)
    for mark in reversed(list(_MARK.finditer(text))):
        under, closed = text[mark.end() : end], False
        end = mark.start()
        if mark[0].startswith("\\"):
            under, closed = _to_closing_brace(under), True
        elif mark[0].startswith("<"):
            under, _, _ = under.partition("</answer>")
            closed = True
        if under.strip():
            yield Marked(under.strip(), closed)


def sentence(text: str) -> str:
    """The first sentence: up to a full stop that ends it, or to the end of the line."""
    found = _SENTENCE.match(text)
    assert found is not None
    return found.group()


def _to_closing_brace(text: str) -> str:
    """What stands before the brace that closes one opened before `text`; nothing where none does."""
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[: brace.start()]
    return ""
