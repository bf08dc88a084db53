"""The last place that fits is the answer, compared as `exact` does it; a pattern that hangs costs its time limit."""

import pytest
from byheart.contracts import Verifier
from byheart.types import Judgement, Problem
from byheart.verifiers.regex import Regex

from tests.conftest import verdicts_by


def judged(gold: str | None, response: str, pattern: str) -> Judgement:
    return Regex(pattern=pattern).verify(Problem.of("Which city?", gold, "regex"), response)


FITTING = [
    (r"Capital: (.+)", "Capital: Paris", True),
    (r"Capital: (.+)", "Capital: paris .", True),
    (r"Capital: (.+)", "Capital: London\nNo. Capital: Paris", True),
    (r"Capital: (.+)", "Capital: Paris\nNo. Capital: London", False),
    (r"Capital: (.+)", "Capital: Paris or London", False),
    (r"P\w+", "It is Paris.", True),
    (r"P\w+", "It is Prague.", False),
    (r"(?i)CAPITAL: (.+)", "Capital: Paris", True),
    (r"(London)|Paris", "Paris", False),
]


@pytest.mark.parametrize(("pattern", "response", "right"), FITTING)
def test_what_fits_last_is_the_answer(pattern: str, response: str, right: bool) -> None:
    judgement = judged("Paris", response, pattern)
    assert judgement.score == float(right)
    assert (judgement.reason == "") is right


def test_the_answer_stays_as_it_was_written() -> None:
    assert judged("paris", "Capital:  PARIS. ", "Capital:(.+)")[:2] == (1.0, "PARIS.")
    assert judged("paris", "Capital: . ", "Capital:(.+)")[:2] == (0.0, None)


def test_a_response_that_fits_nowhere_is_wrong_and_says_so() -> None:
    assert judged("Paris", "Paris", "Capital: (.+)")[:3] == (0.0, None, "nothing in the response fits the pattern")


def test_a_group_that_took_no_part_is_no_answer_and_an_empty_gold_answer_is_not_judged() -> None:
    assert judged("Paris", "Paris", r"(London)|Paris")[:2] == (0.0, None)
    assert judged("", "Paris", r"(London)|Paris")[:3] == (None, None, "the gold answer is empty")
    assert judged(".", "Paris.", r"\w+")[:3] == (None, None, "the gold answer is empty")


def test_nothing_is_compared_with_no_gold_answer() -> None:
    assert judged(None, "Paris", ".+")[:3] == (None, None, "the problem has no gold answer")


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "*", "(?P<n>a)(?P<n>b)"])
def test_a_pattern_that_is_none_is_refused_with_the_recipe(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a regular expression"):
        Verifier.parse({"name": "regex", "pattern": pattern})


def test_a_pattern_that_hangs_is_stopped() -> None:
    by = {"name": "regex", "pattern": "(a+)+$", "time_limit": 0.5, "workers": 1}
    hanging, quick = verdicts_by(by, Problem.of("Which?", "aa", "regex"), ["a" * 50 + "b", "aa"])
    assert hanging.score is None
    assert "took more than 0.5 s" in hanging.reason
    assert quick.score == 1.0
