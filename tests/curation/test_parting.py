"""Where a right and a wrong solution part: which siblings make a pair, in which order, and how a slip is written."""

from typing import Any

import pytest
from byheart.config import recipe
from byheart.curation import check
from byheart.curation.backtrack import backtracking
from byheart.curation.pairs import sibling_pairs
from byheart.curation.rows import make_row, text
from byheart.errors import RecipeError
from byheart.text import BACK

from tests.curation.conftest import judged, rolled


def tried(*solutions: tuple[str, float]) -> list[Any]:
    rollouts = [rolled(f"{index}", response) for index, (response, _) in enumerate(solutions)]
    return [(rollout, judged(rollout, score)) for rollout, (_, score) in zip(rollouts, solutions, strict=True)]


def rows(attempts: list[Any], right: bool) -> list[Any]:
    return [make_row(rollout, verdict, 1) for rollout, verdict in attempts if verdict.correct == right]


def paired(attempts: list[Any], most: int = 99, seed: int = 0) -> list[tuple[str, str]]:
    made = sibling_pairs(rows(attempts, True), rows(attempts, False), attempts, "line", most, seed)
    return [(pair.chosen_id, pair.rejected_id) for pair in made]


def test_a_step_after_which_half_came_out_right_is_preferred_and_one_with_less_is_not() -> None:
    half = tried(("a\nb", 1.0), ("a\nc", 0.0), ("x\ny", 0.0))
    assert ("0", "2") in paired(half)
    third = tried(("a\nb", 1.0), ("a\nc", 0.0), ("a\nd", 0.0), ("x\ny", 0.0))
    assert ("0", "3") not in paired(third)


def test_which_siblings_are_taken_goes_by_the_seed_and_not_by_their_order() -> None:
    many = tried(*[(f"{step}\nz", float(step in "abcd")) for step in "abcdefgh"])
    assert len(paired(many)) == 16
    assert paired(many, most=4) == paired(many)[:4] == paired(many, most=4)
    assert len({tuple(paired(many, most=4, seed=seed)) for seed in range(5)}) > 1


def test_a_slip_that_ends_its_line_gets_no_empty_one() -> None:
    attempts = tried(("add\ncarry\ndone", 1.0), ("add\nforget it\nwrong", 0.0))
    [row] = backtracking(rows(attempts, True), attempts, "line", 9, 0)
    assert text(row) == f"add\nforget it\n{BACK}carry\ndone"


def test_a_row_of_a_problem_on_which_nothing_was_tried_takes_nothing_back() -> None:
    assert backtracking(rows(tried(("a\nb", 1.0)), True), [], "line", 9, 0) == []


@pytest.mark.parametrize(
    ("curation", "verifier", "message"),
    [
        ({"backtracks": 1, "target": "answer"}, "number", "made of whole ones and proved right again"),
        ({"backtracks": 1}, "consensus", "made of whole ones and proved right again"),
        ({"target": "answer"}, "consensus", "can't prove a bare answer right by itself"),
        ({"target": "shortest", "choose": "random"}, "number", "there is nothing to choose"),
    ],
)
def test_what_curation_and_verifier_can_not_do_together_is_refused_with_what_to_do(
    curation: dict[str, Any], verifier: str, message: str
) -> None:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}}
    with pytest.raises(RecipeError, match=message):
        check(recipe.parse(raw | {"curation": curation, "verifier": verifier}))
