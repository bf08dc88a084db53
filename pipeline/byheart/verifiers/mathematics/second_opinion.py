"""A second opinion, where an answer was neither proved nor refuted: math-verify's.

It is asked with each of the two as the gold answer, and counts only where it finds them equal both times: what it can't
read, or finds different, stays undecided. What it is known to pass wrongly is not given to it.
"""

from __future__ import annotations

import logging
import re

from latex2sympy2_extended.latex2sympy2 import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, MatrixBase, nan, solve, zoo
from sympy.core.relational import Relational

logging.getLogger("math_verify").setLevel(logging.ERROR)  # that it has no timeout of its own: the pool has

_DIGITS = 15
"""To so many decimals it compares floats; by default it takes 0.0000004 for 0."""
_READS = LatexExtractionConfig(
    boxed_match_priority=0,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all", equations=False
    ),
)
"""As it reads by default, but with the units: without them, 5 m is 5 cm to it."""


def readable(text: str) -> bool:
    """Whether math-verify can be asked about `text`, and reads it."""
    return _safe(text) and _tree(text) is not None


def settled(gold: str, answer: str) -> bool:
    """Whether math-verify finds two answers equal, whichever is called gold."""
    if not _safe(gold) or not _safe(answer):
        return False
    relations = [bool(_SIGN.search(text)) for text in (gold, answer)]
    if all(relations) and (_JOINED.search(gold) or _JOINED.search(answer) or _letters(gold) != _letters(answer)):
        return False
    if relations.count(True) == 1:
        relation, other = (gold, answer) if relations[0] else (answer, gold)
        if _EQUATION.search(relation) or not _INTERVAL.search(other):
            return False
    wanted, given = _tree(gold), _tree(answer)
    if wanted is None or given is None:
        return False
    return not _unsolvable(wanted) and all(
        verify(a, b, float_rounding=_DIGITS, numeric_precision=50, allow_set_relation_comp=True, timeout_seconds=None)
        for a, b in ((wanted, given), (given, wanted))
    )


_TRAPS = re.compile(r"%|\d\s*_|'|\\log(?!\s*_)|mod|!(?!=)|\^\s*\{?-?\d{3}")
"""It takes 9 for 9%, 12_8 for 12_9, x' for x, and numbers for equal that are both very small, and knows one base of
logarithms only."""
_SIGN = re.compile(r"[=<>≤≥≠]|\\(?:[lg]eq?|[lg]t|neq?)(?![a-zA-Z])")
_SEVERAL = r"[,;]|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z])"
_JOINED, _EQUATION = re.compile(rf"{_SEVERAL}|=.*=|\([^()]*="), re.compile(rf"{_SEVERAL}|(?<![<>!])=")
_INTERVAL = re.compile(r"[(\[].*,.*[)\]]")
"""It takes 5 for xy = 5, M = 2 for m = 2, and one of two conditions for both: of one relation alone it may say which
numbers they are."""


def _letters(relation: str) -> set[str]:
    return set(re.findall("[a-zA-Z]", _COMMAND.sub(" ", relation)))


_COMMAND = re.compile(r"\\(?:begin|end)\s*\{\w+\*?\}|\\[a-zA-Z]+|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z])")
_NAMES = re.compile(r"[A-Z]{2}|[a-z]{3}")
"""It takes words and names for products of their letters: cat for act."""


def _safe(text: str) -> bool:
    return not _TRAPS.search(text) and not _NAMES.search(_COMMAND.sub(" ", text))


def _tree(text: str) -> Basic | MatrixBase | None:
    text = re.sub(r"(?<!\\)\$|(?<!\\)\\[()\[\]]", " ", text)
    trees = parse(f"\\boxed{{{text}}}", [_READS], parsing_timeout=None)
    return next((tree for tree in trees if isinstance(tree, Basic | MatrixBase) and not tree.has(nan, zoo)), None)


def _unsolvable(tree: Basic | MatrixBase) -> bool:
    """Whether it is a relation without a solution, of which it takes any two for equal."""
    try:
        return isinstance(tree, Relational) and not solve(tree)
    except (NotImplementedError, TypeError, ValueError):  # it can't solve, and so compares no solutions
        return False
