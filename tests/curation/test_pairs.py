"""Pairs show what is right beside what is wrong, each of them as seldom as it can be."""

from byheart.curation.pairs import random_pairs, sibling_pairs
from hypothesis import given
from hypothesis import strategies as st

from tests.curation.conftest import CHAT, ids, judged, rolled, row, settled


@settled
@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 12))
def test_pairs_are_all_different_and_use_all_rollouts_alike(better: int, worse: int, most: int) -> None:
    right = [row(f"+{n}", f"4 {n}") for n in range(better)]
    wrong = [row(f"-{n}", f"5 {n}") for n in range(worse)]
    made = random_pairs(right, wrong, most, seed=1)
    assert len(made) == len({(pair.chosen_id, pair.rejected_id) for pair in made}) == min(most, better * worse)
    for used, rows in (([pair.chosen_id for pair in made], right), ([pair.rejected_id for pair in made], wrong)):
        times = [used.count(name) for name in ids(rows)]
        assert not made or max(times) - min(times) <= 1
    assert random_pairs(right[::-1], wrong[::-1], most, seed=1) == made


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
    tried = [(rollout, judged(rollout, solutions[name][1])) for name, rollout in rollouts.items()]
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
