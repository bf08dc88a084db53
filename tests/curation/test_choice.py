"""Of the right solutions of a problem so many are kept, by what the recipe wants of them."""

from collections import Counter
from typing import Any

import pytest
from byheart.curation.choice import chosen, diverse, drawn, most_valued, shortest
from byheart.curation.rows import by_problem, text
from byheart.types import Example
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from tests.curation.conftest import drawn_rows, ids, row, settled

ways = st.sampled_from(["shortest", "diverse", "value", "random"])
quotas = st.fixed_dictionaries({problem: st.integers(1, 4) for problem in "pqr"})


@settled
@given(drawn_rows, ways, quotas, st.randoms())
def test_each_problem_has_as_many_as_it_may_whatever_order_they_came_in(
    found: list[Example], by: str, keep: dict[str, int], random: Any
) -> None:
    kept = chosen(found, by, keep, seed=1)
    sizes = Counter(one["problem_id"] for one in found)
    assert Counter(one["problem_id"] for one in kept) == {name: min(n, keep[name]) for name, n in sizes.items()}
    assert set(ids(kept)) <= set(ids(found))
    assert sorted(ids(chosen(random.sample(found, len(found)), by, keep, seed=1))) == sorted(ids(kept))
    assert sorted(ids(chosen(kept, by, keep, seed=1))) == sorted(ids(kept))


@settled
@given(drawn_rows, st.integers(1, 5))
def test_shortest_are_those_with_the_fewest_tokens(found: list[Example], keep: int) -> None:
    sizes = [(one["hinted"], one["num_tokens"]) for one in shortest(found, keep)]
    assert sizes == sorted((one["hinted"], one["num_tokens"]) for one in found)[:keep]


@settled
@given(drawn_rows, st.integers(1, 5))
def test_diverse_begins_with_the_shortest_and_goes_on_with_the_farthest(found: list[Example], keep: int) -> None:
    kept = diverse(found, keep)
    assert kept[:1] == shortest(found, 1)

    def nearest(one: Example, to: list[Example]) -> int:
        return min(Levenshtein.distance(text(one), text(other)) for other in to)

    for place in range(1, len(kept)):
        left = [one for one in found if one not in kept[:place]]
        unaided = [one for one in left if not one["hinted"]] or left
        assert nearest(kept[place], kept[:place]) == max(nearest(one, kept[:place]) for one in unaided)


@settled
@given(drawn_rows, st.integers(1, 5))
def test_the_highest_values_come_first_and_those_without_one_last(found: list[Example], keep: int) -> None:
    same = [one | {"round": 1, "hinted": False} for one in found]
    values = sorted((one["value"] for one in found if one["value"] is not None), reverse=True)
    wanted = values + [None] * (len(found) - len(values))
    assert [one["value"] for one in most_valued(same, keep)] == wanted[:keep]


def test_values_of_two_rounds_are_not_compared_as_their_scorers_differ() -> None:
    old, new, less = row("old", n=1, value=-1.0), row("new", n=2, value=-3.0), row("less", n=2, value=-4.0)
    assert ids(most_valued([row("none", n=3), old, less, new], 4)) == ["new", "less", "old", "none"]


@settled
@given(drawn_rows, ways, quotas)
def test_what_a_hint_helped_to_is_taken_only_where_nothing_else_is_left(
    found: list[Example], by: str, keep: dict[str, int]
) -> None:
    kept = ids(chosen(found, by, keep, seed=1))
    for group in by_problem(found).values():
        if any(one["hinted"] and one["rollout_id"] in kept for one in group):
            assert all(one["hinted"] or one["rollout_id"] in kept for one in group)


def test_a_seed_draws_the_same_ones_and_another_seed_others() -> None:
    found = [row(f"r{n}") for n in range(40)]
    assert drawn(found, 1) == drawn(found[::-1], 1)
    assert drawn(found, 1)[:10] != drawn(found, 2)[:10]
    assert drawn(found, 1) != found


@settled
@given(drawn_rows, st.data())
def test_a_row_more_changes_nothing_in_the_order_of_the_rest(found: list[Example], data: st.DataObject) -> None:
    without = [one for one in found if data.draw(st.booleans())]
    assert [one for one in drawn(found, 3) if one in without] == drawn(without, 3)


@pytest.mark.parametrize("by", ["shortest", "diverse", "value", "random"])
def test_no_rows_are_none(by: str) -> None:
    assert chosen([], by, {}, 0) == []
    assert by_problem([]) == {}
