r"""The marks by which a response names its answer: \boxed{...}, <answer>...</answer>, "the answer is ...",
"Answer: ...", "答案：...", and "#### ..." on the last line, as in GSM8K (2110.14168).

Text in other scripts is to be narrowed first (languages.py): marks and answers touch other words there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from byheart.verifiers.core.languages import narrowed

_ABROAD = ("Antwort", "Respuesta", "respuesta", "Réponse", "réponse", "Risposta", "risposta", "Resposta", "resposta")
_BEGIN = {
    ("answer", "Answer", "ANSWER"): r"(?:\*\*)?(?: is(?! not\b)\b| IS\b| would be\b| should be\b| ?[:=])[:*\s]*",
    (*_ABROAD, "Ответ", "答"): r"(?:\*\*)?(?: (?:ist|es|est|è|é)\b| ?:)[:*\s]*",
    ("答案", "答え", "正解", "정답", "답"): r"\s*(?:[是为為は은는이】]|:)[:*\s]*",
    ("故选", "故選"): r"(?!项)[:*\s]*",
}
"""Words before an answer -> what else stands before it."""
_MARK = re.compile(
    "|".join([r"\\boxed ?\{", "<answer>", *(word + rest for words, rest in _BEGIN.items() for word in words)])
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


class Claim(NamedTuple):
    """The text under a mark, and what comes after it up to the next mark; `closed` where the mark itself delimits it,
    as \\boxed{...} does."""

    text: str
    closed: bool
    after: str

    @property
    def correction(self) -> str:
        """The text after words that take the answer back, such as "no, wait"; "" without such words."""
        taken_back = _TAKEN_BACK.search(self.after)
        return self.after[taken_back.end() :] if taken_back else ""


def claim(text: str) -> Claim | None:
    """What the last mark in `text` claims: all that it delimits, or the first sentence without the reasons it gives.

    None without a mark; an empty claim where the text is cut off within a box.
    """
    for under, closed, after in _under_marks(text):
        if not closed:
            start = _match(_DISPLAY, under).end()
            claimed = sentence(under[start:])
            after = under[start:] + after
            under = _REASON.split(claimed, maxsplit=1)[0]
            after = after[len(under) :]
        return Claim(under, closed, after)
    return None


def marked(text: str) -> Iterator[Claim]:
    """The marked texts, the last first; under a mark that does not delimit its text, all up to the next mark."""
    return (claim for claim in _under_marks(text) if claim.text)


def where(text: str) -> str | None:
    """What the last mark of `text` is, in words; None without a mark."""
    if text.rstrip().rpartition("\n")[2].startswith("#### "):
        return "the last line, after ####"
    last = None
    for last in _MARK.finditer(narrowed(text)):  # noqa: B007
        pass
    if last is None:
        return None
    return {"\\": "the last box", "<": "the last <answer>"}.get(last[0][0], f"after {last[0].strip(' :*')!r}")


def sentence(text: str) -> str:
    """The first sentence: up to a full stop that ends it, or to the end of the line."""
    return _match(_SENTENCE, text).group()


def _under_marks(text: str) -> Iterator[Claim]:
    """Each marked text, the last first; "" for a box that is cut off."""
    last_line = text.rstrip().rpartition("\n")[2]
    if last_line.startswith("#### "):
        yield Claim(last_line[5:].strip(), True, "")
    end = len(text)
    for match in reversed(list(_MARK.finditer(text))):
        under, after, closed, cut_off = text[match.end() : end], "", False, False
        if match[0].startswith("\\"):
            under, brace, after = _to_closing_brace(under)
            closed, cut_off = True, not brace and end == len(text)
        elif match[0].startswith("<"):
            under, _, after = under.partition("</answer>")
            closed = True
        end = match.start()
        if under.strip() or cut_off:
            yield Claim(under.strip(), closed, after)


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    """The match at the beginning of `text`, for a `pattern` that matches the empty text too."""
    match = pattern.match(text)
    assert match is not None
    return match


def _to_closing_brace(text: str) -> tuple[str, str, str]:
    """`text` before, at and after the brace that closes one opened before `text`; three empty texts without it."""
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return text[: brace.start()], "}", text[brace.end() :]
    return "", "", ""
