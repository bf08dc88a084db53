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
_DISPLAY = re.compile(r"(?:\\\[|\$\$|[\s:*])*")
_BUT = r"(?<!anything )(?<!all )but"
_REASON = re.compile(
    rf"\b(?:because|since|rather than|instead of|{_BUT})\b|, (?:as|for|so|which|where|not)\b", re.IGNORECASE
)
_TAKEN_BACK = re.compile(
    rf"\b(?:wait|actually|no(?=[,.:;!]| wait)|correction|{_BUT}|hm+|sorry|oops|mistake|wrong|incorrect)\b",
    re.IGNORECASE,
)


class Marked(NamedTuple):
    """What stands under a mark; `closed` where the mark says itself where that ends."""

    text: str
    closed: bool


class Claim(NamedTuple):
    """What a response says under its last mark, and all that comes after."""

    text: str
    closed: bool
    after: str

    @property
    def correction(self) -> str:
        """What comes after words that take the answer back, such as "no, wait"; else nothing."""
        taken_back = _TAKEN_BACK.search(self.after)
        return self.after[taken_back.end() :] if taken_back else ""


def claim(text: str) -> Claim | None:
    """What the last mark in `text` claims: all that it closes in, or the first sentence without the reasons it gives.

    Nothing is claimed, but marked, where the text is cut off within a box.
    """
    for (under, closed), after in _under_marks(text):
        if not closed:
            start = _match(_DISPLAY, under).end()
            said = sentence(under[start:])
            after = under[start:] + after
            under = _REASON.split(said, maxsplit=1)[0]
            after = after[len(under) :]
        return Claim(under, closed, after)
    return None


def marked(text: str) -> Iterator[Marked]:
    """What is marked in `text`, the last first; where a mark has no end of its own, all up to the next mark."""
    return (under for under, _ in _under_marks(text) if under.text)


def sentence(text: str) -> str:
    """The first sentence: up to a full stop that ends it, or to the end of the line."""
    return _match(_SENTENCE, text).group()


def _under_marks(text: str) -> Iterator[tuple[Marked, str]]:
    """What is marked, and what comes after it up to the next mark; "" for a box that the end of `text` cuts off."""
    last_line = text.rstrip().rpartition("\n")[2]
    if last_line.startswith("#### "):
        yield Marked(last_line[5:].strip(), True), ""
    end = len(text)
    for mark in reversed(list(_MARK.finditer(text))):
        under, after, closed, cut_off = text[mark.end() : end], "", False, False
        if mark[0].startswith("\\"):
            under, brace, after = _to_closing_brace(under)
            closed, cut_off = True, not brace and end == len(text)
        elif mark[0].startswith("<"):
            under, _, after = under.partition("</answer>")
            closed = True
        end = mark.start()
        if under.strip() or cut_off:
            yield Marked(under.strip(), closed), after


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    """What fits at the beginning of `text`, where nothing fits as well."""
    found = pattern.match(text)
    assert found is not None
    return found


def _to_closing_brace(text: str) -> tuple[str, str, str]:
    """`text` before, at and after the brace that closes one opened before it; three times nothing where none does."""
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[: brace.start()], "}", text[brace.end() :]
    return "", "", ""
