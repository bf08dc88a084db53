r"""The letter of one option, or its full text, is the answer: "B", "(B)", "B) Paris", "The answer is Paris."

The options are `problem.meta["choices"]`: {"A": "London", "B": "Paris"}, whose labels may be digits as well, or a list
of texts, which are A, B, ... in their order. The gold answer is a label. Without `choices`, letters alone are read.

The marked answer counts (answers.py), else the last line, else the whole response. A response that names two options
there has no answer: "A or B", "A and B", "B) London". A letter counts where it can't be a word: "option C", "(C)",
"C." at the start, "only C"; a bare one where it is marked, "the answer is C", "故选：C", but "A dog" and "a dog" are
not A. An option that is ruled out, "not B", does not count. A list of the options, a line each, names them all; so
does an answer that is taken back: "The answer is B. No, A." An option that is named by a number, "option 2", is
unjudged where the labels are letters. The text is read in a few passes: no input makes it slow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from string import ascii_uppercase
from typing import Any, ClassVar

from typing_extensions import override

from byheart.contracts import Verifier
from byheart.types import Judgement, Problem
from byheart.verifiers.core import answers
from byheart.verifiers.core.languages import narrowed


class Choice(Verifier):
    """Judges answers to multiple-choice questions."""

    version: ClassVar[int] = 2
    compares: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        choices = _choices(problem.meta.get("choices"))
        gold = (problem.answer or "").strip().upper()
        if gold not in choices:
            return Judgement(None, None, self.unreadable(problem) or "")
        labels = _answered(choices, response)
        if not labels and (index := _INDEX.search(response)):
            return Judgement(None, None, f"{index[0]!r} may count from 0 or from 1; ask for the letter")
        if len(labels) != 1:
            return Judgement(
                0.0, None, f"more than one option: {', '.join(sorted(labels))}" if labels else "no option is named"
            )
        [label] = labels
        return Judgement(float(label == gold), label, "" if label == gold else f"{label} is not {gold}")

    @override
    def unreadable(self, problem: Problem) -> str | None:
        if problem.answer is None:
            return "the problem has no gold answer"
        choices = _choices(problem.meta.get("choices"))
        gold = problem.answer.strip()
        if gold.upper() in choices:
            return None
        hint = "; an index may count from 0 or from 1: give the label" if gold.isdecimal() else ""
        return f"the gold answer {problem.answer[:40]!r} is not one of {', '.join(choices)}{hint}"

    @override
    def extract(self, problem: Problem, response: str) -> str | None:
        labels = _answered(_choices(problem.meta.get("choices")), response)
        return labels.pop() if len(labels) == 1 else None

    @override
    def found(self, response: str) -> str:
        return answers.where(response) or "the last line, or else the whole response"


def _choices(given: Any) -> dict[str, str]:
    """Label -> text."""
    if isinstance(given, Mapping):
        return {str(label).upper(): narrowed(str(text)) for label, text in given.items()}
    if isinstance(given, list):
        return dict(zip(ascii_uppercase, (narrowed(str(text)) for text in given), strict=False))
    return dict.fromkeys(ascii_uppercase, "")


def _answered(choices: dict[str, str], response: str) -> set[str]:
    """The labels of the options that the response gives as its answer."""
    response = narrowed(response)
    claim = answers.claim(response)
    if claim:
        corrected = _named(choices, claim.correction, _BARE)
        listed = _listed(choices, claim.text if claim.closed else claim.text + claim.after)
        return _named(choices, claim.text, _BARE) | corrected | listed
    lines = response.strip().split("\n")
    if named := _named(choices, lines[-1], _SET_OFF) or _chosen(choices, lines[-1]):
        return named | _listed(choices, "\n".join(reversed(lines)))
    return (_alone(choices, lines[0]) or _named(choices, response, _SET_OFF)) | _listed(choices, response)


def _chosen(choices: dict[str, str], line: str) -> set[str]:
    """The label that the last clause chooses: "so B", "which leaves B", "B is correct"."""
    clause = re.split(r"[,;.!?](?=\s)|[。，；]", line.rstrip(" .!*"))[-1].strip(" *")
    return set() if line.rstrip().endswith("?") or _NEGATIVE.search(clause) else _named(choices, clause, _CHOSEN)


def _listed(choices: dict[str, str], text: str) -> set[str]:
    """The labels, more than one, that begin lines of `text`, its first line among them."""
    lines = text.strip().split("\n")
    labels = [item[1].upper() if (item := _ITEM.match(line)) else "" for line in lines]
    listed = set(labels) & choices.keys() if labels[0] in choices else set()
    return listed if len(listed) > 1 else set()


def _named(choices: dict[str, str], text: str, letter: re.Pattern[str]) -> set[str]:
    """The labels of the options that `text` names, by text or by a label that `letter` finds, and does not rule out."""
    if alone := _alone(choices, text):
        return alone
    text = _one_spacing(text)
    named: set[str] = set()
    if by_text := _by_text(tuple(choices.items())):
        pattern, labels = by_text
        for match in pattern.finditer(text):
            label = labels[(match.lastindex or 0) - 1]
            if label not in named and _stands(match):
                named.add(label)
        text = pattern.sub(lambda match: "x" * len(match[0]), text)  # no letter in it is a label
    for match in letter.finditer(text):
        label = match[0].upper()
        if label not in named and label in choices and _stands(match):
            named.add(label)
    return named


def _alone(choices: dict[str, str], text: str) -> set[str]:
    """The label that is all of `text`, in either case."""
    match = _ALONE.fullmatch(text)
    return {match[1].upper()} & choices.keys() if match else set()


@lru_cache
def _by_text(choices: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], list[str]] | None:
    """A pattern for the texts of options, the longer one where two begin alike, and the label of each of its groups."""
    texts = [(_one_spacing(text).strip(" ."), label) for label, text in choices]
    labels = {label for label, _ in choices}
    texts = sorted(((text, label) for text, label in texts if text and text.upper() not in labels), key=_longest_first)
    either = "|".join(f"({re.escape(text)})" for text, _ in texts)
    pattern = re.compile(rf"{_NO_DIGITS_BEFORE}(?<!\w)(?:{either})(?!\w){_NO_DIGITS_AFTER}", re.IGNORECASE)
    return (pattern, [label for _, label in texts]) if texts else None


def _longest_first(text_and_label: tuple[str, str]) -> int:
    return -len(text_and_label[0])


def _one_spacing(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _stands(match: re.Match[str]) -> bool:
    """Whether the words around `match` do not rule it out: "not B", "B is wrong"."""
    before = _LABELS.sub("", match.string[max(0, match.start() - 60) : match.start()])
    after = match.string[match.end() : match.end() + 24]
    return not (_NOT_BEFORE.search(before) or _NOT_AFTER.match(after))


_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|no|never|nor|neither|hardly|cannot|except|without|other than|(?:anything|all) but"
    r"|nicht|keine?|non|pas)\b|n't\b"
    r"|[不非没]|排除)"
    r"(?:(?!\bbut\b)[^.,;:])*$|\bnone\b[^.;]*$|[¬~!]$|\\(?:neg|lnot)\b\W*$",
    re.IGNORECASE,
)
_LABELS = re.compile(r"(?:\b[A-Z](?:,| or\b| nor\b| and\b)+ ?)+$")
"""What is said before a list of labels is said of each: "not A, B or C"."""
_NOT_AFTER = re.compile(
    r"\W{0,3} ?(?:(?:is|was|are)(?:n't| (?:\w+ )?(?:not|wrong|incorrect|false|out))\b|(?:incorrect|wrong)\b"
    r"|[不错]|以外|[가이]? ?아니|ではない|じゃない)"
)
_NO_DIGITS_BEFORE = r"(?<!\d[-−.,/:^])(?:(?<![-−])|(?!\d))"
_NO_DIGITS_AFTER = r"(?![-−.,/:^]\d|(?<=\d)[%!^])"
_INDEX = re.compile(r"\b(?:[Oo]ption|[Cc]hoice) \d\b")
_ITEM = re.compile(r"\W*(\w)(?:[).:]|\W*$)")
_ALONE = re.compile(r"[^\w¬~!-]*(?:\\(?:text|textbf|mathrm|mathbf)\{)?(\w{1,3})\W*")
_LABEL = r"(?:[B-HJ-Z]|[AI0-9](?!\ (?!(?:or|and|is|as|but|which|not|by)\b)[a-z]))(?![\w']|[.,]\d)"
_BARE = re.compile(rf"(?<![\w'.-]){_LABEL}")
_RIGHT = r"(?:is|are)\ (?:the\ )?(?:\w+\ )?(?:correct|right|answer|best)"
_ENDS = rf"(?=\W*$|\ {_RIGHT}|\ (?:because|since|as|[-–—])\ )(?!\s*[-+*/=])"
_CHOOSING = ("so", "So", "be", "choose", "chose", "pick", "select", "leaves", "therefore", "thus", "Thus", "ist", "es")
_CHOSEN = re.compile(
    rf"^{_LABEL}(?=\ )(?!\W*$){_ENDS}|(?<=选\ ){_LABEL}{_ENDS}|"
    + "|".join(rf"(?<=\b{word}\ ){_LABEL}{_ENDS}" for word in _CHOOSING)
)
_NEGATIVE = re.compile(
    r"n't\b|\b(?:not|no|never|wrong|incorrect|false|eliminat\w*|exclud\w*|out|mistake|nicht|keine?|non|pas|ne)\b"
    r"|[不非没错]|아니|ない"
)
_SET_OFF = re.compile(
    rf"""
      (?<=\()[A-Z0-9](?=\)) | (?<=\*\*)[A-Z0-9](?=\*\*|[).:]) | ^[A-Z0-9](?=[).:,](?!\d))
    | (?<=[Oo]ption\ )(?:[A-Z0-9]|[b-hj-z])\b | (?<=[Cc]hoice\ )(?:[A-Z0-9]|[b-hj-z])\b | (?<=选项\ )[A-Z]
    | (?<=is\ ){_LABEL}(?=\W*$|,\ |\ [-–—]\ ) | (?<='s\ ){_LABEL}(?=\W*$) | (?<=[Oo]nly\ ){_LABEL}
    | (?<![\w'.-])[A-Z0-9](?=\ (?:or|and|&)\ |\ ?/\ ?[A-Z])  # and what else "A or B" names
    | (?<=\ or\ ){_LABEL} | (?<=\ and\ ){_LABEL} | (?<=[/&,]){_LABEL} | (?<=[/&,]\ ){_LABEL}
    """,
    re.VERBOSE,
)
