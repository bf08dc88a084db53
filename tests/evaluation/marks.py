"""Answers in short: what was right, what was wrong, what nobody could judge."""

from typing import Any

from byheart.evaluation import Answer, Outcome
from hypothesis import settings

settled = settings(deadline=None, max_examples=60)
RIGHT = {"+": True, "-": False, "?": None}


def outcomes(marks: str) -> list[Outcome]:
    """'+' right, '-' wrong, '?' unjudged."""
    return [Outcome(RIGHT[mark], 3, "") for mark in marks]


def answers(marks: str, **rest: Any) -> list[Answer]:
    return [
        Answer(f"p{n}", **({"fast": outcome, "worked": outcome} | rest)) for n, outcome in enumerate(outcomes(marks))
    ]
