r"""Mathematical answers, in LaTeX or plain text: right where the answer is proved equal to the gold answer.

The answer is the content of the last \boxed{...}, unless a "final answer" follows it; all boxes, where the gold answer
has as many solutions; else what is marked otherwise (answers.py); else what the last sentence states ("so n is at
least 4"), or the last mathematics. It is normalised (mathematics/latex.py). Numbers are then compared at once.
Everything else is parsed into its parts (notation.py) and compared part by part (equality.py), expression by
expression (algebra.py): solutions in any order, points and intervals in theirs, brackets and units as written, of a
chain of equations its end. A decimal is exact, 0.333 is not 1/3, unless it is the other value rounded, with six digits
at least: 0.333333.

Where that neither proves nor refutes, math-verify settles (second_opinion.py). What it can't read or does not find
equal either is unjudged, and so are amounts as other languages write them, 1 000 and 1.000,99.
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
from byheart.verifiers.core.languages import CJK, foreign_amount, narrowed, numerals_read
from byheart.verifiers.mathematics import units
from byheart.verifiers.mathematics.algebra import Unreadable
from byheart.verifiers.mathematics.equality import same, same_number
from byheart.verifiers.mathematics.latex import COMMANDS, number, tidy, undoubled
from byheart.verifiers.mathematics.notation import Several, read
from byheart.verifiers.mathematics.second_opinion import readable, settled


class Math(ProcessVerifier):
    """Judges mathematical answers by value."""

    time_limit: float = Field(default=5.0, gt=0, description="seconds for one response")

    version: ClassVar[int] = 2
    compares: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("latex2sympy2_extended", "math-verify", "mpmath", "sympy")

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        if problem.answer is None:
            return Judgement(None, None, "the problem has no gold answer")
        gold, response = _gold(problem.answer), _plain(response)
        answer = answered(response)
        if answer is None:
            return Judgement(0.0, None, "no answer in the response")
        if answer == gold:
            return Judgement(1.0, answer)
        if max(len(answer), len(gold)) > LONGEST:
            return Judgement(None, answer[:LONGEST], f"too long an answer; {LONGEST} characters are read")
        if not (tidy_gold := tidy(gold)):
            return Judgement(None, answer, "the gold answer is empty")
        right, reason = _compared(gold, answer)
        if right is not True and (together := _together(response, tidy_gold)) and _compared(gold, together)[0]:
            right, answer = True, together
        return Judgement(None if right is None else float(right), answer, "" if right else reason)

    @override
    def unreadable(self, problem: Problem) -> str | None:
        return "the problem has no gold answer" if problem.answer is None else _unreadable(problem.answer)

    @override
    def extract(self, problem: Problem, response: str) -> str | None:
        return answered(_plain(response))

    @override
    def found(self, response: str) -> str:
        return "the last box" if _answer_boxes(response) else answers.where(response) or "the last mathematics"


LONGEST = 2000
"""Most characters of an answer; an unmarked one is looked for in as many characters at the end of the response."""


def answered(response: str) -> str | None:
    """The answer in the narrowed response, as it is written there, or None."""
    if boxes := _answer_boxes(response):
        return _joined(response, boxes)
    claim = next(answers.marked(response), None)
    if claim is not None:
        stated = _sentence(claim.text[:LONGEST])
        return (stated and _prose(stated) and _last_mathematics(stated, stated)) or stated
    response = _HOPE.sub("", response).rstrip()[-LONGEST:]
    lines = [line.strip() for line in response.splitlines() if line.strip()]
    if not lines:
        return None
    if (len(lines) == 1 or _LIST.fullmatch(lines[-1])) and not _prose(lines[-1]):
        return lines[-1]
    return _last_mathematics(response, lines[-1])


def _compared(gold: str, answer: str) -> tuple[bool | None, str]:
    """Whether two answers are the same, and why not, or why that is not known."""
    reason = f"neither proved nor refuted: {answer[:60]!r} is {gold[:60]!r}; a judge may decide"
    try:
        right = same_text(tidy(gold), tidy(answer))
    except Unreadable as error:
        right, reason = None, str(error)
    if right is None and settled(gold, answer):
        right = True
    return right, f"{answer[:60]!r} is not {gold[:60]!r}" if right is False else reason


def same_text(gold: str, answer: str) -> bool | None:
    """Whether two tidied answers are the same; None where that can't be decided. Raises Unreadable where one of them
    can't be parsed."""
    if gold.replace("¦", " ") == answer.replace("¦", " "):
        return True
    numbers = number(gold), number(answer)
    if None not in numbers:
        return same_number(gold, answer)
    for size, other in zip(numbers, (answer, gold), strict=True):
        if size is not None and size in (
            number(foreign_amount(other) or ""),
            number(re.sub(r"[;, ]+(?=\d{3}(?!\d))", "", other)),
        ):
            return None  # 1.000,99 for 1000.99; 32, 349 for 32349
    try:
        wanted = read(gold)
    except Unreadable as error:
        raise Unreadable(f"the gold answer can't be read: {error}; give it as one expression") from None
    try:
        right = same(wanted, read(answer))
    except Unreadable as error:
        raise Unreadable(f"{error}; ask for the answer alone, as an expression in a box") from None
    # k pi and n pi, for all whole k or n, are the same; other sets of this kind are not compared
    return None if right is False and "∈\\mathbb{Z}" in gold + answer else right


def _plain(response: str) -> str:
    return numerals_read(narrowed(undoubled(response)))


_HOPE = re.compile(r"\s*I hope (?:it|this) is correct\.?\s*$")
"""How the answers of Minerva's prompt (2206.14858) end."""
_LIST = re.compile(r"[\[({].*[\])}]")
_FINAL = re.compile(r"final answer(?: is|:)[^\w\\]*[\d$\\-]", re.IGNORECASE)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[\w-]))")
_JOINT = re.compile(r"[\s$.,;:\\()\[\]]*(?:(?:,|;|and|or)[\s$\\()\[\]]*)")
_MATHS = re.compile(r"\$\$([^$]+)\$\$|\\\[(.+?)\\\]|(?<!\\)\$([^$\n]+)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_PLAIN = r"(?:\d+(?::\d+)+(?:\s?[aApP]\.?[mM]\b)?|[-+\u2212]?[$€£]?\d+(?:,\d{3})*(?:\.\d+)?(?:\s+\d+/\d+|/\d+)?%?)"
_NUMBERS = re.compile(rf"(?<![\w.^]){_PLAIN}(?:(?:\s*,|\s+and|\s+or)+\s+{_PLAIN})*")
_COPULA = r"(?<![\w<>!])(?:is|are|equals?|was|were|be|get|=|so|therefore|thus|hence|then)(?![\w])\s*:?|[是为為]\s*:?"
_STATING = re.compile(_COPULA, re.IGNORECASE)
_CALLED = re.compile(r"[^\w ] ?(?:is|are) (?:(?:the|our|a|an)(?: [a-z]+){1,3}|correct)", re.IGNORECASE)
"""What a sentence may say of the answer that it has stated."""
_HEDGED = re.compile("不|非|大于|小于|至少|至多|约|错|分之|以上|以下|아니|ない|[\\d$] ?[十百千万亿億만억点]")
"""What is said of a number in Chinese, Japanese or Korean that makes it another."""
_OPERAND = r"(?<![\w])[-\w.^*/()√π∞]+"
_RELATION = re.compile(rf"{_OPERAND}(?:\s*(?:[<>!]?=|[<>≤≥≠])\s*{_OPERAND})+$")
_COMPARED = [
    (re.compile(rf"(?:^|(?:(?:must|has to|have to|can|should) )?(?:is|are|be) ){words}(?= [-$\\\d])"), sign)
    for words, sign in (
        ("(?:at least|no less than|greater than or equal to)", "≥"),
        ("(?:at most|no (?:more|greater) than|less than or equal to)", "≤"),
        ("(?:strictly )?(?:greater|more|larger) than", ">"),
        ("(?:strictly )?(?:less|smaller) than", "<"),
    )
]
_REASON = re.compile(
    r"[\s,;(]+(?:because|since|which|where|so that|as (?=\w+ )|I hope|when)\b.*$"
    r"|[,;]\s+(?:both|each|all|they|it|we|this|that)\b(?! is\b).*$|\s*(?<!\\)\((?=[^()]*[a-z]{3})[^()\\]*\)$"
    r"|[\s,;(]+(?:attained|achieved|reached)\b.*$",
    re.DOTALL,
)
_ITEM = re.compile(r"^\s*\d+[.)](?=\s|$)", re.MULTILINE)


def _gold(text: str) -> str:
    """The gold answer; `text` may be a whole solution whose answer is boxed or marked with ####."""
    text = _plain(text)
    return (answered(text) or "") if _BOX.search(text) or "####" in text else text


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
        if number(tidied) is None:
            same(read(tidied), read(tidied))
    except Unreadable as error:
        return None if readable(gold) else f"the gold answer can't be read: {error}"
    return None


Box = tuple[int, int, str]
"""Where a box begins and ends, and its content."""


def _boxes(text: str) -> list[Box]:
    """The boxes, up to one that is cut off, which is empty."""
    boxes: list[Box] = []
    for match in _BOX.finditer(text):
        if boxes and match.start() < boxes[-1][1]:
            continue  # a box within a box
        if match[0].endswith("{"):
            end = _closing(text, match.end())
            if end is None:
                return [*boxes, (match.start(), len(text), "")]
        else:
            bare = re.compile(r"-?[\w.,]*\w").match(text, match.end())
            end = bare.end() if bare else match.end()
        boxes.append((match.start(), end, text[match.end() : end].strip()))
    return boxes


def _answer_boxes(text: str) -> list[Box]:
    """The boxes, where no final answer is named after them."""
    boxes = _boxes(text)
    return [] if boxes and _FINAL.search(text, boxes[-1][1]) else boxes


def _joined(text: str, boxes: list[Box]) -> str | None:
    """The content of the last box; boxes with only "and", "or" or a comma between them are one answer."""
    last = [boxes[-1]]
    for box in reversed(boxes[:-1]):
        if not _JOINT.fullmatch(text, box[1] + 1, last[0][0]):
            break
        last.insert(0, box)
    return " or ".join(content for *_, content in last) if all(content for *_, content in last) else None


def _together(response: str, gold: str) -> str | None:
    """All boxes, each with its name, where they are as many as the solutions that the tidied `gold` has, and nothing
    between them takes one back; None otherwise."""
    boxes = _answer_boxes(response)
    if len(boxes) < 2 or _REVISED.search(response, boxes[0][1], boxes[-1][0]):
        return None
    try:
        wanted = read(gold)
    except Unreadable:
        return None
    if not isinstance(wanted, Several) or len(wanted.items) != len(boxes):
        return None
    named = (_NAMED.search(response, max(0, start - 20), start) for start, *_ in boxes)
    return " , ".join((name[0] if name else "") + content for name, (*_, content) in zip(named, boxes, strict=True))


_NAMED = re.compile(r"(?<![\w\\])[a-zA-Z](?:_\{?\w+\}?)?\s*=\s*$")
_REVISED = re.compile(r"\b(?:but|wrong|instead|actually|wait|not|incorrect|however|try|mistake|check)\b", re.IGNORECASE)


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


_WORD = re.compile(rf"(?<![a-zA-Z\\])(?!(?:and|or|either|union|{COMMANDS})(?![a-zA-Z]))[a-zA-Z]{{2,}}")


def _prose(text: str) -> bool:
    """Whether `text` says more than an answer: words before mathematics, or many words."""
    bare = re.sub(r"\\begin\{array\}\{.*?\}|\\(?:text|mathrm|mbox|begin|end)\s*\{[^{}]*\}|\\[a-zA-Z]+", " ", text)
    words = list(_WORD.finditer(bare))
    if re.search(f"[{CJK}]", bare):
        return len(bare) > 8 or re.search(r"[\d$=<>]", bare) is not None
    if not words:
        return False
    leads = re.search(r"[\d$=]", bare[words[0].start() :])
    return len(words) > 5 or leads is not None or _STATING.search(bare) is not None


def _last_mathematics(response: str, last: str) -> str | None:
    """What the last sentence states after "is" or "="; else the last formula or number, whichever ends later."""
    sentence = re.split(rf"(?<=[\w)$}}])\.\s+(?=[A-Z{CJK}])", last)[-1].rstrip(". *")
    for words, sign in _COMPARED:
        sentence = words.sub(sign, sentence)
    sentence = _REASON.sub("", sentence)
    if sentence.startswith(("<", ">", "≤", "≥")) or _HEDGED.search(sentence):
        return sentence  # which can't be read
    stating = [(0, 0), *(match.span() for match in _STATING.finditer(_MATHS.sub(_blank, sentence)))]
    if len(stating) > 1 and _CALLED.fullmatch(sentence, max(stating[-1][0] - 2, 0)):
        sentence = sentence[: stating.pop()[0]]
    stated = sentence[stating[-1][1] :].strip(" *,:")
    if stated and len(sentence) > len(stated) and not _prose(stated):
        formula = _MATHS.fullmatch(stated)
        return next(filter(None, formula.groups())) if formula else stated
    if relation := _RELATION.search(sentence):
        return relation[0]
    plain = _MATHS.sub(_blank, response)
    if len(_ITEM.findall(plain)) > 1:
        plain = _ITEM.sub(_blank, plain)
    spans: list[tuple[int, int, str]] = []
    for match in _MATHS.finditer(response):
        start, text = match.start(), next(filter(None, match.groups()))
        if spans and _JOINT.fullmatch(response, spans[-1][0], start):
            start, text = spans[-1][1], response[spans[-1][1] : match.end()]
        spans.append((match.end(), start, text))
    spans += [
        (match.end(), match.start(), match[0] + _unit(plain[match.end() :])) for match in _NUMBERS.finditer(plain)
    ]
    if not spans:
        return None
    end, start, answer = max(spans)
    denied = re.search(r"(?:\b(?:not|never|cannot|neither)|n't)\W+(?:\w+\W+)?$", response[:start]) or re.search(
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
