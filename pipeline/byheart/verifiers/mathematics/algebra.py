"""Whether two expressions are equal: proved, refuted, or neither.

Both are evaluated with mpmath, at several points if there are variables, in more digits than they have when written
out, so that rational numbers that differ are told apart: a difference that is the same with twice the digits refutes
equality, and no difference at any point is taken as proof. Powers too big to write out are compared by their prime
factors only. The LaTeX is parsed by math-verify's parser, after what it would misread has been rewritten or refused.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from math import log10
from typing import Any

import mpmath
import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, latex2sympy
from sympy.core.function import AppliedUndef


class Unreadable(ValueError):
    """The text is not an expression with one certain meaning."""


_SYMBOLS = {"∞": r"\infty ", "*": r"\cdot ", "≤": r"\le ", "≥": r"\ge "}
_DECIMAL = re.compile(r"(\d*)\.(\d+)")
_FUNCTIONS = r"sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|ln|log|exp|max|min|gcd|lcm"
_GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|varphi|chi"
    "|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Sigma|Phi|Psi|Omega"
)
_OTHER = "frac|sqrt|cdot|infty|binom|lfloor|rfloor|lceil|rceil|sum|prod|int|lim|to|le|ge|mod|overline|bar|vec|hat|tilde"
_COMMAND = re.compile(rf"\\(?!(?:{_FUNCTIONS}|{_GREEK}|{_OTHER})(?![a-zA-Z]))")
_DIFFERENTIAL = re.compile(r"(?<![\\a-zA-Z])d\s*(?=[a-zA-Z\\])")
_AMBIGUOUS = re.compile(r"/\s*(?:\d+|[a-zA-Z])\s*[a-zA-Z\\(]|\\frac\{d")  # 1/2x, dy/dx
# What latex2sympy misreads silently: 2 3 as 5, x' as x, 12_8 as 12, 2^3^2 as 64.
_MISREAD = re.compile(r"\d\s+\d|'|\d\s*_|\^(?:\{[^{}]*\}|\w)\^|[^\x00-\x7f]|\"|#|~|@|`|\?|\d\s*\\frac\{\d+\}\{\d+\}")
_REWRITTEN: list[tuple[re.Pattern[str], Any]] = [
    (re.compile(r"(\d+)\s*°"), r"(\\frac{\\pi\\cdot \1}{180})"),
    (re.compile(r"\\log(?!_)"), r"\\log_{10}"),
    (re.compile(r"(?<=[\d)])\s*\("), r"\\cdot ("),
    (re.compile(r"(?<![\\a-zA-Z])([a-eijkl-ost-zABCDEIJKL-ORSU-Z])\s*\("), r"\1\\cdot ("),
    (re.compile(rf"(\\(?:{_GREEK}))\s*\("), r"\1\\cdot ("),
    (re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}"), lambda match: " ".join(match[0])),
]


@lru_cache(maxsize=8192)
def expression(text: str) -> Any:
    """The sympy tree of a tidied `text`, unevaluated. Raises Unreadable."""
    if len(text) > 1000:
        raise Unreadable("too long an expression")
    if not text or _COMMAND.search(text):
        raise Unreadable(f"{text[:60]!r} is no expression")
    latex = _DECIMAL.sub(lambda m: rf"(\frac{{{int(m[1] + m[2])}}}{{{10 ** len(m[2])}}})", text)
    for pattern, replacement in _REWRITTEN:
        latex = pattern.sub(replacement, latex)
    for symbol, command in _SYMBOLS.items():
        latex = latex.replace(symbol, command)
    if r"\int" not in latex:
        latex = _DIFFERENTIAL.sub(r"d\\cdot ", latex)
    if _MISREAD.search(latex) or _AMBIGUOUS.search(text):
        raise Unreadable(f"{text[:60]!r} can be read in more than one way")
    try:
        tree = latex2sympy(
            latex, normalization_config=None, conversion_config=ConversionConfig(lowercase_symbols=False)
        )
    except Exception as error:  # it raises plain Exception
        raise Unreadable(f"{text[:60]!r} is no expression") from error
    if not isinstance(tree, sympy.Expr) or tree.has(sympy.nan, sympy.zoo):
        raise Unreadable(f"{text[:60]!r} is no expression")
    return tree


def equal(a: str, b: str) -> bool | None:
    """Whether the expressions `a` and `b` are equal; None if undecided. Raises Unreadable."""
    verdict = _equal(expression(a), expression(b))
    if r"\log" in a + b and verdict is not None:  # of base 10 or e: both must agree
        natural = _equal(expression(_natural(a)), expression(_natural(b)))
        return verdict if verdict is natural else None
    return verdict


def _natural(text: str) -> str:
    return re.sub(r"\\log(?!_)", r"\\ln", text)


def _equal(a: Any, b: Any) -> bool | None:
    if a == b:
        return True
    if a.has(*_INFINITE) or b.has(*_INFINITE):
        plain = [tree in _INFINITE or not tree.has(*_INFINITE) for tree in map(_signed, (a, b))]
        return _signed(a) == _signed(b) if all(plain) else None
    size = digits(a) + digits(b)
    if size > 30_000:
        if _primes(a) == _primes(b):
            return True
        return False if _agree(a, b, 70, least=0) is False else None
    return _agree(a, b, 70 + size)


_INFINITE = (sympy.oo, -sympy.oo)


def _signed(tree: Any) -> Any:
    return tree.doit() if tree.has(*_INFINITE) else tree


_STEEP = (sympy.exp, sympy.sinh, sympy.cosh, sympy.tanh)


@lru_cache(maxsize=8192)
def digits(tree: Any) -> int:
    """About how many digits, or leading zeros, the numbers in `tree` have when written out."""
    if tree.is_Rational:
        return int((tree.p.bit_length() + tree.q.bit_length()) * 0.302) + 1
    try:
        if isinstance(tree, sympy.Pow):
            return int(max(1, digits(tree.base)) * max(1, _size(tree.exp)))
        if isinstance(tree, sympy.factorial):
            n = _size(tree.args[0])
            return int(n * log10(max(n, 2)))
        if isinstance(tree, _STEEP):
            return int(_size(tree.args[0]))
    except (ArithmeticError, ValueError, TypeError):
        return 10**9
    return sum(digits(arg) for arg in tree.args if isinstance(arg, sympy.Expr))


def _size(tree: Any) -> float:
    """The absolute value of `tree` with its variables at their greatest in `points`."""
    with mpmath.workdps(20):
        return float(abs(value(tree, {symbol: mpmath.mpf(3) for symbol in tree.free_symbols})))


def _primes(tree: Any) -> Any:
    """`tree` with a positive symbol for each prime in a power of an integer: 4^500 and 2^1000 become equal."""
    if isinstance(tree, sympy.Pow) and tree.base.is_Integer and 1 < tree.base < 10**12:
        factors = sympy.factorint(tree.base)
        exponent = _primes(tree.exp)
        return sympy.Mul(*(sympy.Symbol(f"prime {p}", positive=True) ** (k * exponent) for p, k in factors.items()))
    if not tree.args or isinstance(tree, sympy.factorial):
        return tree if tree.is_number and not tree.args else sympy.Symbol(str(tree), positive=True)
    return tree.func(*map(_primes, tree.args))


def _agree(a: Any, b: Any, precision: int, least: int = 1) -> bool | None:
    """Whether `a` and `b` have the same value at every point, in `precision` digits; None if only some points agree, or
    too few have a value.

    A difference is relative to the greater of the two values, but at least to `least`. The first points are positive:
    expressions that differ at other points only, such as sqrt(x^2) and x, are undecided.
    """
    verdicts: list[bool | None] = []
    for point in points(a.free_symbols | b.free_symbols):
        try:
            verdict = _agree_at(a, b, point, precision, least)
        except (ArithmeticError, ValueError, TypeError, mpmath.libmp.NoConvergence):
            verdict = None
        if verdict is False and len(verdicts) < POSITIVE:
            return False
        verdicts.append(verdict)
    return True if verdicts.count(True) >= max(1, len(verdicts) - 2) and False not in verdicts else None


POSITIVE = 3
IMAGINARY = sympy.Symbol("i")


def points(symbols: Iterable[Any]) -> list[dict[Any, Any]]:
    """Three points with positive coordinates, then three of any sign; one empty point if there are no symbols."""
    ordered = sorted(set(symbols) - {IMAGINARY}, key=str)
    rng = random.Random(0)
    draws = [[rng.uniform(0.2, 3) for _ in ordered] for _ in range(2 * POSITIVE)]
    signed = draws[:POSITIVE] + [[-x if rng.random() < 0.7 else x for x in draw] for draw in draws[POSITIVE:]]
    return [dict(zip(ordered, map(mpmath.mpf, draw), strict=True)) for draw in signed] if ordered else [{}]


def _agree_at(a: Any, b: Any, point: dict[Any, Any], precision: int, least: int) -> bool | None:
    first = _difference(a, b, point, precision, least)
    if first is None:
        return True
    second = _difference(a, b, point, 2 * precision, least)
    if second is None:
        return True
    return False if abs(first - second) < abs(second) / 100 else None


def _difference(a: Any, b: Any, point: dict[Any, Any], precision: int, least: int) -> Any:
    """a - b, or None if it is only a rounding error."""
    with mpmath.workdps(precision):
        x, y = value(a, point), value(b, point)
        if not (mpmath.isfinite(x) and mpmath.isfinite(y)):
            raise ArithmeticError
        near = abs(x - y) <= mpmath.mpf(10) ** (15 - precision) * max(least, abs(x), abs(y))
        return None if near else x - y


@cache
def _functions() -> dict[Any, Any]:
    names = "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh asinh acosh atanh exp floor gamma"
    same = {getattr(sympy, name): getattr(mpmath, name) for name in names.split()}
    return same | {
        sympy.Abs: abs,
        sympy.ceiling: mpmath.ceil,
        sympy.factorial: mpmath.factorial,
        sympy.binomial: mpmath.binomial,
        sympy.Max: max,
        sympy.Min: min,
        sympy.UnevaluatedExpr: lambda x: x,
        sympy.log: lambda x, base=None: mpmath.log(x) if base is None else mpmath.log(x) / mpmath.log(base),
        sympy.Mod: lambda x, y: x - y * mpmath.floor(x / y),
        sympy.Add: lambda *args: mpmath.fsum(args),
        sympy.Mul: lambda *args: mpmath.fprod(args),
    }


def value(tree: Any, point: dict[Any, Any]) -> Any:
    """The value of `tree` at `point` in mpmath's working precision. Raises ArithmeticError, ValueError or TypeError."""
    if tree.is_Rational:
        return mpmath.mpf(int(tree.p)) / int(tree.q)
    if tree.is_Symbol:
        return mpmath.mpc(0, 1) if tree == IMAGINARY else +point[tree]
    if tree.is_NumberSymbol:
        return +{sympy.pi: mpmath.pi, sympy.E: mpmath.e, sympy.EulerGamma: mpmath.euler}[tree]
    if tree is sympy.I:
        return mpmath.mpc(0, 1)
    if isinstance(tree, (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative)):
        done = tree.doit()
        if done.func is tree.func:
            raise ValueError
        return value(done, point)
    args = [value(arg, point) for arg in tree.args]
    if isinstance(tree, sympy.Pow):
        return _power(*args)
    if isinstance(tree, sympy.factorial) and abs(args[0]) > 10**9:
        raise OverflowError
    if isinstance(tree, AppliedUndef):  # any function, but the same for the same name
        shift = mpmath.mpf(random.Random(str(tree.func)).random())
        return mpmath.fsum(mpmath.cos(shift + arg) + n * shift * arg * arg for n, arg in enumerate(args, 1))
    if tree.func not in _functions():
        raise ValueError
    return _functions()[tree.func](*args)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > 10**12:
        raise OverflowError
    if base.imag == 0 and base.real < 0 and isinstance(exponent, mpmath.mpf) and exponent != int(exponent):
        third = 1 / exponent
        if abs(third - mpmath.nint(third)) < mpmath.mpf(10) ** -40 and int(mpmath.nint(third)) % 2:
            return -mpmath.power(-base, exponent)  # the real root of odd order
    return mpmath.power(base, exponent)


@lru_cache(maxsize=8192)
def real(text: str) -> Any:
    """The value of `text` to 50 digits, possibly infinite. Raises Unreadable if it is not a real number."""
    tree = _signed(expression(text))
    if tree.has(AppliedUndef):
        raise Unreadable(f"{text[:60]!r} is no real number")
    if tree in _INFINITE:
        return mpmath.mpf("inf") * (1 if tree == sympy.oo else -1)
    try:
        with mpmath.workdps(100):
            result = value(tree, {})
            if result.imag == 0:
                return mpmath.mpf(mpmath.nstr(result.real, 50))
    except (ArithmeticError, ValueError, TypeError, KeyError):
        pass
    raise Unreadable(f"{text[:60]!r} is no real number")
