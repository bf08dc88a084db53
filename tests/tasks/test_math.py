r"""MATH: what the last \boxed holds, and what the two data sets call their columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from byheart.tasks.core.splits import source, split
from byheart.tasks.math import boxed


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"so $\boxed{42}$.", "42"),
        (r"$\boxed{1}$ and then $\boxed{\frac{1}{\sqrt{2}}}$.", r"\frac{1}{\sqrt{2}}"),
        (r"$\boxed{\{1, 2\}}$", r"\{1, 2\}"),
        (r"$\boxed{\left\{x \mid x>0\right.}$", r"\left\{x \mid x>0\right."),
        (r"$\boxed{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}$", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
        (r"$\boxed{\text{a}\\}$", r"\text{a}\\"),
        (r"it is $\boxed 7$, as said", "7"),
        (r"it is $\fbox{x+1}$", "x+1"),
    ],
)
def test_what_the_last_box_holds(solution: str, answer: str) -> None:
    assert boxed(solution) == answer


@pytest.mark.parametrize("solution", ["it is 4", r"$\boxed{4$", r"$\boxed{4\}$"])
def test_a_solution_without_a_whole_box_is_refused(solution: str) -> None:
    with pytest.raises(ValueError, match="boxed"):
        boxed(solution)


def test_level_and_subject_are_the_same_in_both_sets(copies: Path, options: Callable[..., Any]) -> None:
    asked = options(name="math", path=str(copies / "math"), num_held_out=30)
    parts = split(source(asked, 0), asked, 1)
    for part in (parts.held_out, parts.train):
        assert {problem.meta["level"] for problem in part} <= {"1", "2", "3", "4"}
        assert "Algebra" in {problem.meta["subject"] for problem in part}
        assert all("boxed" in problem.meta["solution"] or "fbox" in problem.meta["solution"] for problem in part)
