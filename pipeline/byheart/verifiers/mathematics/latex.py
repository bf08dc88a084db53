"""LaTeX and plain mathematics tidied into one notation, and the numbers in it.

Relations and other signs become single characters (≤ ± ∪ ∈ °, ⦃ ⦄ for the braces of a set, ¤ for a dollar), every
product sign becomes *, and text begins with ¦. Layout commands and commas between thousands are removed.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("−–‒﹣－", "-"),
        **dict.fromkeys("×·∙⋅∗✕", "*"),
        **dict.fromkeys("⩽≦", "≤"),
        **dict.fromkeys("⩾≧", "≥"),
        **dict.fromkeys("\u00a0\u2009\u202f\u2003\t\n\r", " "),
        **{digit: f"^{{{n}}}" for n, digit in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{digit: f"_{{{n}}}" for n, digit in enumerate("₀₁₂₃₄₅₆₇₈₉")},
        "÷": "/",
        "⁄": "/",
        **{
            letter: f"\\{name} "
            for letter, name in zip("πθαβλ", ("pi", "theta", "alpha", "beta", "lambda"), strict=True)
        },
        **{sign: "\\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", sign).split("⁄")) for sign in "½⅓⅔¼¾"},
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
    "equiv": "≡",
    "implies|(?:Long)?[Rr]ightarrow": "⇒",
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
        (r"(?<=\d)(?: ?\{ ?, ?\} ?|,?\\[!,;:]\s*|,\{\})(?=\d{3}(?!\d))", ""),
        (r"(?<=\d),\s+(?=\d)", ";"),  # 32, 349 is a list
        (r"(?<=\d)\s*(?:\.{3}|\\l?dots(?![a-zA-Z]))", "…"),
        (r'\\?"', ""),
        (r"\\(?:begin|end)\{(?:align|equation|gather|split)(?:ed)?\*?\}", " "),
        (r"(?:\\\\\s*)?&\s*(?==)", ""),
        (r"\\(?:left|right)\s*\.", ""),
        (r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|nolimits)(?![a-zA-Z])", ""),
        (r"(?<!\\)\\[()\[\]]|\$\$", " "),
        (r"(?<!\\)\\(?:[!,;:> ]|q?quad|(?:thinspace|enspace)(?![a-zA-Z]))|(?<!\\)~|\\[hv]space\*?\{[^{}]*\}", " "),
        (r"\{:\}", ":"),
        (r"\\[dtc]frac", r"\\frac"),
        (r"(?<![\w.}])(\d+(?:\.\d+)?)[eE]([-+]?\d+)(?!\w)", r"\1*10^{\2}"),
        (r"\\not\s*=|!=", "≠"),
        (r"(?<![a-zA-Z])union(?![a-zA-Z])", "∪"),
        (r"\{([a-zA-Z])\}(?=_)", r"\1"),
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
_SINGLE = re.compile(r"(?<!\\)(?:\\\\)*\\(?=[a-zA-Z])")
_DOUBLED = re.compile(r"\\\\(?=\\\\|[a-zA-Z()\[\]{},;!$%])|(?<=\\\\)\\\\")


def undoubled(text: str) -> str:
    """`text` with single backslashes, where all its commands have two, as in JSON that was read raw."""
    return text if "\\\\" not in text or _SINGLE.search(text) else _DOUBLED.sub(r"\\", text)


_THOUSANDS = re.compile(r"(?P<pair>[(\[⦃]-?\d{1,3}(?:,\d{3})+[)\]⦄])|(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])")
"""Numbers with commas; (12,102) is a pair."""


@lru_cache(maxsize=8192)
def tidy(text: str) -> str:
    """`text` in the notation of this file."""
    text = re.sub(r"(?<=\d)\s*([½⅓⅔¼¾])", r" \1", text).translate(_CHARACTERS).strip()
    if len(re.findall(r"(?<!\\)\$", text)) % 2:
        text = re.sub(r"(?<!\\)\$(?=-?[\d.])", r"\\$", text)
    text = re.sub(r"(?<!\\)\$", " ", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _THOUSANDS.sub(lambda match: match["pair"] or match[0].replace(",", ""), text)
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
