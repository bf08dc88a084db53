"""Sums and products: right answers, distinct problems, an order that the seed decides."""

from itertools import islice
from typing import Any

import pytest
from byheart.tasks.arithmetic import Arithmetic
from byheart.text import text_of
from byheart.types import Problem
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

COMPUTED = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}


def options(**rest: Any) -> Arithmetic:
    return Arithmetic.model_validate({"name": "arithmetic", "prompt": "{a} {op} {b}", "chat": False} | rest)


def some(seed: int = 0, count: int = 300, **rest: Any) -> list[Problem]:
    return list(islice(options(**rest).problems(seed), count))


settled = settings(deadline=None, max_examples=40)
operations = st.lists(st.sampled_from(["+", "-", "*"]), min_size=1, max_size=3, unique=True)
sources = st.fixed_dictionaries({"operations": operations, "digits": st.integers(1, 6) | st.just([1, 3])}) | st.builds(
    lambda operations, low, width: {"operations": operations, "low": low, "high": low + width},
    operations,
    st.integers(-50, 50),
    st.integers(0, 30),
)


@settled
@given(source=sources, seed=st.integers(0, 1000))
def test_every_answer_is_what_its_prompt_comes_to(source: dict[str, Any], seed: int) -> None:
    for problem in some(seed, **source):
        assert isinstance(problem.prompt, str)
        a, op, b = problem.prompt.split()
        assert problem.answer == str(COMPUTED[op](int(a), int(b)))
        longer = max(len(a.strip("-")), len(b.strip("-")))
        assert problem.meta == {"a": int(a), "b": int(b), "op": op, "digits": longer}
        assert problem.verifier == "number"
        assert op in source["operations"]


@settled
@given(source=sources, seed=st.integers(0, 1000))
def test_no_problem_comes_twice_nor_mirrored(source: dict[str, Any], seed: int) -> None:
    marks = []
    for problem in some(seed, **source):
        a, b, op = problem.meta["a"], problem.meta["b"], problem.meta["op"]
        marks.append((op, a, b) if op == "-" else (op, *sorted((a, b))))
    assert len(marks) == len(set(marks))


@settled
@given(source=sources, seed=st.integers(0, 1000))
def test_the_seed_decides_the_order(source: dict[str, Any], seed: int) -> None:
    assert some(seed, **source) == some(seed, **source)


@pytest.mark.parametrize("digits", [2, 5])
def test_another_seed_is_another_order(digits: int) -> None:
    first, second = some(1, digits=digits), some(2, digits=digits)
    assert [one.id for one in first] != [one.id for one in second]


def test_what_can_be_listed_is_all_there_once() -> None:
    sums = some(count=10**6, digits=2)
    assert len(sums) == 90 * 91 // 2
    assert {problem.meta["a"] for problem in sums} == set(range(10, 100))
    assert len(some(count=10**6, digits=1, operations=["-"])) == 100
    assert len(some(count=10**6, low=-1, high=1, operations=["+", "*"])) == 12


def test_both_orders_of_a_pair_are_drawn_over_all() -> None:
    sums = some(count=10**6, digits=2)
    assert {problem.meta["a"] > problem.meta["b"] for problem in sums} == {True, False}


@pytest.mark.parametrize(("digits", "low", "high"), [(1, 0, 9), (2, 10, 99), (3, 100, 999), (9, 10**8, 10**9 - 1)])
def test_numbers_have_as_many_digits_as_asked(digits: int, low: int, high: int) -> None:
    numbers = [problem.meta[name] for problem in some(count=2000, digits=digits) for name in ("a", "b")]
    assert low <= min(numbers) <= max(numbers) <= high
    assert min(numbers) < low + (high - low) / 5
    assert max(numbers) > high - (high - low) / 5


def test_low_and_high_are_both_inclusive() -> None:
    numbers = {problem.meta[name] for problem in some(low=7, high=9) for name in ("a", "b")}
    assert numbers == {7, 8, 9}


def test_longer_chains_come_out_from_left_to_right_and_no_sum_comes_mirrored() -> None:
    asked = "{expression} ="
    chains = some(count=10**6, low=1, high=3, terms=3, prompt=asked)
    assert len(chains) == 10, "three numbers of three, whatever their order"
    for one in some(count=200, low=1, high=9, terms=4, operations=["+", "-"], prompt=asked):
        assert eval(one.meta["expression"]) == int(str(one.answer))
        assert str(one.meta["expression"]) in str(one.prompt) and one.meta["expression"].count(" ") == 6


def test_several_counts_of_digits_are_mixed_but_not_within_a_problem() -> None:
    sizes = {(len(str(one.meta["a"])), len(str(one.meta["b"]))) for one in some(count=500, digits=[2, 4])}
    assert sizes == {(2, 2), (4, 4)}


@pytest.mark.parametrize("digits", [[1, 2], [2, 3], [2, 3, 4]], ids=str)
def test_each_count_of_digits_is_drawn_alike(digits: list[int]) -> None:
    drawn = [one.meta["digits"] for one in some(count=80, digits=digits)]
    assert all(drawn.count(one) > 0.7 * len(drawn) / len(digits) for one in digits)


def test_of_a_count_of_digits_that_runs_out_none_is_missed() -> None:
    short = {one.id for one in some(count=1000, digits=[1, 2]) if one.meta["digits"] == 1}
    assert short == {one.id for one in some(count=1000, digits=1)}
    assert len(some(count=10**6, digits=[1, 2])) == 10 * 11 // 2 + 90 * 91 // 2


def test_one_count_of_digits_comes_in_the_order_it_always_had() -> None:
    """A run of an earlier version goes on with the problems that it began with."""
    assert [one.prompt for one in some(count=3)] == ["25 + 60", "31 + 51", "53 + 98"]
    assert [one.prompt for one in some(count=3, digits=5)] == ["15306 + 43936", "49755 + 72468", "76150 + 28254"]


def test_every_operation_is_drawn() -> None:
    for digits in (2, 8):
        counts = [one.meta["op"] for one in some(count=600, digits=digits, operations=["+", "-", "*"])]
        assert all(counts.count(op) > 100 for op in "+-*")


def test_big_numbers_never_run_out() -> None:
    assert len({problem.id for problem in some(count=20_000, digits=12)}) == 20_000


def test_a_chat_is_one_message_of_the_user() -> None:
    [problem] = some(count=1, chat=True)
    a, b = problem.meta["a"], problem.meta["b"]
    assert problem.prompt == [{"role": "user", "content": f"{a} + {b}"}]


@pytest.mark.parametrize(
    "wrong",
    [{"digits": 0}, {"digits": [2, -1]}, {"high": 3}, {"prompt": "{a} {}"}, {"prompt": "{a"}, {"operations": []}],
    ids=str,
)
def test_options_that_make_no_problem_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)


def test_a_chat_has_a_worked_solution_and_plain_text_the_answer_alone() -> None:
    for terms in (2, 3):
        [problem] = islice(Arithmetic(terms=terms, operations=["-"]).problems(0), 1)
        assert problem.solution == f"{text_of(problem.prompt)[8:].partition('?')[0]} = {problem.answer}"
        [plain] = islice(Arithmetic(terms=terms, chat=False).problems(0), 1)
        assert plain.solution == plain.answer
