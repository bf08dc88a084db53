"""Right where all say so; and any, and the first that can judge: the three ways to put verifiers together."""

from typing import Any

import pytest
from byheart.contracts import Verifier
from byheart.types import Problem

from tests.conftest import verdicts_by

PROBLEM = Problem.of("2 + 2", "4", "number")
UNSURE = {"name": "consensus", "equal": "number", "min_samples": 99}
"""It judges nothing, since there are never so many samples."""


def scores(name: str, of: list[Any], *responses: str) -> list[float | None]:
    return [verdict.score for verdict in verdicts_by({"name": name, "of": of}, PROBLEM, responses)]


def test_all_is_right_where_every_one_says_so() -> None:
    assert scores("all", ["number", "exact"], "4", "it is 4", "5") == [1.0, 0.0, 0.0]


def test_all_cannot_say_where_one_cannot() -> None:
    assert scores("all", [UNSURE, "number"], "4", "5") == [None, None]
    assert scores("all", ["number", UNSURE], "4", "5") == [None, 0.0]


def test_any_is_right_where_one_says_so_and_wrong_where_all_do() -> None:
    assert scores("any", ["exact", "number"], "4", "it is 4", "5") == [1.0, 1.0, 0.0]


def test_any_cannot_say_where_one_cannot_and_none_says_right() -> None:
    assert scores("any", [UNSURE, "number"], "4", "5") == [1.0, None]
    assert scores("any", ["number", UNSURE], "4", "5") == [1.0, None]


def test_first_is_what_the_first_says_that_can_judge() -> None:
    assert scores("first", ["exact", "number"], "4", "it is 4") == [1.0, 0.0]
    assert scores("first", [UNSURE, "number"], "4", "5") == [1.0, 0.0]
    assert scores("first", [UNSURE, UNSURE], "4") == [None]


@pytest.mark.parametrize(
    ("name", "of", "readable"),
    [
        ("all", ["exact", "number"], False),
        ("all", ["exact", "choice"], False),
        ("all", ["exact", "regex"], True),
        ("any", ["number", "exact"], True),
        ("any", ["number", "choice"], False),
        ("first", ["number", "exact"], True),
        ("first", ["number", UNSURE], True),
        ("first", ["number", {"name": "any", "of": ["choice", "number"]}], False),
    ],
)
def test_a_gold_answer_has_to_be_read_by_all_or_else_by_one(name: str, of: list[Any], readable: bool) -> None:
    of = [{"name": "regex", "pattern": ".*"} if part == "regex" else part for part in of]
    reason = Verifier.parse({"name": name, "of": of}).unreadable(Problem.of("2 + 2", "four", "number"))
    assert (reason is None) == readable
    assert readable or "the gold answer 'four' is not" in str(reason)


def test_they_nest() -> None:
    assert scores("all", ["number", {"name": "first", "of": [UNSURE, "exact"]}], "4", "is 4", "5") == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("of", [[], ["number"], ["number", "nummer"], "number"])
def test_at_least_two_known_verifiers_are_wanted(of: Any) -> None:
    with pytest.raises(ValueError, match="of"):
        Verifier.parse({"name": "all", "of": of})


def test_one_that_goes_by_agreement_is_shown_all_responses_wherever_it_stands() -> None:
    agreement = {"name": "consensus", "equal": "number"}
    responses = ["4"] * 7 + ["5"] * 4
    for name in ("any", "first"):
        assert scores(name, ["exact", agreement], *responses) == [1.0] * 7 + [0.0] * 4
    nested = {"name": "first", "of": [agreement, "exact"]}
    assert scores("any", ["number", nested], *responses) == [1.0] * 7 + [0.0] * 4
    [first, *_] = verdicts_by({"name": "all", "of": ["number", agreement]}, PROBLEM, responses)
    assert first.margin == (7 - 4) / 11
