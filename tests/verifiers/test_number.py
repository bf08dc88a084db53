"""The last number is the answer; and the tasks' own answers prove it."""

import time
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tasks import arithmetic, times_table
from pipeline.types import Problem
from pipeline.verifiers.number import last_number, verify

settled = settings(deadline=None, max_examples=200)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("50", "50"),
        ("So 23 + 27 = 50.", "50"),
        ("The answer is 50, as 20 + 30 = 50", "50"),
        ("50!", "50"),
        ("**50**", "50"),
        ("\\boxed{50}", "50"),
        ("x=50", "50"),
        ("(50)", "50"),
        ("50 apples", "50"),
        ("50km", "50"),
        ("$50", "50"),
        ("50%", "50"),
        ("50 °C", "50"),
        ("1,000", "1000"),
        ("1,234,567.", "1234567"),
        ("from 10, 20", "20"),
        ("10,20", "20"),
        ("1,2345", "2345"),
        ("12,345,6789", "6789"),
        ("7.50", "7.50"),
        ("1,234.5 m", "1234.5"),
        ("0.5", "0.5"),
        (".5", ".5"),
        ("-.5", "-.5"),
        ("7.", "7"),
        ("7.\n", "7"),
        ("-5", "-5"),
        ("= -5", "-5"),
        ("=-5", "-5"),
        ("it is -5.", "-5"),
        ("(-5)", "-5"),
        ("$-5", "-5"),
        ("\u22125", "-5"),
        ("3 \u2212 8 = \u22125", "-5"),
        ("3 - 8", "8"),
        ("3-8", "8"),
        ("3 -8", "8"),
        ("(3)-8", "8"),
        ("3\u22128", "8"),
        ("2 * -3", "-3"),
        ("2*-3", "-3"),
        ("5--3", "-3"),
        ("3/4", "4"),
        ("007", "007"),
        ("50 is x2", "50"),
        ("x_1 = 5, x_2", "5"),
    ],
)
def test_the_last_number_is_read(text: str, number: str) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize("text", ["", "fifty", "x2", "H2O", "-", "\u2212", ",", ".", "a1b2"])
def test_what_holds_no_number_is_wrong_and_says_so(text: str) -> None:
    assert last_number(text) is None
    assert verify("5", text) == (0.0, None, "no number in the response")


@pytest.mark.parametrize(
    ("gold", "response", "right"),
    [
        ("7.5", "7.50", True),
        ("1000", "1,000", True),
        ("1,000", "1000", True),
        ("5", "+5", True),
        ("5", "5.0", True),
        ("-5", "\u22125", True),
        ("7", "007", True),
        ("0", "-0", True),
        ("5", "-5", False),
        ("-5", "5", False),
        ("0.3333", "0.333", False),
        ("50", "50.01", False),
        ("50", "50 or 51", False),
        ("9007199254740993", "9007199254740992", False),
        ("0.1", "0.1000000000000000055", False),
    ],
)
def test_numbers_are_compared_exactly_and_by_value(gold: str, response: str, right: bool) -> None:
    judgement = verify(gold, response)
    assert judgement.score == float(right)
    assert (judgement.reason == "") is right


@pytest.mark.parametrize("gold", ["", "fifty", "x", "nan", "inf"])
def test_a_gold_answer_that_is_no_number_is_not_judged(gold: str) -> None:
    score, answer, reason = verify(gold, "50")
    assert (score, answer) == (None, None)
    assert f"the gold answer {gold!r} is not a number" in reason


@settled
@given(st.integers())
def test_a_number_at_the_end_of_a_sentence_is_right_and_its_neighbour_wrong(n: int) -> None:
    assert verify(str(n), f"so {n}.").score == 1.0
    assert verify(str(n), f"so {n + 1}.").score == 0.0
    assert verify(str(n), f"so {n:,} apples").score == 1.0


@settled
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_difference_with_its_result_is_read_as_the_result(a: int, b: int) -> None:
    for minus in ("-", "\u2212"):
        assert verify(str(a - b), f"{a} {minus} {b} = {a - b}".replace("-", minus)).score == 1.0
        assert last_number(f"{a} {minus} {b}") == str(b)


@settled
@given(st.text(max_size=40), st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_words_before_the_number_do_not_matter(words: str, number: object) -> None:
    assert verify(str(number), f"{words}\n= {number}").score == 1.0


@pytest.mark.parametrize(
    "text",
    [
        *("1" * 10**6, "," * 10**6, "-" * 10**6, "1," * 500_000, "1,111" * 200_000, ",111" * 250_000, "-1" * 500_000),
        *("1." * 500_000, "1,111," * 160_000 + "x", "\u2212 " * 500_000, " -" * 500_000 + "x", "a1" * 500_000),
    ],
    ids=lambda text: text[:8],
)
def test_a_million_hostile_characters_take_less_than_a_second(text: str) -> None:
    began = time.process_time()
    verify("5", text)
    assert time.process_time() - began < 1


def some_problems() -> list[Problem]:
    mixed = arithmetic.Options(name="arithmetic", digits=[1, 2, 9], operations=["+", "-", "*"])
    found = [
        *islice(arithmetic.problems(arithmetic.Options(name="arithmetic"), 0), 250),
        *islice(arithmetic.problems(mixed, 1), 250),
        *times_table.problems(times_table.Options(name="times_table"), 0),
    ]
    assert len(found) == 621
    return found


def test_the_tasks_prove_themselves() -> None:
    found = some_problems()
    for problem, other in zip(found, [*found[1:], found[0]], strict=True):
        gold = problem.answer
        assert gold is not None
        assert verify(gold, gold).score == 1.0
        assert verify(gold, f"The answer is {gold}.").score == 1.0
        a, b, op = problem.meta["a"], problem.meta["b"], problem.meta.get("op", "times")
        assert verify(gold, f"{a} {op} {b} = {gold}").score == 1.0
        number, digits = int(gold), gold.removeprefix("-")
        swapped = int(digits[:-2] + digits[:-3:-1]) * (-1 if number < 0 else 1)
        for answer in {number + 1, number - 1, -number, swapped, int(str(other.answer))} - {number}:
            assert verify(gold, f"The answer is {answer}.").score == 0.0
