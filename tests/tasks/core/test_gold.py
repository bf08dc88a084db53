"""The gold answer that a cell means, or what to give instead."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy
import pytest
from byheart.tasks.core.gold import gold


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ("27", "27"),
        ("28.0", "28.0"),
        (" a b\n", " a b\n"),
        ("nan", "nan"),
        ("None", "None"),
        (27, "27"),
        (-3, "-3"),
        (28.0, "28"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e-05, "1e-05"),
        (6.02e23, "6.02e+23"),
        (2.0**52, "4503599627370496"),
        (2.0**53, "9007199254740992"),
        (-1e15, "-1000000000000000"),
        (numpy.int64(27), "27"),
        (numpy.float64(28.0), "28"),
        (numpy.float32(0.1), "0.1"),
        (numpy.float32(28.0), "28"),
        (Decimal("28.00"), "28"),
        (Decimal("12.50"), "12.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("12345678901234567890123456789.10"), "12345678901234567890123456789.1"),
    ],
    ids=repr,
)
def test_an_answer_is_what_its_column_meant(cell: Any, answer: str) -> None:
    assert gold(cell) == answer


@pytest.mark.parametrize("cell", [None, "", " \n", float("nan"), numpy.float32("nan"), Decimal("NaN")], ids=repr)
def test_an_empty_cell_has_no_answer(cell: Any) -> None:
    assert gold(cell) is None


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (["27"], r"\['27'\] is a list: several accepted answers; a verifier compares with one, so give one"),
        (["27", "27.0"], "several accepted answers"),
        ([], "several accepted answers"),
        (("a", "b"), "several accepted answers"),
        ({"text": ["27"], "answer_start": [0]}, "is an object with text, answer_start; give what is right alone"),
        (b"27", "b'27' is bytes; give text or a number"),
        (True, "is a truth value, which solutions write in words; give the word, such as yes, as text"),
        (float("inf"), "is infinite"),
        (float("-inf"), "is infinite"),
        (Decimal("Infinity"), "is infinite"),
        (date(2026, 1, 2), "is a date or a time, which can be written in several ways; give it as text"),
        (datetime(2026, 1, 2, tzinfo=UTC), "is a date or a time"),
        (time(12, 30), "is a date or a time"),
        (timedelta(hours=1), "is a date or a time"),
        (numpy.bool_(True), "is a bool; give text or a number"),
        (numpy.array([1, 2]), "is a ndarray; give text or a number"),
        (2j, "is a complex; give text or a number"),
    ],
    ids=repr,
)
def test_what_can_be_written_in_several_ways_is_refused_with_what_to_give(cell: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gold(cell)
