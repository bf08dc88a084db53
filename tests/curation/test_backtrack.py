"""What goes wrong and comes back: the slip is another's, nobody is taught to make it, and the end is right."""

from typing import Any

import pytest
from byheart.config import recipe
from byheart.curation import check
from byheart.curation.backtrack import backtracking, slips
from byheart.curation.rows import make_row, text
from byheart.errors import RecipeError
from byheart.text import BACK
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import judged, rolled, settled


def tried(*solutions: tuple[str, float]) -> list[Any]:
    rollouts = [rolled(f"{index}", response) for index, (response, _) in enumerate(solutions)]
    return [(rollout, judged(rollout, score)) for rollout, (_, score) in zip(rollouts, solutions, strict=True)]


def made(attempts: list[Any], most: int = 9, seed: int = 0) -> list[Any]:
    rows = [make_row(rollout, verdict, 1) for rollout, verdict in attempts if verdict.correct]
    return backtracking(rows, attempts, "line", most, seed)


def test_the_wrong_step_comes_first_then_the_mark_then_what_is_right() -> None:
    [row] = made(tried(("a\nb\nc", 1.0), ("a\nx\ny", 0.0)))
    assert text(row) == f"a\nx\n{BACK}b\nc"
    [[first, last]] = slips(text(row), "line")
    assert text(row)[first:last] == "x\n", "nobody is to learn the slip"
    assert row.rollout_id != "0" and row.num_tokens > 5


def test_a_slip_that_ends_a_solution_gets_a_line_of_its_own() -> None:
    [row] = made(tried(("a\nb", 1.0), ("a\nc", 0.0)))
    assert text(row) == f"a\nc\n{BACK}b"


def test_the_right_solution_goes_on_in_its_own_words() -> None:
    [row] = made(tried(("So  4\nthen 5", 0.0), ("so 4\nhence 6", 1.0)))
    assert text(row) == f"so 4\nthen 5\n{BACK}hence 6"


def test_to_end_too_early_is_no_wrong_step_and_a_mark_is_none_either() -> None:
    assert made(tried(("a\nb", 1.0), ("a", 0.0))) == []
    assert made(tried(("a\nb", 1.0), (f"a\n{BACK}c", 0.0))) == []


def test_all_that_is_taken_back_is_found_wherever_it_comes_from() -> None:
    response = f"a\nx\n{BACK}y\n{BACK}b"
    assert [response[first:last] for first, last in slips(response, "line")] == ["x\n", "y\n"]
    assert slips("a\nb", "line") == slips(BACK, "line") == []
    assert slips(f"Add it. A slip. {BACK}So.", "sentence") == [(7, 15)]


def test_what_came_out_right_after_all_is_no_slip() -> None:
    assert made(tried(("a\nb\nc", 1.0), ("a\nx\nc", 1.0))) == []
    assert made(tried(("a\nb\nc", 1.0))) == []


@settled
@given(
    st.lists(st.tuples(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), st.booleans()), min_size=1, max_size=9),
    st.integers(1, 5),
    st.integers(0, 5),
)
def test_without_its_slips_and_marks_each_is_a_right_solution(
    solutions: list[tuple[list[str], bool]], most: int, seed: int
) -> None:
    distinct = {"\n".join(steps): float(right) for steps, right in solutions}
    attempts = tried(*distinct.items())
    rows = made(attempts, most, seed)
    assert len(rows) <= most
    for row in rows:
        response = text(row)
        [[first, last]] = slips(response, "line")
        assert distinct[response[:first] + response[last:].removeprefix(BACK)] == 1
        assert response[last:].startswith(BACK)
    assert made(attempts, most, seed) == rows


def test_where_the_mark_is_no_step_nothing_can_be_taken_back() -> None:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
    for step in ("line", "sentence"):
        check(recipe.parse(raw | {"curation": {"backtracks": 1, "step": step}}))
    for step in ("marked", "statement"):
        with pytest.raises(RecipeError, match=f"no step by {step}; say curation.step: line"):
            check(recipe.parse(raw | {"curation": {"backtracks": 1, "step": step}}))
