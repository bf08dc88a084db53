"""Equations are read where they are plain, and none is called false that is only a part of something else."""

import time
from fractions import Fraction

import pytest
from byheart.curation.equations import equations
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import settled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23 + 27 = 50, so it is 50.", [("23+27=50", True)]),
        ("7 x 8 = 54", [("7*8=54", False)]),
        ("2 + 3 = 5 = 4 + 1", [("2+3=5=4+1", True)]),
        ("2 + 3 = 5 + 4 = 9", [("2+3=5+4=9", False)]),
        ("(7 - 3) × 2 = 8; 8 ÷ 4 = 2", [("(7-3)*2=8", True), ("8/4=2", True)]),
        ("(so 2 + 3 = 5)", [("2+3=5", True)]),
        ("- 2 + 3 = 5\n1. 2 + 3 = 6\n2) 50 = 25 + 25", [("2+3=5", True), ("2+3=6", False), ("50=25+25", True)]),
        ("x = 2 + 3 = 6", [("2+3=6", False)]),
        ("23+27=<<23+27=50>>50", [("23+27=50", True)]),
        ("$5 * 3 = $15, \\(2 \\times 3 = 7\\), **1 + 1 = 2**", [("5*3=15", True), ("2*3=7", False), ("1+1=2", True)]),
        ("1,000 + 1 = 1,001; 1/2 + 1/3 = 5/6", [("1000+1=1001", True), ("1/2+1/3=5/6", True)]),
        ("4 - -3 = 7 apples, -5 - 3 = -8", [("4--3=7", True), ("-5-3=-8", True)]),
        ("2 + 3 = 5 => 5 * 2 = 10 --> 10 - 1 = 8", [("2+3=5", True), ("5*2=10", True), ("10-1=8", False)]),
        ("-(2 + 3) + 7 = 2, -(2 + 3) + 7 = 3", [("-(2+3)+7=2", True), ("-(2+3)+7=3", False)]),
        ("10 / 3 = 3.33, 10 / 3 = 3.34, 10 / 3 = 3", [("10/3=3.33", True), ("10/3=3.34", False), ("10/3=3", False)]),
        ("5 / 0 = 3", [("5/0=3", None)]),
        (f"{'9' * 40} + 1 = 2", [(f"{'9' * 40}+1=2", None)]),
        ("The sum of 2 and 3 = 2 + 3 = 5.", [("2+3=5", True)]),
        ("7 x 8 = 54 (seven times eight)", [("7*8=54", False)]),
        ("7 * 8 = 54 - that is it", [("7*8=54", False)]),
        ("- 3 + 5 = 2\n- 3 + 5 = 8\n - 3 + 5 = 9", [("-3+5=2", True), ("3+5=8", True), ("3+5=9", False)]),
        ("Step 1 - 10 + 5 = 15, Step 2 – 15 + 5 = 21", [("10+5=15", True), ("15+5=21", False)]),
        ("In the year 2020 - 20 + 5 = 2005; so 10 - 3 = 8", [("2020-20+5=2005", True), ("10-3=8", False)]),
    ],
)
def test_what_is_written_is_read_and_worked_out(text: str, expected: list[tuple[str, bool | None]]) -> None:
    assert equations(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("x + 3 = 5", "2x + 3 = 5", "2x - 3 = 5", "y - 3 = 5", "a3 + 1 = 5", "2 + 3 = 5x", "2 + 3 = 6 x", "x = 5"),
        *("half of 10 + 6 = 11", "20% of 50 + 3 = 13", "20% * 50 = 10", "100 * 3 / 4 = 75%", "17 mod 5 = 2"),
        *("2^3 + 1 = 9", "3 + 2^2 = 7", "2 ** 3 = 8", "5! = 120", "√9 + 1 = 4", "f(3) + 2 = 9", "|3 - 5| = 2"),
        *("7 / 2 = 3 remainder 1", "7 / 2 = 3 R1", "7 / 2 = 3 and a half", "3 * 100 = 3 hundred"),
        *("3:00 + 2 = 5:00", "10 - 2.5 = 7:30", "2 + 3 == 6", "2 != 1 + 3", "x += 2 = 3", "2 + 3 => 6"),
        *("3 apples + 4 apples = 8 apples", "5 = 6", "2 + 3 = ", "= 3 + 4", "2 3/4 + 1 = 5", "½ + 1 = 2", "5 (3) = 8"),
        *("pages 10-15 = 6 pages", "7 / 2 = 3 (rounded down)", "7 + 8 = 3 (mod 12)", "2 + 3 = 6 (n)", "2 + 3 = 6 (2)"),
        *("30 - 5 = 27 - discount", "2 + 3 = 6 - x", "7 / 2 = 3 (and a half)"),
    ],
)
def test_what_is_not_plain_is_left_alone(text: str) -> None:
    assert equations(text) == []


sums = st.recursive(
    st.integers(0, 999).map(lambda n: (str(n), Fraction(n))),
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(
        lambda three: (
            f"({three[0][0]} {three[1]} {three[2][0]})",
            {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__}[three[1]](three[0][1], three[2][1]),
        )
    ),
    max_leaves=6,
)


@settled
@given(sums, st.integers(-3, 3), st.sampled_from(["{}", "So {}.", "We get ({})!", "a\n{}\nb"]))
def test_an_equation_holds_exactly_where_both_sides_are_worth_the_same(
    expression: tuple[str, Fraction], off: int, around: str
) -> None:
    written, value = expression
    if len(written.split()) == 1:
        written, value = f"{written} + 1", value + 1
    read = equations(around.format(f"{written} = {value + off}"))
    assert [equation.true for equation in read] == [off == 0]
    assert read[0].text == f"{written} = {value + off}".replace(" ", "")


@settled
@given(st.text(st.sampled_from("0123456789+-*/()=.,:x× %\n$\\n{}<>an"), max_size=60) | st.text())
def test_no_text_is_too_strange(text: str) -> None:
    for equation in equations(text):
        assert "=" in equation.text
        assert not any(sign.isspace() for sign in equation.text)


@pytest.mark.parametrize(
    "text", ["1+", "(", "= ", "1 = ", "9", "1,000,", " ", "(=", "x 1 ", "((1+1)=", "-", "1*", "9*9=", ")", "1 x "]
)
def test_no_text_is_slow(text: str) -> None:
    began = time.process_time()
    equations(text * (100_000 // len(text)))
    assert time.process_time() - began < 3
