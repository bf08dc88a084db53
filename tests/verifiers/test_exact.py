"""Spelled alike is right; case, spacing and full stops at the ends do not matter."""

import unicodedata

import pytest
from byheart.types import Judgement, Problem
from byheart.verifiers.exact import Exact, normalized
from hypothesis import given, settings
from hypothesis import strategies as st


def judged(gold: str | None, response: str) -> Judgement:
    return Exact().verify(Problem.of("Which city?", gold, "exact"), response)


SPELLED = [
    ("Paris", "Paris", True),
    ("Paris", " paris.\n", True),
    ("New York", "new \t york", True),
    ("Straße", "STRASSE", True),
    ("café", "cafe\u0301", True),
    ("5.", "5", True),
    (".5", "5", False),
    (".5", ".5.", True),
    (".NET", "net", False),
    ("10²", "102", False),
    ("x²", "x2", False),
    ("Ⓐ", "A", False),
    ("a.b", "a.b", True),
    ("Paris", "Paris, France", False),
    ("Paris", "It is Paris", False),
    ("café", "cafe", False),
    ("50", "50.0", False),
    ("a b", "ab", False),
]


@pytest.mark.parametrize(("gold", "response", "right"), SPELLED)
def test_spelling_decides(gold: str, response: str, right: bool) -> None:
    judgement = judged(gold, response)
    assert judgement.score == float(right)
    assert judgement.answer == response.strip(), "as it was written"
    assert Exact().extract(Problem.of("Which city?", gold, "exact"), response) == normalized(response)
    assert (judgement.reason == "") is right


@pytest.mark.parametrize("response", ["", " \n", ".", " . . "])
def test_an_empty_response_is_wrong_and_says_so(response: str) -> None:
    assert judged("Paris", response)[:3] == (0.0, None, "the response is empty")
    assert Exact().extract(Problem.of("Which city?", "Paris", "exact"), response) is None


@pytest.mark.parametrize("gold", ["", " ", "."])
def test_an_empty_gold_answer_is_not_judged(gold: str) -> None:
    for response in ("", "Paris"):
        score, _, reason, *_ = judged(gold, response)
        assert (score, reason) == (None, "the gold answer is empty")


def test_nothing_is_compared_with_no_gold_answer() -> None:
    assert judged(None, "Paris")[:3] == (None, None, "the problem has no gold answer")


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_a_text_is_itself_however_it_is_encoded_or_spaced(text: str) -> None:
    if normalized(text):
        for same in (text, f"  {text}. \n", unicodedata.normalize("NFD", text)):
            assert judged(text, same).score == 1.0
        assert judged(text, text + " x").score == 0.0


def test_a_reason_stays_short() -> None:
    assert len(judged("a" * 10**5, "b" * 10**5).reason) < 200
