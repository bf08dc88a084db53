"""The marked number is the answer, or else the last; and the tasks' own answers prove it."""

import math
from fractions import Fraction
from itertools import islice
from time import process_time
from timeit import timeit

import pytest
from byheart.tasks.arithmetic import Arithmetic
from byheart.tasks.times_table import TimesTable
from byheart.types import Judgement, Problem
from byheart.verifiers.number import Number
from hypothesis import given, settings
from hypothesis import strategies as st

settled = settings(deadline=None, max_examples=200)


def judged(gold: str | None, response: str, tolerance: float = 0.0) -> Judgement:
    return Number(tolerance=tolerance).verify(Problem.of("How many?", gold, "number"), response)


def read(text: str) -> str | None:
    return Number().extract(Problem.of("How many?", "1", "number"), text)


LAST = [
    ("50", "50"),
    ("So 23 + 27 = 50.", "50"),
    ("The answer is 50, as 20 + 30 = 50", "50"),
    ("**50**", "50"),
    ("\\boxed{50}", "50"),
    ("x=50", "50"),
    ("x \\approx 50", "50"),
    ("It is 50 apples", "50"),
    ("- 50", "-50"),
    ("\\left(50\\right)", "50"),
    ("50cm", "50"),
    ("50^\\circ", "50"),
    ("a total of 50 is right", "50"),
    ("not 40, so 50", "50"),
    ("\\frac {1}{2}", "1/2"),
    ("\\frac{1} {2}", "1/2"),
    ("\\cfrac{1}{2}", "1/2"),
    ("1\u22152", "1/2"),
    ("1\uff0f2", "1/2"),
    ("(50)", "50"),
    ("50 apples", "50"),
    ("50km", "50"),
    ("$50", "50"),
    ("50%", "50%"),
    ("50 °C", "50"),
    ("1,000", "1000"),
    ("1,234,567.", "1234567"),
    ("from 10, 20", "20"),
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
    ("3/4", "3/4"),
    ("007", "007"),
    ("50 is x2", "50"),
    ("x_1 = 5, x_2", "5"),
    ("-1 1/2", "-1 1/2"),
    ("\\frac{3}{4}", "3/4"),
    ("-2\\dfrac{3}{4}", "-2 3/4"),
    ("2½", "2 1/2"),
    ("50\\%", "50%"),
    ("50 percent", "50%"),
    ("1.2e3", "1.2e3"),
    ("1.2 × 10^{-3}", "1.2e-3"),
    ("1.2\\times 10^3", "1.2e3"),
    ("1{,}000", "1000"),
    ("3\\,000", "3000"),
    ("-$5", "-5"),
    ("\u20135", "-5"),
]


@pytest.mark.parametrize(("text", "number"), LAST)
def test_the_last_number_is_read(text: str, number: str) -> None:
    assert read(text) == number


MARKED = [
    ("#### 42", "42"),
    ("6 * 7 = 42\n#### 42\n", "42"),
    ("\\boxed{42}, for 6 * 7 is 42 and 5 * 7 is 35", "42"),
    ("\\boxed{41} no: \\boxed{42}. Or 43?", "42"),
    ("\\boxed{\\frac{1}{3}} of 9", "1/3"),
    ("<answer>42</answer> and 7", "42"),
    ("The answer is 42. I checked it 3 times.", "42"),
    ("The answer is 23 + 27 = 50 and that is all.\nAll 2 of it.", "50"),
    ("The answer is 3.5. I checked it 3 times.", "3.5"),
    ("**Answer:** 42\n\nIt has 2 digits.", "42"),
    ("Answer: 42\nThe final answer is \\boxed{43}, not 42", "43"),
    ("The answer is 5, not 6", "5"),
    ("The answer is 5 because 6 is too big", "5"),
    ("The answer is\n\\[\nx = 42\n\\]\nas 2 * 21 = 42.", "42"),
    ("\\boxed{x = 42\\text{ cm}}. Put it in \\boxed{}", "42"),
    ("The answer is clear: 6 * 7 = 42", "42"),
]


@pytest.mark.parametrize(("text", "number"), MARKED)
def test_the_last_mark_counts_more_than_the_last_number(text: str, number: str) -> None:
    assert read(text) == number


NEGATIVE = [
    *("The answer is - 5", "x = - 5", "- $5", "\u2212\u00a05", "-\\,5", "\u2212\u20095", "minus 5", "negative 5"),
    *("{-}5", "\u20125", "\u20155", "\u207b5", "-(5)", "$- 5"),
]


@pytest.mark.parametrize("text", NEGATIVE)
def test_a_minus_is_a_sign_where_nothing_stands_before_it(text: str) -> None:
    assert judged("5", text).score == 0.0
    assert judged("-5", text).score == judged("- 5", text).score == judged("\u2212 5", text).score == 1.0


PARTS = [
    # the last mark counts, and gives one number
    *("\\boxed{5} is wrong, so \\boxed{\\text{no solution}}", "The answer is 5. No. The answer is undefined."),
    *("The answer is 5 or 6", "\\boxed{5\\text{ or }6}", "\\boxed{(5, 6)}", "\\boxed{5 < x < 6}", "5 or 6"),
    *("The answer is x = 5 or x = 6", "\\boxed{x = 5, y = 6}", "\\boxed{(5, \\infty)}", "between 5 and 6"),
    *("\\boxed{\\frac{22}{7", "\\boxed{x = 5", "\\boxed{5}. So \\boxed{6", "The answer is easy to find. 2 + 3 = 5"),
    # denied or taken back
    *(
        "The answer is not 5",
        "the answer isn't 5",
        "\\boxed{\\text{not }5}",
        "\\boxed{x \\neq 5}",
        "x != 5",
        "x ≠ 5",
    ),
    *("It is not 5", "It is less than 5", "x > 5", "x \\leq 5", "5 is wrong", "anything but 5"),
    *("The answer is 5. No wait, it is 6.", "The answer is 6, but it could be 5", "\\boxed{5} Actually, 6"),
    # the end of an expression
    *("3-5", "3 - 5", "3 -5", "(3)-5", "3\u22125", "3\u20135", "2 * -5", "2*-5", "5--5", "1 - 3/4", "8 minus 5"),
    *(
        "The answer is 3-5",
        "5 ± 1",
        "1 \\pm 5",
        "1÷2",
        "1/2/2",
        "2 10/5",
        "3/4/2024",
        "x+5",
        "5+2i",
        "\\boxed{x+2}",
    ),
    *(
        "\\sqrt{5}",
        "\\boxed{\\sqrt{2}}",
        "\\frac{\\pi}{2}",
        "1\\over 2",
        "9^{1/2}",
        "x_{5}",
        "\\binom{10}{5}",
        "f(5)",
    ),
    *(
        "0.\\overline{5}",
        "\\frac{x}{5}",
        "\\sqrt[3]{5}",
        "2 ln 5",
        "|-5|",
        "square root of 5",
        "2**10",
        "2^10",
        "2^{11}",
        "3/0",
    ),
    # the beginning of one
    *("5²", "5\\pi", "5 pi", "5x", "5 x", "5i", "5k", "5e", "5K", "5π", "5√2", "101_2", "5(3)", "(5)^2"),
    *(
        "5 squared",
        "0x1F",
        "5:30",
        "\\boxed{5}^2",
        "\\boxed{5}\\text{ million}",
        "\\boxed{5} is wrong",
        "2.5...",
        "5 \\cdot x",
    ),
    # digits that are grouped otherwise
    *("100 000", "$100 000", "1 234", "1234,567", "10,20", "1,2345", "12,345,6789", "1.2.3"),
]


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("5", "The answer is 5!"),
        ("4e7", "The answer is 4 e7"),
        ("1000.99", "The total is 1.000,99."),
        ("12.5", "Each gets 12,5."),
        ("3500", "It costs 3 500 €."),
        ("1000", "Das macht 1'000 Franken."),
        ("150000", "The land is worth Rs 1,50,000."),
        ("12", "At 8 pages an hour, Leo needs 14 hours for the 96 pages of the 12 chapters."),
        ("3", "The train needs 4 hours to cover the 240 km, with 3 stops on the way."),
    ],
)
def test_what_may_be_the_answer_or_something_else_is_unjudged(gold: str, text: str) -> None:
    assert judged(gold, text)[0] is None
    assert judged("7", text)[0] == 0.0


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It was sold for $1.5 million.", "1.5e6"),
        ("5 billion", "5e9"),
        ("\\boxed{5\\text{ million}}", "5e6"),
        ("所以答案是２５。", "25"),
        ("因此，这本书一共有三百二十页。", "320"),
        ("这辆汽车的价格是十二万元。", "120000"),
        ("这台设备的价格是3.5万元。", "3.5e4"),
        ("这是一道两步计算题，答案是5。", "5"),
        ("答案是五。", "5"),
        ("二〇二四年", "2024"),
        ("一亿二千万", "120000000"),
        ("したがって、答えは１２３円です。", "123"),
        ("모두 합하면 1,200원입니다.", "1200"),
        ("모두 이십오 명입니다.", "25"),
        ("정답: 90명", "90"),
        ("만일 사이", None),
        ("一共", None),
        ("The smallest is 105, which is 3·5·7.", "105"),
        ("Antwort: 12", "12"),
    ],
)
def test_numbers_of_other_languages_and_in_words_are_read(text: str, answer: str | None) -> None:
    assert read(text) == answer


@pytest.mark.parametrize("text", PARTS)
def test_a_part_of_something_else_is_no_answer(text: str) -> None:
    assert read(text) is None
    for gold in ("0", "1", "2", "3", "5", "6", "7", "101", "234", "567", "-5", "3/4"):
        assert judged(gold, text)[:3] == (0.0, None, "no number is the answer")


NUMBERLESS = ["", "fifty", "x2", "H2O", "-", "\u2212", ",", ".", "a1b2"]


@pytest.mark.parametrize("text", NUMBERLESS)
def test_what_holds_no_number_is_wrong_and_says_so(text: str) -> None:
    assert read(text) is None
    assert judged("5", text)[:3] == (0.0, None, "no number is the answer")


COMPARED = [
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
    ("0.75", "3/4", True),
    ("3/4", "0.75", True),
    ("3/4", "6/8", True),
    ("\\frac{3}{4}", "75%", True),
    ("1.5", "1 1/2", True),
    ("-1.5", "-1 1/2", True),
    ("1200", "1.2 x 10^3", True),
    ("1/3", "0.333", False),
    ("21", "84/4", False),
    ("84/4", "21", True),
    ("84/4", "42/2", True),
    ("10", "2^10", False),
    ("2", "3/2", False),
    ("2", "2½", False),
    ("0", "3/0", False),
    ("50%", "50%", True),
    ("50%", "50 percent", True),
    ("50%", "0.5", True),
    ("50%", "1/2", True),
    ("50%", "50", True),
    ("50", "50%", True),
    ("0.5", "50%", True),
    ("0.5", "0.5%", False),
    ("0.5%", "0.5", False),
    ("50%", "5", False),
    ("50%", "5000", False),
    ("$1,000", "1000 dollars", True),
    ("42 km", "It is 42.", True),
    ("5", "1e999999999", False),
]


@pytest.mark.parametrize(("gold", "response", "right"), COMPARED)
def test_numbers_are_compared_exactly_and_by_value(gold: str, response: str, right: bool) -> None:
    judgement = judged(gold, response)
    assert judgement.score == float(right)
    assert (judgement.reason == "") is right


def test_a_tolerance_is_a_part_of_the_gold_answer() -> None:
    for gold, response, right in [("200", "202", True), ("200", "198", True), ("200", "202.01", False)]:
        assert judged(gold, response, tolerance=0.01).score == float(right)
    assert judged("1/3", "0.333", tolerance=0.001).score == 1.0
    assert judged("0", "0.001", tolerance=0.01).score == 0.0
    assert judged("-5", "5", tolerance=0.5).score == 0.0


BAD_GOLDS = [
    "",
    "fifty",
    "x",
    "nan",
    "inf",
    "3 or 4",
    "x2",
    "2^10",
    "3/0",
    "2\\pi",
    "5 pi",
    "5k",
    "5!",
    "1/2/2",
]


@pytest.mark.parametrize("gold", BAD_GOLDS)
def test_a_gold_answer_that_is_no_number_is_not_judged(gold: str) -> None:
    score, answer, reason, *_ = judged(gold, "50")
    assert (score, answer) == (None, None)
    assert f"the gold answer {gold!r} is not a number" in reason
    assert Number().unreadable(Problem.of("?", gold, "number")) == reason


def test_nothing_is_compared_with_no_gold_answer() -> None:
    assert judged(None, "50")[:3] == (None, None, "the problem has no gold answer")


def test_numbers_too_long_to_calculate_with_are_compared_as_text() -> None:
    long = "1" * 5000
    assert judged(long, long).score == 1.0
    assert judged(long, f"{int(long[:300]):,}").score == 0.0
    assert judged(long, long[:-1] + "2").score == 0.0
    assert judged("5", long).score == 0.0


@settled
@given(st.integers())
def test_a_number_at_the_end_of_a_sentence_is_right_and_its_neighbour_wrong(n: int) -> None:
    assert judged(str(n), f"so {n}.").score == 1.0
    assert judged(str(n), f"so {n + 1}.").score == 0.0
    assert judged(str(n), f"so {n:,} apples").score == 1.0


@settled
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_difference_with_its_result_is_read_as_the_result(a: int, b: int) -> None:
    for minus in ("-", "\u2212"):
        assert judged(str(a - b), f"{a} {minus} {b} = {a - b}".replace("-", minus)).score == 1.0
        assert read(f"{a} {minus} {b}") is None


@settled
@given(st.text(max_size=40), st.decimals(allow_nan=False, allow_infinity=False, places=3))
def test_words_before_the_number_do_not_matter(words: str, number: object) -> None:
    assert judged(str(number), f"{words}\n= {number}").score == 1.0


@settled
@given(st.integers(-(10**6), 10**6), st.integers(1, 999))
def test_a_fraction_is_its_value_and_no_other(a: int, b: int) -> None:
    value = Fraction(a, b)
    if math.gcd(a, b) < b:
        assert judged(f"{a}/{b}", f"so {value}").score == 1.0
        assert judged(f"{a}/{b}", f"\\boxed{{\\frac{{{a}}}{{{b}}}}}").score == 1.0
        assert judged(f"{a}/{b}", f"{a + 1}/{b}").score == 0.0
        assert judged(f"{a}/{b}", f"{value + 1}").score == 0.0
    if a:
        assert judged(f"{a}/{b}", f"{-a}/{b}").score == 0.0


@settled
@given(st.text(max_size=60), st.text(alphabet="0123456789 .,/-+%$\\{}fracboxedeE^×*½\u2212\n", max_size=60))
def test_no_text_makes_it_raise(text: str, hostile: str) -> None:
    for response in (text, hostile):
        for judgement in (judged("5", response), judged(response, "5")):
            assert (judgement.score == 1.0) == (judgement.reason == "")
        assert judged("5", response).score is not None


PATTERNS = [
    *(
        "1",
        ",",
        "-",
        "1,",
        "1,111",
        ",111",
        "-1",
        "1.",
        "1,111,",
        "\u2212 ",
        " -",
        "a1",
        "1/",
        "1/1/",
        "1 ",
        "1 1/",
        "1e",
    ),
    *("1e9 ", "1 x 10^", "1^", "1%", " %", ".", "+", "$", "\\", "{", "\\frac{", "1\\frac{1}{", "\\boxed{"),
    *("\\boxed{1}", "answer is ", "answer: 1 ", "<answer>", "####", "#### 1\n", "answer", "**Answer** ", "</answer>"),
]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_input_makes_it_slow(pattern: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four."""
    seconds = []
    for size in (12_500, 100_000):
        text = pattern * (size // len(pattern)) + "x"
        both = lambda response=text: (judged("5", response), judged(response, "5"))
        seconds.append(timeit(both, timer=process_time, number=1))  # without the garbage collector's own time
    assert seconds[1] < 1
    assert seconds[1] < 25 * max(seconds[0], 0.02)


def some_problems() -> list[Problem]:
    mixed = Arithmetic(digits=[1, 2, 9], operations=["+", "-", "*"])
    problems = [
        *islice(Arithmetic().problems(0), 250),
        *islice(mixed.problems(1), 250),
        *TimesTable().problems(0),
    ]
    assert len(problems) == 621
    return problems


def test_the_tasks_prove_themselves() -> None:
    problems = some_problems()
    for problem, other in zip(problems, [*problems[1:], problems[0]], strict=True):
        gold = problem.answer
        assert gold is not None
        assert judged(gold, gold).score == 1.0
        assert judged(gold, f"The answer is {gold}.").score == 1.0
        a, b, op = problem.meta["a"], problem.meta["b"], problem.meta.get("op", "times")
        assert judged(gold, f"{a} {op} {b} = {gold}").score == 1.0
        number, digits = int(gold), gold.removeprefix("-")
        swapped = int(digits[:-2] + digits[:-3:-1]) * (-1 if number < 0 else 1)
        for answer in {number + 1, number - 1, -number, swapped, int(str(other.answer))} - {number}:
            assert judged(gold, f"The answer is {answer}.").score == 0.0


@pytest.mark.parametrize(
    ("gold", "text"),
    [
        ("320", "答案是三百二十分之一"),
        ("12", "答案是十二点五"),
        ("15", "答案是第十五"),
        ("20", "答案是二十多"),
        ("100", "答案是不到一百"),
        ("5", "答案是5千"),
        ("5", "5百万"),
        ("5", "5万5千"),
        ("5", "三分之5"),
        ("5", "答案是5不对"),
        ("5", "答えは5ではない"),
        ("5", "정답은 5가 아니다"),
        ("30", "答案是百分之三十"),
        ("10005", "一万五"),
    ],
)
def test_words_of_other_languages_that_change_a_number_are_heeded(gold: str, text: str) -> None:
    assert judged(gold, text)[0] != 1.0
