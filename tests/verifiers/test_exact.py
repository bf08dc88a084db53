"""Spelled alike is right; case, spacing and full stops at the ends do not matter."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.verifiers.exact import normalized, verify


@pytest.mark.parametrize(
    ("gold", "response", "right"),
    [
        ("Paris", "Paris", True),
        ("Paris", " paris.\n", True),
        ("New York", "new \t york", True),
        ("Straße", "STRASSE", True),
        ("café", "cafe\u0301", True),
        ("ﬁne", "fine", True),
        ("a.b", "a.b", True),
        ("Paris", "Paris, France", False),
        ("Paris", "It is Paris", False),
        ("café", "cafe", False),
        ("50", "50.0", False),
        ("a b", "ab", False),
    ],
)
def test_spelling_decides(gold: str, response: str, right: bool) -> None:
    judgement = verify(gold, response)
    assert judgement.score == float(right)
    assert judgement.answer == normalized(response)
    assert (judgement.reason == "") is right


@pytest.mark.parametrize("response", ["", " \n", ".", " . . "])
def test_an_empty_response_is_wrong_and_says_so(response: str) -> None:
    assert verify("Paris", response) == (0.0, None, "the response is empty")


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_a_text_is_itself_however_it_is_encoded_or_spaced(text: str) -> None:
    if normalized(text):
        for same in (text, f"  {text}. \n", unicodedata.normalize("NFD", text)):
            assert verify(text, same).score == 1.0
        assert verify(text, text + " x").score == 0.0


def test_a_reason_stays_short() -> None:
    assert len(verify("a" * 10**5, "b" * 10**5).reason) < 200
