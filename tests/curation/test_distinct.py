"""A solution is kept once, whether solutions are told apart by their words or by the equations they go through."""

from collections.abc import Iterable
from typing import Any

from byheart.curation.distinct import by_equations, by_text
from byheart.curation.equations import equations
from byheart.curation.rows import text
from byheart.types import Row
from hypothesis import given
from rapidfuzz.distance import Levenshtein

from tests.curation.conftest import drawn_rows, ids, row, settled


def test_rows_that_read_alike_but_for_case_and_spacing_are_one() -> None:
    alike = [row("a", "So 2 + 2 = 4"), row("b", "so  2 + 2\n= 4 "), row("c", "SO 2 + 2 = 4")]
    assert by_text(alike) == alike[:1]


def test_rows_that_differ_in_a_number_or_a_step_stay_apart() -> None:
    apart = [row("a", "4"), row("b", "4.0"), row("c", "-4"), row("d", "2 + 2 = 4"), row("e", "1 + 3 = 4")]
    apart += [row("g", "2+2 = 4"), row("h", "14"), row("i", "1 4")]
    assert by_text(apart) == apart


@settled
@given(drawn_rows)
def test_by_text_keeps_the_first_of_each_in_order_and_is_idempotent(rows: list[Row]) -> None:
    distinct = by_text(rows)
    marks = [" ".join(text(row).lower().split()) for row in rows]
    assert distinct == [row for index, row in enumerate(rows) if marks.index(marks[index]) == index]
    assert by_text(distinct) == distinct


def test_of_the_same_equations_in_the_same_order_the_text_farthest_from_the_rest_is_kept() -> None:
    plain, wordy = row("a", "2 + 2 = 4"), row("b", "Two and two more: 2+2=4, as everybody knows")
    other, turned = row("c", "1 + 3 = 4"), row("d", "3 + 1 = 4")
    twice, back = row("e", "1 + 1 = 2, 2 + 2 = 4"), row("f", "2 + 2 = 4, 1 + 1 = 2")
    assert ids(by_equations([plain, wordy, other, turned, twice, back])) == ["b", "c", "d", "e", "f"]


def test_or_the_most_concise_of_them_and_none_that_a_hint_helped_to_where_there_is_another() -> None:
    plain, wordy = row("a", "2 + 2 = 4", 6), row("b", "Two and two more: 2+2=4, as everybody knows", 20)
    response = "From the hint it is plain that 2 + 2 = 4, and from nothing but the hint"
    hinted, farthest = row("h", response, 5, hinted=True), row("h", response, 5)
    assert ids(by_equations([hinted, wordy, plain], concise=True)) == ["a"]
    other = row("c", "1 + 3 = 4")
    assert ids(by_equations([farthest, wordy, plain, other])) == ["h", "c"]
    assert ids(by_equations([hinted, wordy, plain, other])) == ["b", "c"]
    assert ids(by_equations([row("f", "2 + 3 = 4", 4), hinted], concise=True)) == ["h"]


def test_a_solution_with_a_false_equation_is_dropped_though_its_answer_is_right() -> None:
    rows = [row("a", "1 + 2 = 4, so 4"), row("b", "1 + 2 = 3, and one more is 4"), row("c", "x + 3 = 4, so 4")]
    assert ids(by_equations(rows)) == ["b", "c"]


def test_without_an_equation_the_words_tell_solutions_apart() -> None:
    assert ids(by_equations([row("a", "four"), row("b", "Four "), row("c", "it is four")])) == ["a", "c"]


@settled
@given(drawn_rows)
def test_by_equations_keeps_one_of_each_list_and_nothing_false(rows: list[Row]) -> None:
    def key(row: Row) -> Any:
        return [equation.text for equation in equations(text(row))] or text(row).casefold().split()

    def keys(rows: Iterable[Row]) -> list[Any]:
        return [key(row) for row in rows]

    true = [row for row in rows if all(equation.true for equation in equations(text(row)))]
    distinct = by_equations(rows)
    assert all(keys(distinct).count(mark) == 1 for mark in keys(distinct))
    assert all(mark in keys(distinct) for mark in keys(true))
    assert all(row in true for row in distinct)
    assert by_equations(distinct) == distinct
    for chosen in distinct:
        rivals = [other for other in by_text(true) if key(other) == key(chosen)]
        rivals = [other for other in rivals if not other.hinted] or rivals
        others = [text(other) for other in by_text(true)]
        far = [sum(Levenshtein.distance(text(rival), other) for other in others) for rival in rivals]
        assert sum(Levenshtein.distance(text(chosen), other) for other in others) == max(far)
