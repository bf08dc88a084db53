"""Units of measurement: which words are units, which mean the same, and their conversion."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_IN_BASE = {
    # length in metres
    "m": ("length", "1"), "mm": ("length", "1/1000"), "cm": ("length", "1/100"), "dm": ("length", "1/10"),
    "km": ("length", "1000"), "in": ("length", "0.0254"), "ft": ("length", "0.3048"), "yd": ("length", "0.9144"),
    "mi": ("length", "1609.344"),
    # mass in grams
    "g": ("mass", "1"), "mg": ("mass", "1/1000"), "kg": ("mass", "1000"), "lb": ("mass", "453.59237"),
    "oz": ("mass", "28.349523125"),
    # time in seconds
    "s": ("time", "1"), "ms": ("time", "1/1000"), "min": ("time", "60"), "h": ("time", "3600"),
    "day": ("time", "86400"), "week": ("time", "604800"),
    # volume in litres
    "L": ("volume", "1"), "mL": ("volume", "1/1000"),
    # and what has only itself, or its hundredth
    "dollar": ("dollar", "1"), "cent": ("dollar", "1/100"), "euro": ("euro", "1"), "sterling": ("sterling", "1"),
    "%": ("share", "1/100"), "°": ("angle", "1"), "rad": ("radian", "1"), "°C": ("celsius", "1"),
    "°F": ("fahrenheit", "1"), "K": ("kelvin", "1"), "J": ("joule", "1"), "N": ("newton", "1"), "W": ("watt", "1"),
    "V": ("volt", "1"), "Hz": ("hertz", "1"), "Pa": ("pascal", "1"), "unit": ("unit", "1"),
}  # fmt: skip
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
"""Words of size -> the power of ten."""
_SPELLED = {
    "m": "meter metre", "mm": "millimeter millimetre", "cm": "centimeter centimetre", "km": "kilometer kilometre",
    "dm": "decimeter decimetre", "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "g": "gram",
    "mg": "milligram", "kg": "kilogram", "lb": "pound", "oz": "ounce", "s": "second sec", "ms": "millisecond",
    "min": "minute", "h": "hour hr", "L": "liter litre l", "mL": "ml milliliter millilitre", "dollar": "usd buck",
    "euro": "eur", "°": "degree deg", "rad": "radian", "J": "joule", "N": "newton", "W": "watt", "V": "volt",
    "Hz": "hertz", "Pa": "pascal",
}  # fmt: skip
_NAMES = {name: name for name in _IN_BASE} | {word: name for name, words in _SPELLED.items() for word in words.split()}
# Words after a number that change the number or the statement, and so are not units.
_NO_UNIT = re.compile(
    "and|or|not|but|to|times|plus|minus|over|of|out|squared|cubed|factorial|half|halves|(?:third|quarter|fifth|sixth|eighth"
    "|tenth|hundred|thousand|million|billion|trillion)s?|dozen|more|less|fewer|than|mod|modulo|log|sin|cos|tan|sqrt|root|power"
    "|divided|by|multiplied|choose|if|when|where|while|except|unless|for|with|without|from|between",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def measure(text: str) -> tuple[tuple[tuple[str, int], ...], Fraction] | None:
    """The dimension of a unit, as powers of kinds, and its size in their base units; None if it is not known."""
    text = re.sub(r"\bper\b", "/", text.replace("¦", " ")).replace("mph", "mi/h")
    text = re.sub(r"\b(?:sq|square)\.? (\w+)", r"\1^{2}", re.sub(r"\b(?:cu|cubic) (\w+)", r"\1^{3}", text))
    powers: dict[str, int] = {}
    factor = Fraction(1)
    for side, part in enumerate(text.split("/")):
        for word in re.split(r"[ *]+", part.strip()):
            match = re.fullmatch(r"(°[CF]?|%|[A-Za-z]+)\.?(?:\^\{(-?\d)\})?", word)
            name = match and (
                _NAMES.get(match[1]) or _NAMES.get(match[1].lower()) or _NAMES.get(_singular(match[1].lower()))
            )
            if not match or not name:
                return None
            kind, amount = _IN_BASE[name]
            power = int(match[2] or 1) * (-1 if side else 1)
            powers[kind] = powers.get(kind, 0) + power
            factor *= Fraction(amount) ** power
    return tuple(sorted(powers.items())), factor


def known(text: str) -> bool:
    """Whether `text` is a known unit."""
    return measure(text) is not None


def plausible(text: str) -> bool:
    """Whether `text` reads as something that is counted: apples, red balls."""
    words = text.replace("¦", " ").split()
    return 0 < len(words) <= 3 and all(
        re.fullmatch(r"[A-Za-z]{3,}", word) and not _NO_UNIT.fullmatch(word) for word in words
    )


def same_words(a: str, b: str) -> bool:
    """Whether two units differ by no more than a plural."""
    return [_singular(word) for word in a.lower().split()] == [_singular(word) for word in b.lower().split()]


def _singular(word: str) -> str:
    return word.removesuffix("s") if len(word) > 2 else word
