r"""Problems of reasoning-gym, judged by its own scorers: the full score is right, unless the recipe sets a threshold.

`problem.meta["reasoning_gym"]` holds what the scorer needs: `dataset`, `config` (the options it was made with) and
`entry` (question, answer and metadata). Many of its problems have several right answers and no gold answer.

The answer is what the response marks (answers.py), or its last code block, or all of it where it is JSON, or its last
line, or as many last lines as the gold answer has. Where the gold answer is a number, it is the only number in that
text, with words around it or at the end of a sum: "It is 9 metres" and "3 + 6 = 9" answer 9; "3, 9" and "not 9" do not.

Some scorers of reasoning-gym 0.1.25 run the answer as Python code, and some give the full score to wrong answers. _FORM
and _FIT below say, for each of those datasets, which answers reach the scorer. "This or that" counts nowhere.
"""

from __future__ import annotations

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Set
from contextlib import suppress
from copy import deepcopy
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.contracts import ProcessVerifier
from byheart.types import Judgement, Problem
from byheart.verifiers import number
from byheart.verifiers.core import answers

with suppress(ModuleNotFoundError):
    import reasoning_gym  # at the top, so that the pool's workers start with it in memory

Entry = dict[str, Any]


class Procedural(ProcessVerifier):
    """Judges by the scorers of reasoning-gym."""

    libraries: ClassVar[tuple[str, ...]] = ("reasoning-gym",)
    needs_gold: ClassVar[bool] = False
    needs_meta: ClassVar[tuple[str, ...]] = ("reasoning_gym",)
    version: ClassVar[int] = 2
    reads_answers: ClassVar[bool] = True

    threshold: float | None = Field(
        default=None, gt=0, le=1, description="score, in 0..1, that counts as right; default: the full score, 1"
    )

    @model_validator(mode="after")
    def _installed(self) -> Procedural:
        require()
        return self

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        if reason := self.unreadable(problem):
            return Judgement(None, None, reason)
        made = problem.meta["reasoning_gym"]
        answer = self.extract(problem, response)
        if answer is None:
            return Judgement(0.0, None, "no answer in the response")
        name, entry = made["dataset"], _restored(made["dataset"], made["entry"])
        if not _fit(name, answer, entry):
            return Judgement(0.0, answer, f"{answer[:80]!r} is no answer to a problem of {name}")
        scorer = _scorer(name, json.dumps(made["config"]))
        try:
            score = float(scorer(answer, entry))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            return Judgement(0.0, answer, f"reasoning-gym can't read {answer[:80]!r}: {type(error).__name__}")
        right = score >= (self.threshold or 1.0)
        return Judgement(float(right), answer, "" if score >= 1 else f"reasoning-gym gives it {score:.3g}")

    @override
    def unreadable(self, problem: Problem) -> str | None:
        if problem.meta.get("reasoning_gym") is None:
            return "the problem is none of reasoning-gym's: its meta says nothing of it"
        return None

    @override
    def found(self, response: str) -> str:
        return answers.where(response) or "the last lines"

    @override
    def extract(self, problem: Problem, response: str) -> str | None:
        gold = problem.answer or ""
        marked = next(answers.marked(response), None)
        text, closed, _ = marked or (response, _is_json(response.strip()), "")
        blocks = _BLOCK.findall(text)
        if blocks:
            text = blocks[-1]
        elif not closed:
            lines = text.rstrip().splitlines()
            wanted = len(gold.splitlines()) or 1
            text = "\n".join(lines[:wanted] if marked else lines[-wanted:])
        text = _undressed(text.strip("\n"), gold)
        if number.answered(gold) == gold and "\n" not in text:
            text = _one_number(answers.sentence(text) if marked and not closed else text) or text
        return text or None


def require() -> None:
    """Raises ValueError, with the command that installs it, where reasoning-gym can't be imported."""
    try:
        import_module("reasoning_gym")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the package reasoning-gym is needed and {error.name} is not installed; install it, and a C compiler for "
            "one of its packages, by: pip install 'reasoning-gym>=0.1.25,<0.2'"
        ) from None


def _one_number(text: str) -> str | None:
    """The only number in `text`, or after its last "="; None where there are several, or a denial."""
    plain = _POWER.sub(r"e\1", _FRACTION.sub(r"\1/\2", _DRESS.sub("", text)))
    stated = _STATED.fullmatch(plain.strip())
    numeral = number.last_number(stated["number"]) if stated and not _DENIAL.search(plain) else None
    return numeral.text if numeral else None


_DRESS = re.compile(r"\*\*|[`$€£]|\\[()]")
_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")
_POWER = re.compile(r"\s?(?:[x×*]|\\times|\\cdot)\s?10(?:\^|\*\*)\{?([-+]?\d+)\}?")
_WORD = r"[^\W\d_]+(?:['’-][^\W\d_]+)*"
_STATED = re.compile(
    rf"""(?:[^=\n]*(?<![!<>~])=)*\s*
    (?:(?:{_WORD},?\s+)*{_WORD}:?\s+)?
    (?P<number>[-+\u2212]?(?:(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|\.\d+)(?:e[-+]?\d+|\s?/\s?\d+)?\s?%?)°?
    (?:\s+(?!and\b){_WORD})*\.?""",
    re.VERBOSE | re.IGNORECASE,
)
_DENIAL = re.compile(
    r"\b(?:no|not|never|nor|or|false|wrong|incorrect|maybe|perhaps|possibly)\b|n['’]t\b"
    r"|\b(?:minus|negative|except|half|hundred|thousand|million|billion)\b",
    re.IGNORECASE,
)


_BLOCK = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)


def _is_json(text: str) -> bool:
    return text[:1] + text[-1:] in ("{}", "[]")


def _undressed(text: str, gold: str) -> str:
    """`text` without the bold type, code or math delimiters and the final full stop that `gold` does not have."""
    text = text.strip() if gold == gold.strip() else text
    if not gold.endswith("."):
        text = text.removesuffix(".")
    for dress in ("**", "`", "$"):
        if (
            text.startswith(dress)
            and text.endswith(dress)
            and len(text) > 2 * len(dress)
            and not gold.startswith(dress)
        ):
            text = text[len(dress) : -len(dress)]
    inner = re.fullmatch(r"\\text\{([^{}]*)\}", text)
    return inner[1] if inner else text


@cache
def _scorer(name: str, config: str) -> Callable[[str, Entry], float]:
    """The scorer of a dataset made with `config`, with size 1, since acre makes all its problems in advance."""
    made = reasoning_gym.create_dataset(name, **{**json.loads(config), "size": 1})
    scorer: Callable[[str, Entry], float] = made.score_answer
    return scorer


def _restored(name: str, entry: Entry) -> Entry:
    """A copy of `entry`, which scorers modify, with the types that it had before its JSON round trip."""
    entry = deepcopy(entry)
    if name in ("arc_agi", "rearc"):
        entry["metadata"]["output"] = tuple(map(tuple, entry["metadata"]["output"]))
    return entry


# Which answers reach a scorer.


def _fit(name: str, answer: str, entry: Entry) -> bool:
    gold = entry["answer"]
    if gold is not None and _OR.search(answer) and not _OR.search(gold):
        return False
    if name in _FORM and not re.fullmatch(_FORM[name], answer.strip(), re.VERBOSE):
        return False
    try:
        return name not in _FIT or _FIT[name](answer, entry)
    except (SyntaxError, ValueError, TypeError, ArithmeticError):
        return False


_OR = re.compile(r"\bor\b", re.IGNORECASE)

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_FORM = {
    "advanced_geometry": rf"\({_NUMBER},\s*{_NUMBER}\) | {_NUMBER},\s*{_NUMBER} | {_NUMBER}\s*°?",
    "complex_arithmetic": r"[-+.\dij\s()]+",
    "cryptarithm": r"(?:([A-Z])\s*=\s*\d(?!.*\1)(?:,\s*(?!$)|$))+",
    "gsm_symbolic": _NUMBER,
    "fraction_simplification": r"[$\s]*(?:\d+\s*/\s*\d+|\\d?frac\s*\{\s*\d+\s*\}\s*\{\s*\d+\s*\})[$\s]*",
    "kakurasu": r"[01\s]+",
    "polynomial_equations": rf"[\"']* | {_NUMBER}(?:\s*,\s*{_NUMBER})*",
    "quantum_lock": r"[A-C](?:(?:\s|→|->|,)*[A-C])*",
    "rubiks_cube": r"(?:[A-Za-z]+'?\d*(?:\s+|$))+",
    "rush_hour": r"(?:[A-Z][-+]\d+(?:[\s,]+|$))+",
    "sokoban": r"[UDLR\s]+",
    "survo": r"[\d\s]+",
    "time_intervals": r"\d+(?:\s+days?)? | (?:\d+\ days?,\s*)?\d{1,2}:\d\d(?::\d\d(?:\.\d{3})?)?",
    "tower_of_hanoi": r"(?:Move\ disk\ \d+\ from\ Peg\ \d+\ to\ Peg\ \d+\.?\s*)+",
}
"""The form of an answer, where the scorer ignores what does not belong to it, or takes nan for a number."""


def _inert(answer: str, entry: Entry) -> bool:
    """The scorer passes the answer to eval(): harmless for a literal, a name like ABC, or text that is no code."""
    try:
        tree = ast.parse(answer.strip(), mode="eval")
    except SyntaxError:
        return True
    return all(
        isinstance(node, _LITERAL) or (isinstance(node, ast.Name) and node.id.isupper()) for node in ast.walk(tree)
    )


_LITERAL = (ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.UnaryOp, ast.USub, ast.Load)


def _polynomial(answer: str, entry: Entry) -> bool:
    """The scorer passes the answer to sympy's parse_expr(), which evaluates it as code."""
    return all(_is_algebra(node, frozenset()) for node in ast.walk(ast.parse(answer.strip(), mode="eval")))


def _antiderivative(answer: str, entry: Entry) -> bool:
    """As above; and the scorer would accept an unevaluated Integral, and any term of another variable."""
    nodes = list(ast.walk(ast.parse(answer.strip(), mode="eval")))
    single = {node.id for node in nodes if isinstance(node, ast.Name) and len(node.id) == 1}
    return single <= {entry["metadata"]["variable"], "C"} and all(_is_algebra(node, _ELEMENTARY) for node in nodes)


_ELEMENTARY = {
    *("exp", "log", "ln", "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
}
_ALGEBRA = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Load)


def _is_algebra(node: ast.AST, functions: Set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id.isascii() and (len(node.id) == 1 or node.id == "pi" or node.id in functions)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in functions and not node.keywords
    return isinstance(node, _ALGEBRA) or (isinstance(node, ast.Constant) and type(node.value) in (int, float))


def _reaches_target(answer: str, entry: Entry) -> bool:
    """As above; and puzzle24 accepts any four numbers and cuts 24.9 to 24, countdown what is near the target."""
    used: list[int] = []
    value = _worked_out(ast.parse(answer.strip(), mode="eval").body, used)
    return value == entry["metadata"].get("target", 24) and sorted(used) == sorted(entry["metadata"]["numbers"])


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _worked_out(node: ast.expr, used: list[int]) -> Fraction:
    """The value of an arithmetic expression; the numbers in it are appended to `used`. Raises ValueError for anything
    else."""
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _worked_out(node.left, used), _worked_out(node.right, used)
        return Fraction(_OPERATORS[type(node.op)](left, right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_worked_out(node.operand, used)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return Fraction(node.value)
    raise ValueError("neither a number nor one of + - * /")


def _as_large(answer: str, entry: Entry) -> bool:
    """The scorer compares only the cells that the gold answer has."""
    sizes = [[len(row) for row in json.loads(board)] for board in (answer, entry["answer"])]
    return sizes[0] == sizes[1]


def _as_many_words(answer: str, entry: Entry) -> bool:
    """The scorer compares only as many words as the gold answer has."""
    given, gold = (re.findall(r"[^,\s]+", text) for text in (answer, entry["answer"]))
    return len(given) == len(gold)


def _same_words(answer: str, entry: Entry) -> bool:
    """The scorer reads "Ann is a knight" in "It is false that Ann is a knight"."""
    given, gold = (re.sub(r"\band\b|[,.]", " ", text.casefold()).split() for text in (answer, entry["answer"]))
    return sorted(given) == sorted(gold)


def _same_word(answer: str, entry: Entry) -> bool:
    """The scorer takes any non-empty text for True, or counts the letters that are right."""
    given, gold = ("".join(text.casefold().split()) for text in (answer, entry["answer"]))
    return given == gold


def _same_numbers(answer: str, entry: Entry) -> bool:
    """The scorer lets each number be off by one."""
    given, gold = ([float(item) for item in ast.literal_eval(text)] for text in (answer, entry["answer"]))
    return given == gold


def _same_number(answer: str, entry: Entry) -> bool:
    """The scorer reads the first number without its sign, or accepts one whose last digit is off by one."""
    given, gold = number.read(answer), number.read(entry["answer"])
    return given is not None and gold is not None and number.value(given) == number.value(gold)


def _same_float(answer: str, entry: Entry) -> bool:
    """The scorer lets a number be off by 0.01; gold answers have the error of a float."""
    return math.isclose(float(answer.replace(",", "")), float(entry["answer"]), rel_tol=1e-13)


def _rightly_rounded(answer: str, entry: Entry) -> bool:
    """The scorer lets a probability be off by 0.0001, which is more than some are, and a power by half a per cent.

    Right is the gold answer, or the gold answer rounded to three figures or more.
    """
    if Fraction(answer) == Fraction(entry["answer"]):
        return True
    given, gold = Decimal(answer), Decimal(entry["answer"])
    return any(
        Context(figures, rounding).plus(gold) == given
        for figures in range(3, 18)
        for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP)
    )


def _rightly_rounded_cells(answer: str, entry: Entry) -> bool:
    """The scorer lets a cell be off by one per cent; the gold answer has two decimals."""
    given, gold = ([float(cell) for cell in text.split()] for text in (answer, entry["answer"]))
    return len(given) == len(gold) and all(abs(a - b) < 0.0051 for a, b in zip(given, gold, strict=True))


def _same_kind_of_time(answer: str, entry: Entry) -> bool:
    """The scorer reads only the days where the question asks for days."""
    return (":" in answer) == (":" in entry["answer"])


_FIT: dict[str, Callable[[str, Entry], bool]] = {
    "string_insertion": _inert,
    "spiral_matrix": _inert,
    "binary_matrix": _inert,
    "n_queens": _inert,
    "polynomial_multiplication": _polynomial,
    "simple_integration": _antiderivative,
    "intermediate_integration": _antiderivative,
    "countdown": _reaches_target,
    "puzzle24": _reaches_target,
    "game_of_life": _as_large,
    "game_of_life_halting": _same_word,
    "figlet_font": _same_word,
    "spell_backward": _same_word,
    "knights_knaves": _same_words,
    "letter_jumble": _as_many_words,
    "word_sorting": _as_many_words,
    "number_sorting": _same_numbers,
    "gsm_symbolic": _same_number,
    "decimal_arithmetic": _same_number,
    "number_format": _same_float,
    "time_intervals": _same_kind_of_time,
    "coin_flip": _rightly_rounded,
    "power_function": _rightly_rounded,
    "pool_matrix": _rightly_rounded_cells,
}
