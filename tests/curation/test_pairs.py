"""Pairs show what is right beside what is wrong, each of them as seldom as it can be."""

from collections import Counter

from byheart.curation.pairs import random_pairs, sibling_pairs
from byheart.types import Pair, Row
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import CHAT, judged, rolled, row, settled

counts = st.dictionaries(st.sampled_from("pqr"), st.tuples(st.integers(0, 5), st.integers(0, 5)))


@settled
@given(counts, st.integers(1, 12))
def test_pairs_are_of_one_problem_all_different_and_use_all_rollouts_alike(
    sizes: dict[str, tuple[int, int]], most: int
) -> None:
    right = [row(f"{name}+{n}", f"4 {n}", problem=name) for name, (many, _) in sizes.items() for n in range(many)]
    wrong = [row(f"{name}-{n}", f"5 {n}", problem=name) for name, (_, many) in sizes.items() for n in range(many)]
    made = random_pairs(right, wrong, most, seed=1)
    assert Counter(pair.problem_id for pair in made) == {
        name: min(most, better * worse) for name, (better, worse) in sizes.items() if better * worse
    }
    assert len({(pair.chosen_id, pair.rejected_id) for pair in made}) == len(made)
    for side in ("chosen_id", "rejected_id"):
        for name, many in sizes.items():
            all_of_it = [f"{name}{'+' if side == 'chosen_id' else '-'}{n}" for n in range(many[side == "rejected_id"])]
            times = Counter(getattr(pair, side) for pair in made)
            used = [times[pair] for pair in all_of_it]
            assert not made or not used or max(used) - min(used) <= 1
    assert random_pairs(right[::-1], wrong[::-1], most, seed=1) == sorted(made, key=lambda pair: -ordered(right, pair))


def ordered(right: list[Row], pair: Pair) -> int:
    """Where the problem of a pair first comes among `right`."""
    return [other.problem_id for other in right].index(pair.problem_id)


def test_a_pair_is_in_the_format_of_trl_and_says_where_it_comes_from() -> None:
    [made] = random_pairs([row("a", "it is 4", n=1)], [row("b", "it is 5", n=3)], 2, seed=1)
    assert made.to_dict() == {
        "prompt": CHAT,
        "chosen": [{"role": "assistant", "content": "it is 4"}],
        "rejected": [{"role": "assistant", "content": "it is 5"}],
        "problem_id": "p",
        "chosen_id": "a",
        "rejected_id": "b",
        "round": 3,
    }


def test_what_says_the_same_is_in_one_pair_only() -> None:
    right, wrong = [row("a", "4"), row("b", " 4 ")], [row("c", "5"), row("d", "5"), row("e", "4")]
    assert [(pair.chosen_id, pair.rejected_id) for pair in random_pairs(right, wrong, 9, seed=1)] == [("a", "c")]


def test_another_seed_makes_other_pairs() -> None:
    right, wrong = [row(f"a{n}", f"4 {n}") for n in range(9)], [row(f"b{n}", f"5 {n}") for n in range(9)]
    assert random_pairs(right, wrong, 4, seed=1) != random_pairs(right, wrong, 4, seed=2)


def test_siblings_begin_alike_and_part_where_it_was_decided() -> None:
    solutions = {"a": ("x\ny\n4", 1.0), "b": ("x\nz\n5", 0.0), "c": ("w\n5", 0.0), "d": ("x\nz\n6", 0.0)}
    rollouts = {name: rolled(name, text) for name, (text, _) in solutions.items()}
    tried = {"p": [(rollout, judged(rollout, solutions[name][1])) for name, rollout in rollouts.items()]}
    right = [row("a", solutions["a"][0])]
    wrong = [row(name, solutions[name][0], score=0.0) for name in "bcd"]
    made = sibling_pairs(right, wrong, tried, "line", 9, seed=1)
    assert {(pair.chosen_id, pair.rejected_id) for pair in made} in ({("a", "b")}, {("a", "d")}), (
        "after x one in three is right, too few to prefer it to w; after x and y all are"
    )
    assert sibling_pairs(right, wrong, tried, "line", 9, seed=1) == made
    assert (
        sibling_pairs(right, [], tried, "line", 9, seed=1) == sibling_pairs([], wrong, tried, "line", 9, seed=1) == []
    )
