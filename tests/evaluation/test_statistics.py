"""pass@k, maj@k and best of k against all draws there are; the interval of a ratio."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from byheart.evaluation import maj_at_k, pass_at_k
from byheart.evaluation.statistics import best_at_k, ratio_interval
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation.marks import settled


@settled
@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(numbers: tuple[int, int, int]) -> None:
    n, c, k = numbers
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def won(draw: Sequence[tuple[int, bool]]) -> float:
    """The chance that the commonest class of a draw is right, where a lot decides between those that are alike."""
    sizes = Counter(draw)
    best = [right for (_, right), size in sizes.items() if size == max(sizes.values())]
    return sum(best) / len(best)


@settled
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5), st.data())
def test_maj_at_k_is_the_share_of_draws_whose_commonest_answer_is_right(
    classes: list[tuple[int, bool]], data: st.DataObject
) -> None:
    samples = [(index, right) for index, (size, right) in enumerate(classes) for _ in range(size)][:9]
    known = [(size, right) for (_, right), size in Counter(samples).items()]
    k = data.draw(st.integers(1, len(samples)))
    draws = list(itertools.combinations(samples, k))
    assert maj_at_k(known, k) == pytest.approx(sum(map(won, draws)) / len(draws))


@settled
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8), st.data())
def test_best_at_k_is_the_share_of_draws_whose_greatest_score_is_right(
    samples: list[tuple[float, bool]], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(samples)))

    def won(draw: tuple[tuple[float, bool], ...]) -> float:
        top = [right for score, right in draw if score == max(draw)[0]]
        return sum(top) / len(top)

    draws = list(itertools.combinations(samples, k))
    assert best_at_k(samples, k) == pytest.approx(sum(map(won, draws)) / len(draws))


def test_a_vote_finds_what_one_sample_mostly_misses_and_loses_what_the_crowd_gets_wrong() -> None:
    scattered = [(4, True), *[(1, False)] * 12]
    assert [round(maj_at_k(scattered, k), 2) for k in (1, 16)] == [0.25, 1.0]
    assert [round(maj_at_k([(7, True), (9, False)], k), 2) for k in (1, 16)] == [0.44, 0.0]


@pytest.mark.parametrize("k", [0, 5])
def test_more_samples_than_there_are_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.4"):
        pass_at_k(4, 1, k)
    with pytest.raises(ValueError, match=r"1\.\.4"):
        maj_at_k([(3, True), (1, False)], k)
    with pytest.raises(ValueError, match=r"1\.\.4"):
        best_at_k([(0.5, True), (0.1, False)] * 2, k)


@settled
@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50).filter(
        lambda both: any(b for _, b in both)
    )
)
def test_the_interval_of_a_ratio_holds_it_and_is_never_a_point(both: list[tuple[bool, bool]]) -> None:
    above, below = zip(*both, strict=True)
    low, high = ratio_interval(above, below)
    assert 0 <= low <= sum(above) / sum(below) + 1e-12
    assert high is None or (low < high and sum(above) / sum(below) <= high + 1e-12)


def test_the_interval_of_a_ratio_narrows_with_the_problems_and_may_have_no_upper_end() -> None:
    def width(n: int) -> float:
        low, high = ratio_interval([1.0, 0.0] * n, [1.0, 1.0] * n)
        assert high is not None
        return high - low

    assert width(100) < width(10) / 2
    assert ratio_interval([1.0] * 50, [1.0] + [0.0] * 49)[1] is None
    with pytest.raises(ValueError, match="mean of 0"):
        ratio_interval([1.0], [0.0])


def test_a_problem_counts_with_its_own_slow_answer() -> None:
    """Fast right exactly where slow is: a ratio of 1 with hardly any doubt, where independent draws would have much."""
    marks = [1.0, 0.0] * 50
    low, high = ratio_interval(marks, marks)
    assert [low, high] == pytest.approx([0.94, 1.06])  # 3/n of the problems, more or less
