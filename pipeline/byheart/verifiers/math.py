r"""Mathematical answers, in LaTeX or plain text: right where the answer is proved equal to the gold answer.

The answer is the content of the last \boxed{...}; else what is marked otherwise (answers.py); else the last mathematics
in the response. It is normalised (mathematics/latex.py). Numbers are then compared at once. Everything else is
parsed into its parts (notation.py) and compared part by part (equality.py), expression by expression (algebra.py):
solutions in any order, points and intervals in theirs, brackets and units as written. A decimal is exact: 0.333 is not
1/3.

An answer that can't be read, or neither proved nor refuted, is unjudged.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.contracts import ProcessVerifier
from byheart.types import Judgement, Problem
from byheart.verifiers.core import answers
from byheart.verifiers.mathematics import units
from byheart.verifiers.mathematics.algebra import Unreadable, expression
from byheart.verifiers.mathematics.equality import same
from byheart.verifiers.mathematics.latex import COMMANDS, number, tidy
from byheart.verifiers.mathematics.notation import expressions, read


class Math(ProcessVerifier):
    """Judges mathematical answers by value."""

    time_limit: float = Field(default=5.0, gt=0, description="seconds for one response")

    compares: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("latex2sympy2_extended", "mpmath", "sympy")

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        if problem.answer is None:
            return Judgement(None, None, "the problem has no gold answer")
        answer = self.extract(problem, response)
        if answer is None:
            return Judgement(0.0, None, "no answer in the response")
        gold = _gold(problem.answer)
        if answer == gold:
            return Judgement(1.0, answer)
        if max(len(answer), len(gold)) > LONGEST:
            return Judgement(None, answer[:LONGEST], "too long an answer")
        tidy_gold, tidy_answer = tidy(gold), tidy(answer)
        if not tidy_gold:
            return Judgement(None, answer, "the gold answer is empty")
        try:
            right = same_text(tidy_gold, tidy_answer)
        except Unreadable as error:
            return Judgement(None, answer, str(error))
        if right is None:
            return Judgement(None, answer, f"neither proved nor refuted: {answer[:60]!r} is {gold[:60]!r}")
        return Judgement(float(right), answer, "" if right else f"{answer[:60]!r} is not {gold[:60]!r}")

    @override
    def unreadable(self, problem: Problem) -> str | None:
        return "the problem has no gold answer" if problem.answer is None else _unreadable(problem.answer)

    @override
    def extract(self, problem: Problem, response: str) -> str | None:
        return answered(response)


LONGEST = 2000
"""Most characters of an answer; an unmarked one is looked for in as many characters at the end of the response."""


def answered(response: str) -> str | None:
    """The answer in the response, as it is written there, or None."""
    if (box := _BOX.search(response)) is not None:
        return _boxed(response, box.start())
    if (under := next(answers.marked(response), None)) is not None:
        return _sentence(under.text[:LONGEST])
    response = response.rstrip()[-LONGEST:]
    lines = [line.strip() for line in response.splitlines() if line.strip()]
    if not lines:
        return None
    if len(lines) == 1 and not _prose(lines[0]):
        return lines[0]
    return _last_mathematics(response, lines[-1])


def same_text(gold: str, answer: str) -> bool | None:
    """Whether two tidied answers are the same; None where that can't be decided. Raises Unreadable where one of them
    can't be parsed."""
    if gold.replace("¦", " ") == answer.replace("¦", " "):
        return True
    numbers = number(gold), number(answer)
    if None not in numbers:
        return numbers[0] == numbers[1]
    try:
        wanted = read(gold)
    except Unreadable as error:
        raise Unreadable(f"the gold answer can't be read: {error}") from None
    right = same(wanted, read(answer))
    # k pi and n pi, for all whole k or n, are the same; other sets of this kind are not compared
    return None if right is False and "∈\\mathbb{Z}" in gold + answer else right


_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[\w-]))")
_JOINT = re.compile(r"[\s$.,;:\\()\[\]]*(?:(?:,|;|and|or)[\s$\\()\[\]]*)")
_MATHS = re.compile(r"\$\$([^$]+)\$\$|\\\[(.+?)\\\]|(?<!\\)\$([^$\n]+)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_PLAIN = r"(?:\d+(?::\d+)+(?:\s?[aApP]\.?[mM]\b)?|[-+\u2212]?[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?:\s+\d+/\d+|/\d+)?%?)"
_NUMBERS = re.compile(rf"(?<![\w.^]){_PLAIN}(?:(?:\s*,|\s+and|\s+or)+\s+{_PLAIN})*")
_COPULA = re.compile(r"(?<![\w])(?:is|are|equals?|was|were|be|get|=)(?![\w])\s*:?")
_REASON = re.compile(
    r"[\s,;(]+(?:because|since|which|where|so that|as (?=\w+ )|hence|therefore|I hope|when)\b.*$"
    r"|[,;]\s+(?:both|each|all|they|it|we|this|that)\b.*$",
    re.DOTALL,
)
_ITEM = re.compile(r"^\s*\d+[.)](?=\s|$)", re.MULTILINE)


def _gold(text: str) -> str:
    """The gold answer; `text` may be a whole solution whose answer is boxed or marked with ####."""
    if _BOX.search(text) or "####" in text:
        return answered(text) or ""
    return text


@lru_cache(maxsize=2**17)
def _unreadable(answer: str) -> str | None:
    """Why the gold answer can't be read; None where it can. Kept for all of a large data set: it is asked for more than
    once, and only the reason is kept."""
    gold = _gold(answer)
    if len(gold) > LONGEST:
        return f"the gold answer {gold[:40]!r}... is too long"
    if not (tidied := tidy(gold)):
        return "the gold answer is empty"
    try:
        for text in expressions(read(tidied)) if number(tidied) is None else ():
            if number(text) is None:
                expression(text)
    except Unreadable as error:
        return f"the gold answer can't be read: {error}"
    return None


def _boxed(text: str, start: int) -> str | None:
    """The content of the last box; boxes with only "and", "or" or a comma between them are one answer."""
    boxes: list[tuple[int, int, str]] = []
    for match in _BOX.finditer(text, start):
        if match[0].endswith("{"):
            end = _closing(text, match.end())
            if end is None:
                boxes.append((match.start(), len(text), ""))
                break
        else:
            bare = re.compile(r"-?[\w.,]*\w").match(text, match.end())
            end = bare.end() if bare else match.end()
        boxes.append((match.start(), end, text[match.end() : end].strip()))
    last = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if not _JOINT.fullmatch(text, box[1] + 1, last[0][0]):
            break
        last.insert(0, box)
    return " or ".join(content for *_, content in last) if all(content for *_, content in last) else None


def _closing(text: str, start: int) -> int | None:
    """The index of the brace that closes one opened before `start`."""
    depth = 1
    for match in re.compile(r"\\[{}]|[{}]").finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return None


def _sentence(text: str) -> str | None:
    """The first sentence, without the reasons it gives."""
    text = text.lstrip(" \t\r\n:*")
    if display := re.match(r"(\$\$.+?\$\$|\\\[.+?\\\])", text, re.DOTALL):
        return display[0]
    line = text.partition("\n")[0]
    line = re.split(r"(?<=[^\s.])[.!?]?\*\*(?=\s|$)|\.(?=\s|$)|(?<=\w)[!?](?=\s+[A-Z])", line)[0]
    return _REASON.sub("", line).strip(" *_\t") or None


_WORD = re.compile(rf"(?<![a-zA-Z\\])(?!(?:and|or|either|{COMMANDS})(?![a-zA-Z]))[a-zA-Z]{{2,}}")


def _prose(text: str) -> bool:
    """Whether `text` says more than an answer: words before mathematics, or many words."""
    bare = re.sub(r"\\(?:text|mathrm|mbox|begin|end)\s*\{[^{}]*\}|\\[a-zA-Z]+", " ", text)
    words = list(_WORD.finditer(bare))
    if not words:
        return False
    leads = re.search(r"[\d$=]", bare[words[0].start() :])
    return len(words) > 5 or leads is not None or _COPULA.search(bare) is not None


def _last_mathematics(response: str, last: str) -> str | None:
    """What the last sentence states after "is" or "="; else the last formula or number, whichever ends later."""
    sentence = _REASON.sub("", re.split(r"(?<=[\w)$}])\.\s+(?=[A-Z])", last)[-1].rstrip(". *"))
    copulas = list(_COPULA.finditer(_MATHS.sub(_blank, sentence)))
    stated = sentence[copulas[-1].end() :].strip(" *") if copulas else ""
    if stated and not _prose(stated):
        return stated
    plain = _MATHS.sub(_blank, response)
    if len(_ITEM.findall(plain)) > 1:
        plain = _ITEM.sub(_blank, plain)
    spans = [(match.end(), match.start(), next(filter(None, match.groups()))) for match in _MATHS.finditer(response)]
    spans += [
        (match.end(), match.start(), match[0] + _unit(plain[match.end() :])) for match in _NUMBERS.finditer(plain)
    ]
    if not spans:
        return None
    end, start, answer = max(spans)
    denied = re.search(r"(?:\bnot|n't)\W+(?:\w+\W+)?$", response[:start]) or re.search(
        r"\b(?:wrong|incorrect|mistake)\b", response[end:]
    )
    cut_off = re.search(r"[.!?]\s", response[end:]) and not re.search(r"[.!?:)*]\s*$", response)
    return None if cut_off or denied else answer


def _unit(text: str) -> str:
    """The unit at the beginning of `text`, of up to three words; "" where there is none."""
    words = re.match(r"\s?(?:[\w°/^]+ ){0,2}[\w°/^]+", text)
    unit = words[0].rstrip() if words else ""
    while unit.strip():
        if units.known(tidy(unit)):
            return unit
        unit = unit.rpartition(" ")[0]
    return ""


def _blank(match: re.Match[str]) -> str:
    return "□" * len(match[0])
