r"""Problems of reasoning-gym, judged by its own scorer: the full score is right, unless the recipe sets a threshold.

`problem.meta["reasoning_gym"]` holds what the scorer needs: `dataset`, `config` (the options it was made with) and
`entry` (question, answer and metadata). Many of its problems have several right answers and no gold one.

The answer is what the response marks (marks.py), or its last code block, or all of it where it is JSON, or its last
line, or as many last lines as the gold answer has; and where the gold answer is a number, the last number in that, so
that "3 + 6 = 9" answers 9. Only that one answer is scored.

Some scorers of reasoning-gym 0.1.25 run the answer as Python code, and some give the full score to what is wrong. _FIT
below says, for each of those datasets, what is let through to its scorer; and nowhere does "this or that" count.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable, Set
from copy import deepcopy
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from pydantic import Field

from pipeline.types import Judgement, Problem
from pipeline.verifiers import marks, number, pool

Entry = dict[str, Any]


class Options(pool.Options):
    """`threshold`: the score, in 0..1, that counts as right; without it the full one does."""

    threshold: float | None = Field(default=None, gt=0, le=1)


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    made = problem.meta.get("reasoning_gym")
    if made is None:
        return Judgement(None, None, "the problem is none of reasoning-gym's: its meta says nothing of it")
    answer = extract(problem, response)
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
    right = score >= (options.threshold or 1.0)
    return Judgement(float(right), answer, "" if score >= 1 else f"reasoning-gym gives it {score:.3g}")


def extract(problem: Problem, response: str) -> str | None:
    gold = problem.answer or ""
    marked = next(marks.marked(response), None)
    text, closed = marked or (response, _is_json(response.strip()))
    blocks = _BLOCK.findall(text)
    if blocks:
        text = blocks[-1]
    elif not closed:
        lines = text.rstrip().splitlines()
        wanted = len(gold.splitlines()) or 1
        text = "\n".join(lines[:wanted] if marked else lines[-wanted:])
    text = _undressed(text.strip("\n"), gold)
    if number.extract(problem, gold) == gold and "\n" not in text and not _OR.search(text):
        text = number.extract(problem, text) or text
    return text or None


_BLOCK = re.compile(r"```\w*\n(.*?)\n?```", re.DOTALL)


def _is_json(text: str) -> bool:
    return text[:1] + text[-1:] in ("{}", "[]")


def _undressed(text: str, gold: str) -> str:
    """`text` without the bold type, code or math signs around it and the full stop at its end that `gold` has not."""
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
    """The scorer of a dataset made with `config`; but of size 1, since acre makes all its problems beforehand."""
    from reasoning_gym import create_dataset

    scorer: Callable[[str, Entry], float] = create_dataset(name, **{**json.loads(config), "size": 1}).score_answer
    return scorer


def _restored(name: str, entry: Entry) -> Entry:
    """A copy of `entry`, which scorers write to, as it was before it went through JSON."""
    entry = deepcopy(entry)
    if name in ("arc_agi", "rearc"):
        entry["metadata"]["output"] = tuple(map(tuple, entry["metadata"]["output"]))
    return entry


# What is let through to a scorer.


def _fit(name: str, answer: str, entry: Entry) -> bool:
    gold = entry["answer"]
    if gold is not None and _OR.search(answer) and not _OR.search(gold):
        return False
    try:
        return name not in _FIT or _FIT[name](answer, entry)
    except (SyntaxError, ValueError, TypeError, ArithmeticError):
        return False


_OR = re.compile(r"\bor\b", re.IGNORECASE)


def _inert(answer: str, entry: Entry) -> bool:
    """The scorer passes the answer to eval(): harmless with a literal, a name like ABC, or what is no code at all."""
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
    """As above; and an Integral that is left to work out would be right."""
    return all(_is_algebra(node, _ELEMENTARY) for node in ast.walk(ast.parse(answer.strip(), mode="eval")))


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
    """As above; and puzzle24 takes any four numbers and cuts 24.9 to 24, countdown takes what is near the target."""
    used: list[int] = []
    value = _worked_out(ast.parse(answer.strip(), mode="eval").body, used)
    return value == entry["metadata"].get("target", 24) and sorted(used) == sorted(entry["metadata"]["numbers"])


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def _worked_out(node: ast.expr, used: list[int]) -> Fraction:
    """The value of a sum or product; the numbers in it are added to `used`."""
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
    return len(answer.split()) == len(entry["answer"].split())


def _same_word(answer: str, entry: Entry) -> bool:
    """The scorer takes any text but the empty one for True."""
    return bool(answer.casefold() == entry["answer"].casefold())


def _same_numbers(answer: str, entry: Entry) -> bool:
    """The scorer lets each number be off by one."""
    given, gold = ([float(item) for item in ast.literal_eval(text)] for text in (answer, entry["answer"]))
    return given == gold


def _same_number(answer: str, entry: Entry) -> bool:
    """The scorer takes the first number it finds, without its sign, or one whose last digit is off by one."""
    given, gold = number.read(answer), number.read(entry["answer"])
    return given is not None and gold is not None and number.value(given) == number.value(gold)


def _rightly_rounded(answer: str, entry: Entry) -> bool:
    """The scorer lets a chance be off by 0.0001, which is more than some of them."""
    if Fraction(answer) == Fraction(entry["answer"]):
        return True
    given = Decimal(answer)
    return len(given.as_tuple().digits) >= 3 and Decimal(entry["answer"]).quantize(given) == given


def _none_where_none(answer: str, entry: Entry) -> bool:
    """The scorer takes any words for the empty list of solutions."""
    return bool(entry["answer"].strip()) or not answer.strip("\"' ")


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
    "letter_jumble": _as_many_words,
    "number_sorting": _same_numbers,
    "gsm_symbolic": _same_number,
    "decimal_arithmetic": _same_number,
    "coin_flip": _rightly_rounded,
    "polynomial_equations": _none_where_none,
}
