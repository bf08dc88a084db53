"""What of a response is its program, before anything is run."""

from typing import Any

import pytest
from byheart.types import Problem
from byheart.verifiers.code import Code, solution


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("First\n```python\nx = 1\n```\nno, better:\n```python\nx = 2\n```\nso.", "x = 2\n"),
        ("```py\nx = 1\n```\nprints\n```\n3\n```", "x = 1\n"),
        ("```\nx = 1\n```\n```\nx = 2\n```", "x = 2\n"),
        ("1. so:\n   ```python\n   if 1:\n       x = 1\n   ```", "if 1:\n    x = 1\n"),
        ("~~~python\nx = 1\n~~~", "x = 1\n"),
        ("```python\nx = 1\n", "x = 1\n"),
        ("x = 1\n", "x = 1\n"),
        ("Use x = 1.", None),
        ("``` ```", None),
    ],
)
def test_the_solution_is_the_last_block_of_python_or_all_there_is(response: str, program: str | None) -> None:
    assert solution(Problem.of("", None, "code"), response) == program


IDLE = ["", "f(1) == 2", "# assert f(1)", "def test_f():\n    assert f(1) == 2", "assert (f(1) == 2, 'it is not 2')"]
"""Statements that no solution fails."""


@pytest.mark.parametrize(
    "tests",
    [
        *(None, [], "assert 1", ["1 2"], ["f(1)"], [["assert 1"]], [{"input": "1"}], [{"assert": 1}], [{}]),
        *([form] for text in IDLE for form in (text, {"assert": text})),
    ],
)
def test_a_problem_without_proper_tests_is_not_judged(tests: Any) -> None:
    judgement = Code().verify(Problem.of("", None, "code", {"tests": tests}), "```python\nprint(1)\n```")
    assert judgement.score is None
    assert "test" in judgement.reason
    assert Code().unreadable(Problem.of("", None, "code", {"tests": tests})) == judgement.reason
