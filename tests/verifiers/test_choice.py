"""One option, by its letter or its text; who names two has not answered."""

from functools import partial
from string import ascii_uppercase
from time import process_time
from timeit import timeit

import pytest
from byheart.types import Judgement, Problem
from byheart.verifiers.choice import Choice
from hypothesis import given, settings
from hypothesis import strategies as st

settled = settings(deadline=None, max_examples=200)
CITIES = {"A": "London", "B": "Paris", "C": "New Paris", "D": "a dog"}
PATTERNS = [
    "A",
    "A ",
    "(A)",
    "A or ",
    "Paris ",
    "New ",
    "New Paris",
    "not ",
    "is A",
    "'s ",
    "**",
    "(",
    "A.",
    "A\n",
    " ",
]
PATTERNS += ["answer is A ", "answer is ", "because ", "\\boxed{", "\\boxed{A}", "-", "\n", ". "]


def problem(gold: str | None, choices: object = CITIES) -> Problem:
    return Problem.of("Which?", gold, "choice", {} if choices is None else {"choices": choices})


def judged(gold: str | None, response: str, choices: object = CITIES) -> Judgement:
    return Choice().verify(problem(gold, choices), response)


NAMED = [
    *(
        "option b",
        "B is correct.",
        "I would choose B",
        "The answer must be B.",
        "That leaves B.",
        "My pick is B — a guess.",
    ),
    *(
        "A is wrong and C is wrong, so B.",
        "It cannot be A or C, which leaves B.",
        "Of all, only B fits; A comes close.",
    ),
    *(
        "故选：Ｂ。",
        "答案：（B）",
        "正解は（Ｂ）です。",
        "정답은 B입니다.",
        "只有选项B是对的。",
        "La respuesta es B.",
        "Antwort: B",
    ),
    *(
        "B",
        "b",
        "(B)",
        "B.",
        "b.",
        "**B**",
        "\\boxed{B}",
        "\\boxed{\\text{B}}",
        "#### B",
        "<answer>B</answer>",
        "$B$",
    ),
    *("B) Paris", "B. Paris", "B: Paris", "(B) Paris", "**B) Paris**", "B, because it is big", "B\nIt is big."),
    *("Paris", "paris", "Paris.", "It is Paris.", "Paris is the capital of France."),
    *("Option B", "I choose option B, as it is big.", "It's B.", "So it is B", "My choice B stands"),
    *(
        "The answer is B",
        "The answer is B.",
        "The answer is (B).",
        "The answer is b.",
        "Answer: B",
        "**Answer: B**",
    ),
    *(
        "The answer is Paris.",
        "The answer is B. Paris",
        "The correct answer is: B) Paris",
        "The answer is option B",
    ),
    *("The answer is B because London is in England", "The answer is B, not A", "It isn't A. The answer is B"),
    *("A) London - no\nB) Paris - yes\n\nThe answer is B", "First A, then C. The answer is B.\nIt was not A."),
    *("The answer is A. No: the answer is B.", "\\boxed{A}, or rather \\boxed{B}", "A is wrong. The answer is B"),
]


@pytest.mark.parametrize("response", NAMED)
def test_one_option_is_an_answer(response: str) -> None:
    assert judged("B", response)[:3] == (1.0, "B", "")
    assert judged("A", response)[:3] == (0.0, "B", "B is not A")
    assert Choice().extract(problem("A"), response) == "B"


SEVERAL = [
    *("A or B", "either A or B", "A and B", "A/B", "A, B", "(A) or (B)", "A or Paris", "both A and B", "A & B"),
    *("London and Paris", "London or Paris", "B) London", "The answer is A or B", "The answer is B) London"),
    *("The answer is either London or Paris.", "\\boxed{A, B}", "The answer is B and C", "Answer: A/B"),
    *("A) London\nB) Paris", "A\nB", "**A**\n**B**", "B\nA", "Answer:\nA) London\nB) Paris", "\\boxed{A\nB}"),
    *("The answer is B. Actually, I think A.", "<answer>B</answer> Hmm, but A is the correct one"),
    "The answer is A. No, wait: Paris",
]


@pytest.mark.parametrize("response", SEVERAL)
def test_two_options_are_none(response: str) -> None:
    for gold in "AB":
        score, answer, reason, *_ = judged(gold, response)
        assert (score, answer) == (0.0, None)
        assert "more than one option" in reason


UNNAMED = [
    *(
        "",
        "all of the above",
        "none of these",
        "I do not know",
        "vitamin C",
        "E",
        "Parisian",
        "The answer is not B",
        *("The answer is not a dog", "is no dog", "anything other than Paris", "certainly not the big London"),
        *("hardly London", "anything but B", "none of them, B included", "\\boxed{\\neg B}", "¬B", "~B", "!B"),
        *("The answer is anything but B", "\\boxed{B} no, \\boxed{\\text{neither}}", "\\boxed{\\text{B"),
    ),
    *("a cat", "A cat is here", "The answer is a cat", "The answer is A cat", "I like it", "BA", "-B"),
]


def test_an_option_that_is_named_by_number_is_unjudged() -> None:
    assert judged("B", "Option 2 is the right one.")[0] is None
    assert judged("2", "Option 2 is the right one.", {"1": "London", "2": "Paris"})[0] == 1.0


@pytest.mark.parametrize("response", UNNAMED)
def test_what_names_no_option_is_wrong_and_says_so(response: str) -> None:
    for gold in CITIES:
        assert judged(gold, response)[:3] == (0.0, None, "no option is named")


WORDS = [("The answer is A dog", "D"), ("a dog", "D"), ("A dog is here.", "D"), ("a", "A"), ("New Paris", "C")]


@pytest.mark.parametrize(("response", "label"), WORDS)
def test_words_are_told_from_letters_and_long_texts_from_short_ones(response: str, label: str) -> None:
    assert Choice().extract(problem("A"), response) == label


def test_labels_may_be_digits() -> None:
    choices = {"1": "4", "2": "8", "3": "2", "4": "nine"}
    for response, label in [
        ("2", "2"),
        ("(2)", "2"),
        ("8", "2"),
        ("The answer is 2.", "2"),
        ("2) 8", "2"),
        ("nine", "4"),
    ]:
        assert judged(label, response, choices).score == 1.0
    for response in ("-2", "2.5", "The answer is 2 apples", "The answer is 2.5", "1 or 2", "22"):
        assert judged("2", response, choices).score == 0.0


WITHIN = [
    *(({"A": "5", "B": "10"}, text) for text in ("The answer is 5.5", "-5", "5/6", "1,5", "3-5", "5%", "5²")),
    ({"A": "5", "B": "15"}, "1.5"),
    ({"A": "102", "B": "20"}, "10²"),
]


@pytest.mark.parametrize(("choices", "response"), WITHIN)
def test_a_text_within_another_number_is_no_option(choices: dict[str, str], response: str) -> None:
    assert judged("A", response, choices)[:3] == (0.0, None, "no option is named")


def test_options_that_differ_in_a_sign_are_told_apart() -> None:
    for texts in (["102", "10²"], ["5", "-5"], ["5", "5.5"], ["1", "1/2"], ["5", "5%"]):
        for label, text in zip("AB", texts, strict=True):
            assert Choice().extract(problem("A", texts), f"The answer is {text}.") == label


def test_a_list_of_texts_has_letters_in_its_order() -> None:
    assert judged("B", "Paris", ["London", "Paris"]).score == 1.0
    assert judged("B", "B", ["London", "Paris"]).score == 1.0
    assert judged("B", "C", ["London", "Paris"]).reason == "no option is named"


def test_without_the_options_letters_are_read() -> None:
    assert judged("E", "The answer is (E).", None).score == 1.0
    assert judged("E", "Paris", None).score == 0.0


@pytest.mark.parametrize("gold", ["E", "", "Paris", "AB"])
def test_a_gold_answer_that_is_no_label_is_not_judged(gold: str) -> None:
    score, _, reason, *_ = judged(gold, "A")
    assert score is None
    assert reason == f"the gold answer {gold!r} is not one of A, B, C, D"


@pytest.mark.parametrize(("gold", "choices"), [("1", CITIES), ("0", ["London", "Paris"]), ("3", None)])
def test_an_index_is_no_label_and_is_said_to_be_one(gold: str, choices: object) -> None:
    reason = Choice().unreadable(problem(gold, choices))
    assert str(reason).endswith("; an index may count from 0 or from 1: give the label")
    assert judged(gold, "A", choices).reason == reason


@pytest.mark.parametrize(
    ("gold", "choices"), [("a", CITIES), (" B ", CITIES), ("2", {"1": "x", "2": "y"}), ("Z", None)]
)
def test_a_label_can_be_read(gold: str, choices: object) -> None:
    assert Choice().unreadable(problem(gold, choices)) is None


def test_nothing_is_compared_with_no_gold_answer() -> None:
    assert judged(None, "A")[:3] == (None, None, "the problem has no gold answer")


@settled
@given(
    st.lists(st.text("abcdefg ", min_size=2, max_size=12).map(str.split).filter(bool), min_size=2, max_size=6),
    st.data(),
)
def test_each_option_is_itself_and_no_other(words: list[list[str]], data: st.DataObject) -> None:
    texts = list({f"x{' '.join(each)}" for each in words})
    right = data.draw(st.sampled_from(range(len(texts))))
    for response in (
        ascii_uppercase[right],
        f"({ascii_uppercase[right]})",
        texts[right],
        f"The answer is {texts[right]}.",
    ):
        for index, label in enumerate(ascii_uppercase[: len(texts)]):
            assert judged(label, response, texts).score == float(index == right)


@settled
@given(st.text(max_size=60), st.lists(st.text(max_size=8), max_size=5))
def test_no_text_makes_it_raise(response: str, texts: list[str]) -> None:
    judgement = judged("A", response, texts)
    assert (judgement.score == 1.0) == (judgement.reason == "")


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_input_makes_it_slow(pattern: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four."""
    seconds = []
    for size in (12_500, 100_000):
        text = pattern * (size // len(pattern)) + "x"
        seconds.append(timeit(partial(judged, "A", text), timer=process_time, number=1))
    assert seconds[1] < 1
    assert seconds[1] < 25 * max(seconds[0], 0.02)


@pytest.mark.parametrize(
    "response",
    [
        "Wrong: A",
        "Incorrect options: A",
        "Eliminated: A",
        "So A is out.",
        "A (incorrect)",
        "A - incorrect",
        "A → wrong",
        "A is the wrong one",
        "A is definitely not it",
        "It should be A? I do not think so.",
        "Students would select A by mistake.",
        "grade: A+",
        "therefore A+B",
        "Thus A-B",
        "Die Antwort ist nicht A",
        "Non es A",
        "Ist es A?",
        "不选A",
        "不能选A，应该排除",
        "故选项A错误",
        "选项A不正确",
        "A不正确",
        "答案是A以外的",
        "정답은 A가 아니다",
        "答えはAではない",
    ],
)
def test_an_option_that_is_ruled_out_or_mentioned_does_not_pass(response: str) -> None:
    assert judged("A", response)[0] != 1.0
