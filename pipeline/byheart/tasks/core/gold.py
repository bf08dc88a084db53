"""The gold answer in a cell of somebody's table: the text that its column means, or why it means none.

Text stays as it is. A number is written as people write it: 28.0 is 28, since a column of whole numbers becomes one of
floats where a cell is empty. What could be written in several ways is refused, with what to give instead: a solution
that says the same in other words would be wrong.
"""

from __future__ import annotations

import math
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from byheart.errors import described


def gold(value: Any) -> str | None:
    """The gold answer that `value` is, None where the cell is empty. Raises ValueError, with what to give, where it is
    neither text nor a number."""
    if value is None or isinstance(value, str):
        return value if value and value.strip() else None
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal) or (isinstance(value, Real) and not isinstance(value, bool)):
        return _number(value)
    raise ValueError(f"the answer {value!r:.60} {_refusal(value)}")


def _number(value: Decimal | Real) -> str | None:
    """As short as it can be written; None for NaN, by which tables say that a cell is empty."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise ValueError("the answer is infinite, as numbers of more than 308 digits are read: give it as text")
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    shortest = float(str(value))  # of a NumPy float of 32 bits, which has fewer digits than it would have in 64
    return repr(shortest + 0.0).removesuffix(".0")  # -0.0 + 0.0 is 0.0


def _refusal(value: object) -> str:
    match value:
        case list() | tuple() | set():
            return "is a list: several accepted answers; a verifier compares with one, so give one, as text or a number"
        case dict():
            return f"is an object with {', '.join(map(str, value))}; give what is right alone, as text or a number"
        case bytes():
            return "is bytes; give text or a number"
        case bool():
            return "is a truth value, which solutions write in words; give the word, such as yes, as text"
        case date() | time() | timedelta():
            return "is a date or a time, which can be written in several ways; give it as text"
    return f"is {described(value)}; give text or a number"
