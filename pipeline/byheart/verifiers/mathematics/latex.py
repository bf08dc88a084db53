"""LaTeX and plain mathematics tidied into one notation, and the numbers in it.

Relations and other signs become single characters (≤ ± ∪ ∈ °, ⦃ ⦄ for the braces of a set, ¤ for a dollar), every
product sign becomes *, and text begins with ¦. Layout commands and commas between thousands are removed.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–‒﹣－", "-"),
        **dict.fromkeys("×·∙⋅∗✕", "*"),
        **dict.fromkeys("\u00a0\u2009\u202f\u2003\t\n\r", " "),
        **{digit: f"^{{{n}}}" for n, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{digit: f"_{{{n}}}" for n, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
        "÷": "/",
        "⁄": "/",
        "，": ",",
        "π": "\\pi ",
        "θ": "\\theta ",
        "α": "\\alpha ",
        "β": "\\beta ",
        "λ": "\\lambda ",
        "½": "\\frac{1}{2}",
        "⅓": "\\frac{1}{3}",
        "⅔": "\\frac{2}{3}",
        "¼": "\\frac{1}{4}",
        "¾": "\\frac{3}{4}",
        "√": "\\sqrt ",
        "ℝ": "\\mathbb{R}",
        "ℤ": "\\mathbb{Z}",
        "’": "'",
        "º": "°",
        "⟨": "(",
        "⟩": ")",
    }
)
_SIGNS = {
    "times|cdot|ast": "*",
    "div": "/",
    "leq?|leqslant|leqq": "≤",
    "geq?|geqslant|geqq": "≥",
    "lt": "<",
    "gt": ">",
    "neq?": "≠",
    "in": "∈",
    "cup|bigcup": "∪",
    "cap": "∩",
    "infty": "∞",
    "emptyset|varnothing": "∅",
    "pm": "±",
    "mp": "∓",
    "approx|simeq": "≈",
    "mid|vert|lvert|rvert": "|",
    "lbrace": "⦃",
    "rbrace": "⦄",
    "langle|lparen": "(",
    "rangle|rparen": ")",
    "lbrack": "[",
    "rbrack": "]",
    "setminus|backslash|smallsetminus": "∖",
    "degree": "°",
    "percent": "%",
    "colon": ":",
}
COMMANDS = (
    "sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|arcsin|arccos|arctan|pi|theta|alpha|beta|gamma|lambda|omega|sigma|phi"
)
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [
        (r"(?<=\d)(?:\{,\}|,?\\[!,;:]\s*|,\{\})(?=\d{3}(?!\d))", ""),
        (r"\\(?:left|right)\s*\.", ""),
        (r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits)(?![a-zA-Z])", ""),
        (r"(?<!\\)\\[()\[\]]|\$\$", " "),
        (r"(?<!\\)\\(?:[!,;:> ]|(?:q?quad|thinspace|enspace)(?![a-zA-Z]))|(?<!\\)~|\\[hv]space\*?\{[^{}]*\}", " "),
        (r"\{:\}", ":"),
        (r"\\[dtc]frac", r"\\frac"),
        (r"(?<![\w.}])(\d+(?:\.\d+)?)[eE]([-+]?\d+)(?!\w)", r"\1*10^{\2}"),
        (r"\\not\s*=", "≠"),
        (r"\\(?:boxed|fbox|ensuremath|mathop|operatorname\*?)\{([^{}]*)\}", r"\1"),
        (
            r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|normal)|mbox|hbox|bm|boldsymbol)\s*\{([^{}]*)\}",
            r"¦\1 ",
        ),
        (r"\^\s*\{?\s*\\(?:circ|degree)(?![a-zA-Z])\s*\}?", "°"),
        (r"\\%", "%"),
        (r"\\\{", "⦃"),
        (r"\\\}", "⦄"),
        (r"\\\||\\parallel(?![a-zA-Z])", "‖"),
        (r"\\\$", "¤"),
        *((rf"\\(?:{names})(?![a-zA-Z])", sign) for names, sign in _SIGNS.items()),
        (r"<=", "≤"),
        (r">=", "≥"),
        (r"\+/-", "±"),
        (r"(?<=[\w)])\s*\*\*\s*(?=[\w(-])", "^"),
        (r"\*\*|`", ""),
        (rf"(?<![\\a-zA-Z])({COMMANDS})(?![a-zA-Z])", r"\\\1 "),
        (r"(?<![\\a-zA-Z])(?:[iI]nfinity|inf)(?![a-zA-Z])", "∞"),
        (r"(?<![\\a-zA-Z])[dD]egrees?(?= [CF]\b|\s*(?:[Cc]elsius|[Ff]ahrenheit))\s*", "°"),
        (r"°\s*(?:[Cc]elsius)", "°C"),
        (r"°\s*(?:[Ff]ahrenheit)", "°F"),
        (r"\s*(?<![\\a-zA-Z])(?:percentage|percent|pct)(?![a-zA-Z])", "%"),
        (r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\w)\s*\{", r"\\frac{\1}{"),
        (r"(\\frac\s*\{[^{}]*\})\s*(\w)", r"\1{\2}"),
        (r"\\sqrt\s*(\w)", r"\\sqrt{\1}"),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\^\s*(-?\d+(?:\.\d+)?)", r"^{\1}"),
        (r"_\s*(\w)", r"_{\1}"),
        (r"\^\s*\(([^()]*)\)", r"^{\1}"),
        (r"\s+", " "),
        (r"(?<![\w.]) | (?![\w\\.])|(?<=[ ¦]) |(?<=\d) (?=\\)|(?<=\\ )(?=\\)", ""),
    ]
]
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PAIR_OF_NUMBERS = re.compile(r"[(\[⦃]-?\d{1,3}(?:,\d{3})+[)\]⦄]")


@lru_cache(maxsize=8192)
def tidy(text: str) -> str:
    """`text` in the notation of this file."""
    text = re.sub(r"(?<=\d)\s*([½⅓⅔¼¾])", r" \1", text).translate(_CHARACTERS).strip()
    if len(re.findall(r"(?<!\\)\$", text)) % 2:
        text = re.sub(r"(?<!\\)\$(?=-?[\d.])", r"\\$", text)
    text = re.sub(r"(?<!\\)\$", " ", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    if not _PAIR_OF_NUMBERS.fullmatch(text):
        text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    return text.lstrip(" ¦,;:").rstrip(" ¦,;:\\").removesuffix(".").rstrip(" ¦,;:\\")


_NUMBER = re.compile(
    r"([-+]?)(?:(\d+\.?\d*|\.\d+)|(?:(\d+) )?(\d+)/(\d+)|(\d*)\\frac\{(-?\d+)\}\{(\d+)\}"
    r"|(\d*)\.(\d*)\\overline\{(\d+)\})"
)


def number(text: str) -> Fraction | None:
    """The value of an integer, a decimal, a fraction or a mixed number; None for anything else."""
    match = _NUMBER.fullmatch(text) if len(text) < 2000 else None
    if match is None:
        return None
    sign, decimal, whole, top, bottom, *rest = match.groups()
    if decimal:
        size = Fraction(decimal.rstrip("."))
    elif rest[5]:
        size = _repeating(*rest[3:])
    else:
        whole, top, bottom = (whole, top, bottom) if bottom else rest[:3]
        if int(bottom) == 0 or (whole and not 0 < int(top) < int(bottom)):
            return None
        size = int(whole or 0) + Fraction(int(top), int(bottom))
    return -size if sign == "-" else size


def _repeating(whole: str, fixed: str, repeated: str) -> Fraction:
    scale = 10 ** len(fixed)
    return Fraction(int((whole + fixed) or 0), scale) + Fraction(int(repeated), scale * (10 ** len(repeated) - 1))
