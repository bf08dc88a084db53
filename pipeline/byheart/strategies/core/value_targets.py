"""Targets for a value model of steps: all rollouts of a problem as one tree, in which equal steps after the same steps
are one node, and for each node a target by the ends that were reached through it.

    monte_carlo   the share right of what was sampled through it and came to an end: the mean over its next steps,
                  each weighted by how often it was sampled
    hard          1 where any of them is right (Math-Shepherd, 2312.08935, equation 3), else 0
    best          the best score of any of them (Q*, 2406.14283, section 4.1); hard, where every score is 0 or 1
    fitted_q      the score of a whole solution; else the greatest value that the policy's scorer gave to a next step
                  during the search (fitted Q iteration as in Q*, equation 4, one iteration a round, not repeated for
                  earlier rounds), or where there are no such values, best
    rest_mcts     from 0, each step adds its share of what is still missing, or subtracts it where it leads to nothing
                  right: v = max(0, v' + r * (1 - v') / m), r = +-1, m the fewest steps, this one included, to a right
                  end, or where there is none, from the step before (ReST-MCTS*, 2406.03816, equations 1 and 2)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import accumulate

from byheart.strategies.core.steps import Kind, alike, split
from byheart.strategies.core.tree import Node, add, backpropagate, nodes
from byheart.types import Rollout, Verdict


def grown(judged: Iterable[tuple[Rollout, Verdict]], kind: Kind) -> tuple[Node, dict[str, Node]]:
    """The tree of one problem's finished and judged rollouts, each end visited with its score; and the ends by rollout
    id. A node's `count` is how many times its step was sampled after those before it, though a search returns it
    once."""
    root = Node()
    ends: dict[str, Node] = {}
    sampled, searched = Counter[Node](), Counter[Node]()
    for rollout, verdict in judged:
        steps = split(rollout.response, kind)
        known = dict(zip(accumulate(step.text for step in rollout.steps), rollout.steps, strict=True))
        node = root
        for index, (text, prefix) in enumerate(zip(steps, accumulate(steps), strict=True)):
            node = add(node, text, ended=index == len(steps) - 1, same=partial(alike, kind=kind))
            if prefix in known:
                searched[node] = max(searched[node], known[prefix].count)
                node.value = node.value if known[prefix].value is None else known[prefix].value
            else:
                sampled[node] += 1
            node.count = sampled[node] + searched[node]
        backpropagate(node, verdict.score or 0.0)
        ends[rollout.id] = node
    return root, ends


def _monte_carlo(root: Node) -> dict[Node, float]:
    targets: dict[Node, float] = {}
    for node in reversed(list(nodes(root))):
        samples = sum(child.count for child in node.children)
        total = sum(targets[child] * child.count for child in node.children)
        targets[node] = total / samples if samples else node.mean
    return targets


def _best(root: Node) -> dict[Node, float]:
    targets: dict[Node, float] = {}
    for node in reversed(list(nodes(root))):
        targets[node] = max((targets[child] for child in node.children), default=node.mean)
    return targets


def hard(root: Node) -> dict[Node, float]:
    """For each node, 1 where a right end was reached through it, else 0 (Math-Shepherd, 2312.08935, equation 3)."""
    return {node: float(best == 1) for node, best in _best(root).items()}


def _fitted_q(root: Node) -> dict[Node, float]:
    best = _best(root)

    def target(node: Node) -> float:
        next_values = [child.value for child in node.children if child.value is not None]
        return max(next_values) if len(next_values) == len(node.children) > 0 else best[node]

    return {node: target(node) for node in nodes(root)}


def _rest_mcts(root: Node) -> dict[Node, float]:
    missing: dict[Node, float] = {}  # steps to a right end
    for node in reversed(list(nodes(root))):
        missing[node] = min((1 + missing[child] for child in node.children), default=0 if node.mean == 1 else math.inf)
    targets = {root: 0.0}
    for node in nodes(root):
        for child in node.children:
            right = missing[child] < math.inf
            steps = 1 + missing[child] if right else missing[node] if missing[node] < math.inf else 1
            change = (1 - targets[node]) / steps
            targets[child] = max(0.0, targets[node] + (change if right else -change))
    return targets


TARGETS: Mapping[str, Callable[[Node], dict[Node, float]]] = {
    "monte_carlo": _monte_carlo,
    "hard": hard,
    "best": _best,
    "fitted_q": _fitted_q,
    "rest_mcts": _rest_mcts,
}
"""Name of a target -> from the root of a tree to the target of each of its nodes, in 0..1."""
