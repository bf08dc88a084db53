"""What other languages write otherwise: full-width letters and digits, the numerals of Chinese, Japanese and Korean,
and amounts like 1.000,99.
"""

from __future__ import annotations

import re
import unicodedata

CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""The letters of Chinese, Japanese and Korean, as ranges of a regular expression."""
_NARROW = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | str.maketrans(
    {"\u3000": " ", "。": ". ", "，": ", ", "、": ", ", "：": ": "}
)
_GROUP = re.compile("(?<=[0-9０-９])，(?=[0-9０-９]{3})")
_BORDER = re.compile(rf"(?<=[{CJK}])(?=[A-Za-z0-9$\\])|(?<=[A-Za-z0-9$%)}}])(?=[{CJK}])")
_HAN = "〇零一二两三四五六七八九十百千万萬亿億"
_NUMERAL = re.compile(
    rf"(?<![第分之几不负数])[{_HAN}]{{2,40}}(?![分点點多几余以{_HAN}])"
    r"|(?<=[是为為有は: ])[一二两三四五六七八九十](?=\W|$)|(?<![가-힣])[일이삼사오육칠팔구십백천만억]{2,40}"
)
_COUNTS = re.compile("[一二两三四五六七八九十]|[십백천]")
"""What is in a numeral, and seldom in other words."""
_SHORT = re.compile("[百千万萬亿億][一二两三四五六七八九]$")
"""一万五 is 15,000 in speech."""
_NUMERIC = str.maketrans("两兩일이삼사오육칠팔구십백천만억", "二二一二三四五六七八九十百千万億")


def half_width(text: str) -> str:
    """`text` with full-width letters, digits and signs as ASCII."""
    return text if text.isascii() else _GROUP.sub(",", text).translate(_NARROW)


def narrowed(text: str) -> str:
    """`text` in half-width, with spaces where Chinese, Japanese or Korean letters touch others."""
    return text if text.isascii() else _BORDER.sub(" ", half_width(text).replace("或", " or "))


def numerals_read(text: str) -> str:
    """The narrowed `text` with digits for the numerals of Chinese, Japanese and Korean: 三百二十 is 320."""
    return text if text.isascii() else _NUMERAL.sub(_in_digits, text)


def _in_digits(match: re.Match[str]) -> str:
    certain = _COUNTS.search(match[0]) and not _SHORT.search(match[0])
    return f" {_numeral(match[0].translate(_NUMERIC))} " if certain else match[0]


def _numeral(written: str) -> int:
    whole = below = digits = 0  # 十二万三百零五: 120000, 300, 5
    for character in written:
        size = int(unicodedata.numeric(character))
        if size < 10:
            digits = 10 * digits + size
        elif size < 10_000:
            below, digits = below + (digits or 1) * size, 0
        else:
            whole, below, digits = whole + (below + digits or 1) * size, 0, 0
    return whole + below + digits


AMOUNT = re.compile(
    r"([-+]?)(?:(\d{1,3})((?:[ \u00a0\u202f.'’]\d{3}){1,9})|(\d{1,2})((?:,\d\d){1,9},\d{3})|(\d{1,15})(?=,))"
    r"(?:[.,](\d{1,15}))?"
)


def foreign_amount(text: str) -> str | None:
    """An amount as some languages write it, 1 000, 1.000,99, 1'000 or 1,50,000, as a decimal; None if it is none."""
    match = AMOUNT.match(text.lstrip("¤€£$ "))
    if match is None:
        return None
    sign, first, groups, indian, more, plain, decimals = match.groups()
    whole = re.sub(r"\D", "", f"{first or indian or plain}{groups or more or ''}")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"
