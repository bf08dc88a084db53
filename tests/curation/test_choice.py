"""Of the right solutions of a problem so many are kept, by what the recipe wants of them."""

from typing import Any

import pytest
from byheart.curation.choice import choose, diverse, most_valued, shortest, shuffled
from byheart.curation.rows import by_problem, text
from byheart.types import Row, replace
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from tests.curation.conftest import drawn_rows, ids, row, settled

rules = st.sampled_from(["shortest", "diverse", "value", "random"])


@settled
@given(drawn_rows, rules, st.integers(1, 4), st.randoms())
def test_a_problem_has_as_many_as_it_may_whatever_order_they_came_in(
    rows: list[Row], by: str, keep: int, random: Any
) -> None:
    selected = choose(rows, by, keep, seed=1)
    assert len(selected) == min(len(rows), keep)
    assert set(ids(selected)) <= set(ids(rows))
    assert sorted(ids(choose(random.sample(rows, len(rows)), by, keep, seed=1))) == sorted(ids(selected))
    assert sorted(ids(choose(selected, by, keep, seed=1))) == sorted(ids(selected))


@settled
@given(drawn_rows, st.integers(1, 5))
def test_shortest_are_those_with_the_fewest_tokens(rows: list[Row], keep: int) -> None:
    sizes = [(row.hinted, row.num_tokens) for row in shortest(rows, keep)]
    assert sizes == sorted((row.hinted, row.num_tokens) for row in rows)[:keep]


@settled
@given(drawn_rows, st.integers(1, 5))
def test_diverse_begins_with_the_shortest_and_goes_on_with_the_farthest(rows: list[Row], keep: int) -> None:
    selected = diverse(rows, keep)
    assert selected[:1] == shortest(rows, 1)

    def nearest(this: Row, to: list[Row]) -> int:
        return min(Levenshtein.distance(text(this), text(other)) for other in to)

    for index in range(1, len(selected)):
        left = [row for row in rows if row not in selected[:index]]
        unaided = [row for row in left if not row.hinted] or left
        assert nearest(selected[index], selected[:index]) == max(nearest(row, selected[:index]) for row in unaided)


@settled
@given(drawn_rows, st.integers(1, 5))
def test_the_highest_values_come_first_and_those_without_one_last(rows: list[Row], keep: int) -> None:
    same = [replace(row, round=1, hinted=False) for row in rows]
    values = sorted((row.value for row in rows if row.value is not None), reverse=True)
    wanted = values + [None] * (len(rows) - len(values))
    assert [row.value for row in most_valued(same, keep)] == wanted[:keep]


def test_values_of_two_rounds_are_not_compared_as_their_scorers_differ() -> None:
    old, new, less = row("old", n=1, value=-1.0), row("new", n=2, value=-3.0), row("less", n=2, value=-4.0)
    assert ids(most_valued([row("none", n=3), old, less, new], 4)) == ["new", "less", "old", "none"]


@settled
@given(drawn_rows, rules, st.integers(1, 4))
def test_what_a_hint_helped_to_is_taken_only_where_nothing_else_is_left(rows: list[Row], by: str, keep: int) -> None:
    selected = ids(choose(rows, by, keep, seed=1))
    if any(row.hinted and row.rollout_id in selected for row in rows):
        assert all(row.hinted or row.rollout_id in selected for row in rows)


def test_a_seed_draws_the_same_ones_and_another_seed_others() -> None:
    rows = [row(f"r{n}") for n in range(40)]
    assert shuffled(rows, 1) == shuffled(rows[::-1], 1)
    assert shuffled(rows, 1)[:10] != shuffled(rows, 2)[:10]
    assert shuffled(rows, 1) != rows


@settled
@given(drawn_rows, st.data())
def test_a_row_more_changes_nothing_in_the_order_of_the_rest(rows: list[Row], data: st.DataObject) -> None:
    without = [row for row in rows if data.draw(st.booleans())]
    assert [row for row in shuffled(rows, 3) if row in without] == shuffled(without, 3)


@pytest.mark.parametrize("by", ["shortest", "diverse", "value", "random"])
def test_no_rows_are_none(by: str) -> None:
    assert choose([], by, 4, 0) == []
    assert by_problem([]) == {}
