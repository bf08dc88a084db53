"""The tree by itself: nothing is lost, counted twice or opened again, whatever is done to it."""

import math
import random

import pytest
from byheart.strategies.core.tree import (
    Node,
    Rule,
    add,
    average,
    backpropagate,
    close,
    nodes,
    puct,
    rest_mcts,
    rstar,
    select,
    uct,
)
from hypothesis import given, settings
from hypothesis import strategies as st

RULES = [uct, rest_mcts, puct, rstar]


def grown(seed: int, visits: int, rule: Rule, backup: str) -> Node:
    """A tree to which a search that knows nothing has done all that one can do."""
    rng, root = random.Random(seed), Node()
    for _ in range(visits):
        leaf = select(root, rule, 1.0)
        if leaf is None:
            break
        if not leaf.ended and not leaf.children:
            for _ in range(3):
                add(leaf, rng.choice("abcd"), ended=rng.random() < 0.3, logprob=-rng.random()).value = rng.random()
        reached = select(root, rule, 1.0)
        assert reached
        (backpropagate if backup == "sum" else average)(reached, rng.random())
        if reached.ended or rng.random() < 0.2:
            close(reached, "tried")
    return root


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9999), st.integers(1, 60), st.sampled_from(RULES), st.sampled_from(["sum", "mean"]))
def test_visits_add_up_values_stay_in_bounds_and_what_is_closed_stays_closed(
    seed: int, visits: int, rule: Rule, backup: str
) -> None:
    root = grown(seed, visits, rule, backup)
    every = list(nodes(root))
    assert len(every) == len(set(every)) == 1 + sum(len(node.children) for node in every)
    for node in every:
        assert node.visits >= sum(child.visits for child in node.children)
        assert 0 <= node.mean <= 1
        assert node.value is None or 0 <= node.value <= 1
        assert all(child.parent is node for child in node.children)
        assert 0 <= node.prior <= 1
        if node.children and all(child.closed for child in node.children):
            assert node.closed
        assert node.text == (node.parent.text if node.parent else "") + node.step
    again = list(nodes(grown(seed, visits, rule, backup)))
    assert [(node.text, node.visits, node.closed) for node in every] == [
        (node.text, node.visits, node.closed) for node in again
    ]


def test_the_same_step_is_written_once_and_counted() -> None:
    root = Node()
    first = add(root, "So  4\n")
    assert add(root, "so 4\n") is first and first.count == 2
    assert add(root, "so 4\n", ended=True) is not first, "a whole solution may not be gone on from"
    assert len(root.children) == 2


def test_priors_are_the_policys_own() -> None:
    root = Node()
    add(root, "a", logprob=-1.0)
    add(root, "b", logprob=-2.0)
    first, two = (child.prior for child in root.children)
    assert first + two == pytest.approx(1) and first / two == pytest.approx(2.718281828)


def test_rest_mcts_weighs_children_by_their_visits() -> None:
    root = Node()
    first, two = add(root, "a"), add(root, "b")
    for reward in (1.0, 1.0):
        average(first, reward)
    average(two, 0.0)
    assert root.mean == pytest.approx(2 / 3) and root.visits == 3
    assert root.value is first.value is None, "what the value model says is left alone"


def test_the_rules_weigh_as_their_papers_do() -> None:
    root = Node()
    child, _ = add(root, "a", logprob=math.log(0.2)), add(root, "b", logprob=math.log(0.6))
    for reward in (1.0, 0.0, 1.0, 1.0):
        backpropagate(child, reward)
    root.visits = 9
    unsure = math.sqrt(math.log(9) / 4)
    weighed = [rule(child, 2.0) for rule in (uct, rest_mcts, puct, rstar)]
    assert [seldom for seldom, _ in weighed] == [False] * 4
    assert [worth for _, worth in weighed] == pytest.approx(
        [0.75 + 2 * unsure, 0.75 + 2 * math.sqrt(2) * unsure, 0.75 + 2 * 0.25 * 3 / 5, 0.75 + 2 * unsure]
    )


def test_what_was_never_visited_comes_first_but_not_for_rstar() -> None:
    root = Node()
    seen, fresh = add(root, "a"), add(root, "b")
    seen.value = fresh.value = 0.1
    backpropagate(seen, 1.0)
    assert select(root, uct, 1.0) is fresh
    assert select(root, rest_mcts, 1.0) is fresh
    assert select(root, rstar, 1.0) is seen
