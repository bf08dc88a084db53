"""What steps were worth, on trees that are small enough to count by hand."""

from typing import Any

import pytest
from byheart.curation.attempts import Attempt
from byheart.curation.steps import StepOptions, stepwise_rows
from byheart.strategies.core.tree import nodes
from byheart.strategies.core.value_targets import TARGETS, grown
from byheart.types import Step, replace
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import judged, rolled, settled


def tried(*solutions: tuple[str, float], **rest: Any) -> list[Any]:
    rollouts = [rolled(f"{index}", text, **rest) for index, (text, _) in enumerate(solutions)]
    return [
        Attempt(1, rollout, judged(rollout, score)) for rollout, (_, score) in zip(rollouts, solutions, strict=True)
    ]


SOLUTIONS = tried(("a\nb\nc", 1.0), ("a\nb\nd", 0.0), ("a\ne", 0.0), ("x\ny", 0.0))


def values(target: str, attempts: list[Any] = SOLUTIONS) -> dict[str, float]:
    """By the text that it ends."""
    root, _ = grown([attempt[1:] for attempt in attempts], "line")
    return {node.text.replace("\n", ""): value for node, value in TARGETS[target](root).items() if node is not root}


def test_monte_carlo_is_the_share_that_was_right() -> None:
    assert values("monte_carlo") == pytest.approx(
        {"a": 1 / 3, "ab": 1 / 2, "abc": 1, "abd": 0, "ae": 0, "x": 0, "xy": 0}
    )


def test_what_a_search_wrote_several_times_counts_as_often_though_it_returns_it_once() -> None:
    (n, rollout, right), (m, other, wrong) = tried(("a\nb", 1.0), ("a\nc", 0.0))
    often = replace(rollout, steps=[Step("a\n", count=4), Step("b", count=3)])
    once = replace(other, steps=[Step("a\n", count=4), Step("c")])
    result = values("monte_carlo", [(n, often, right), (m, once, wrong)])
    assert result == pytest.approx({"a": 3 / 4, "ab": 1, "ac": 0})
    more = tried(("a\nc", 0.0), ("x", 1.0))
    mixed = values("monte_carlo", [(n, often, right), (m, once, wrong), *((k, r, v) for k, r, v in more)])
    assert mixed["a"] == pytest.approx(3 / 5), "samples count beside it"


def test_hard_and_best_are_what_any_rollout_came_to() -> None:
    expected = {"a": 1, "ab": 1, "abc": 1, "abd": 0, "ae": 0, "x": 0, "xy": 0}
    assert values("hard") == values("best") == expected
    half = tried(("a\nb", 0.5), ("a\nc", 0.0))
    assert values("best", half)["a"] == 0.5 and values("hard", half)["a"] == 0


def test_fitted_q_is_the_best_value_of_what_was_written_next() -> None:
    n, rollout, verdict = SOLUTIONS[0]
    scored = replace(rollout, steps=[Step("a\n", 0.2), Step("b\n", 0.6), Step("c", 0.9)])
    m, other, wrong = SOLUTIONS[1]
    also = replace(other, steps=[Step("a\n", 0.2), Step("b\n", 0.6), Step("d", 0.4)])
    result = values("fitted_q", [(n, scored, verdict), (m, also, wrong)])
    assert result == pytest.approx({"a": 0.6, "ab": 0.9, "abc": 1.0, "abd": 0.0})
    assert values("fitted_q") == values("best"), "without values it is what was reached"


def test_rest_mcts_shares_out_what_is_missing() -> None:
    result = values("rest_mcts")
    assert result["a"] == pytest.approx(1 / 3) and result["ab"] == pytest.approx(2 / 3) and result["abc"] == 1
    assert result["abd"] == pytest.approx(2 / 3 - 1 / 3), "one step was missing"
    assert result["ae"] == pytest.approx(1 / 3 - 1 / 3), "two steps were missing"
    assert result["x"] == result["xy"] == 0


@settled
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("ab"), min_size=1, max_size=4), st.booleans()), min_size=1, max_size=12
    ),
    st.sampled_from(sorted(TARGETS)),
)
def test_values_lie_in_0_to_1_and_no_step_is_lost(solutions: list[tuple[list[str], bool]], target: str) -> None:
    distinct = {"\n".join(steps): float(right) for steps, right in solutions}
    attempts = tried(*distinct.items())
    root, ends = grown([attempt[1:] for attempt in attempts], "line")
    assert all(0 <= value <= 1 for value in TARGETS[target](root).values())
    assert {name: node.text for name, node in ends.items()} == {
        rollout.id: rollout.response for _, rollout, _ in attempts
    }
    assert root.visits == len(attempts) == sum(node.visits for node in nodes(root) if node.ended)


@settled
@given(st.integers(0, 6), st.integers(0, 6), st.integers(2, 9), st.integers(0, 9))
def test_right_and_wrong_solutions_are_kept_in_turn(right: int, wrong: int, keep: int, seed: int) -> None:
    attempts = tried(*[(f"a\n{n}", 1.0) for n in range(right)], *[(f"b\n{n}", 0.0) for n in range(wrong)])
    rows = stepwise_rows(attempts, "line", StepOptions(keep=keep), seed)
    assert len(rows) == min(keep, right + wrong)
    good = sum(row.labels[-1] for row in rows)
    assert good >= min(right, keep // 2) and len(rows) - good >= min(wrong, keep // 2)
    for row in rows:
        assert len(row.completions) == len(row.labels) == len(row.values) == 2
    assert stepwise_rows(attempts[::-1], "line", StepOptions(keep=keep), seed) == rows
