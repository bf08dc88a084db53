r"""Mathematical answers, in LaTeX or plain: right where the answer is proved equal to the gold one.

The answer is what the last \boxed{...} holds; else what is marked otherwise (marks.py); else the last mathematics in
the response. It is tidied (byheart/mathematics/latex.py). Numbers are then compared right away. The rest is read into
its parts (notation.py) and compared part by part (comparison.py), expression by expression (algebra.py): solutions in
any order, points and intervals in theirs, brackets and units as they are. A decimal is exactly what it says: 0.333 is
not 1/3.

Whatever can't be read, or neither proved nor refuted, is unjudged.
"""

from __future__ import annotations

import re

from pydantic import Field

from byheart.mathematics import units
from byheart.mathematics.algebra import Unreadable
from byheart.mathematics.comparison import same
from byheart.mathematics.latex import COMMANDS, number, tidy
from byheart.mathematics.notation import read
from byheart.types import Judgement, Problem
from byheart.verifiers import marks, pool


class Options(pool.Options):
    time_limit: float = Field(default=5.0, gt=0)


LIBRARIES = ("latex2sympy2_extended", "mpmath", "sympy")
"""What a verdict depends on besides this code."""

LONGEST = 2000
"""How many characters an answer has at most, and from how far back one is taken that nothing marks."""


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    """1.0 where the response's answer equals the gold one, 0.0 where it does not or there is none, None if unclear."""
    if problem.answer is None:
        return Judgement(None, None, "the problem has no gold answer")
    found = extract(problem, response)
    if found is None:
        return Judgement(0.0, None, "no answer in the response")
    wanted = _gold(problem.answer)
    if found == wanted:
        return Judgement(1.0, found)
    if max(len(found), len(wanted)) > LONGEST:
        return Judgement(None, found[:LONGEST], "too long an answer")
    gold, answer = tidy(wanted), tidy(found)
    if not gold:
        return Judgement(None, found, "the gold answer is empty")
    try:
        right = same_text(gold, answer)
    except Unreadable as error:
        return Judgement(None, found, str(error))
    if right is None:
        return Judgement(None, found, f"neither proved nor refuted: {found[:60]!r} is {wanted[:60]!r}")
    return Judgement(float(right), found, "" if right else f"{found[:60]!r} is not {wanted[:60]!r}")


def same_text(gold: str, answer: str) -> bool | None:
    """Whether two tidied answers are the same, or None where that can't be decided. Raises Unreadable."""
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
    # k pi and n pi, for all whole k or n, are the same; whether others are is not looked into
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


def extract(problem: Problem, response: str) -> str | None:
    """The answer the response gives, as it stands there, or None."""
    if (box := _BOX.search(response)) is not None:
        return _boxed(response, box.start())
    if (under := next(marks.marked(response), None)) is not None:
        return _sentence(under.text[:LONGEST])
    response = response.rstrip()[-LONGEST:]
    lines = [line.strip() for line in response.splitlines() if line.strip()]
    if not lines:
        return None
    if len(lines) == 1 and not _prose(lines[0]):
        return lines[0]
    return _last_mathematics(response, lines[-1])


def _gold(text: str) -> str:
    """A gold answer may be a whole solution whose end is boxed or marked with ####."""
    if _BOX.search(text) or "####" in text:
        return extract(Problem("", "", None, ""), text) or ""
    return text


def _boxed(text: str, start: int) -> str | None:
    """What the last box holds; boxes with no more than "and", "or" or a comma between them are one answer."""
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
    found = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if not _JOINT.fullmatch(text, box[1] + 1, found[0][0]):
            break
        found.insert(0, box)
    return " or ".join(content for *_, content in found) if all(content for *_, content in found) else None


def _closing(text: str, start: int) -> int | None:
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
    """What the last sentence says something is; or the last formula or number, whichever ends later."""
    sentence = _REASON.sub("", re.split(r"(?<=[\w)$}])\.\s+(?=[A-Z])", last)[-1].rstrip(". *"))
    copulas = list(_COPULA.finditer(_MATHS.sub(_blank, sentence)))
    said = sentence[copulas[-1].end() :].strip(" *") if copulas else ""
    if said and not _prose(said):
        return said
    plain = _MATHS.sub(_blank, response)
    if len(_ITEM.findall(plain)) > 1:
        plain = _ITEM.sub(_blank, plain)
    spans = [(match.end(), match.start(), next(filter(None, match.groups()))) for match in _MATHS.finditer(response)]
    spans += [(m.end(), m.start(), m[0] + _unit(plain[m.end() :])) for m in _NUMBERS.finditer(plain)]
    if not spans:
        return None
    end, start, found = max(spans)
    denied = re.search(r"(?:\bnot|n't)\W+(?:\w+\W+)?$", response[:start]) or re.search(
        r"\b(?:wrong|incorrect|mistake)\b", response[end:]
    )
    cut_off = re.search(r"[.!?]\s", response[end:]) and not re.search(r"[.!?:)*]\s*$", response)
    return None if cut_off or denied else found


def _unit(text: str) -> str:
    """The unit at the beginning of `text`, of up to three words; nothing where there is none."""
    words = re.match(r"\s?(?:[\w°/^]+ ){0,2}[\w°/^]+", text)
    tried = words[0].rstrip() if words else ""
    while tried.strip():
        if units.known(tidy(tried)):
            return tried
        tried = tried.rpartition(" ")[0]
    return ""


def _blank(match: re.Match[str]) -> str:
    return "□" * len(match[0])
