"""What came of the steps of solutions: all rollouts of a problem as one tree, in which steps that say the same after
the same steps are one, and targets for a value model by what was reached through each.

    monte_carlo   the share right of what was written through it and came to an end: the mean of its next steps,
                  each as often as it was written
    hard          1 where any of them is right (Math-Shepherd, 2312.08935, equation 3), else 0
    best          the best score of any of them (Q*, 2406.14283, section 4.1); hard, where every score is 0 or 1
    fitted_q      the score of a whole solution; else the greatest value that the policy's scorer gave to what was
                  written next when it was searched (fitted Q iteration as in Q*, equation 4, one iteration a round and
                  none over again for earlier rounds), or where there is none, best
    rest_mcts     from 0, each step adds its share of what is still missing, or takes it away where nothing right is
                  behind it: v = max(0, v' + r * (1 - v') / m), r = +-1, m the fewest steps, this one included, to a
                  right end, or where there is none, from the step before (ReST-MCTS*, 2406.03816, equations 1 and 2)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import accumulate

from byheart.steps import Kind, alike, split
from byheart.strategies.tree import Node, add, back_up, nodes
from byheart.types import Rollout, Verdict


def grown(judged: Iterable[tuple[Rollout, Verdict]], kind: Kind) -> tuple[Node, dict[str, Node]]:
    """The tree of rollouts of one problem that came to their end and were judged, each end visited with its score; and
    the ends by rollout id. A node counts how many times its step was written after those before it, which a search that
    wrote it several times returns once."""
    root = Node()
    ends: dict[str, Node] = {}
    sampled, searched = Counter[Node](), Counter[Node]()
    for rollout, verdict in judged:
        steps = split(rollout.response, kind)
        known = dict(zip(accumulate(one.text for one in rollout.steps), rollout.steps, strict=True))
        node = root
        for place, (step, begun) in enumerate(zip(steps, accumulate(steps), strict=True)):
            node = add(node, step, ended=place == len(steps) - 1, same=partial(alike, kind=kind))
            if begun in known:
                searched[node] = max(searched[node], known[begun].count)
                node.value = node.value if known[begun].value is None else known[begun].value
            else:
                sampled[node] += 1
            node.count = sampled[node] + searched[node]
        back_up(node, verdict.score or 0.0)
        ends[rollout.id] = node
    return root, ends


def _monte_carlo(root: Node) -> dict[Node, float]:
    found: dict[Node, float] = {}
    for node in reversed(list(nodes(root))):
        written = sum(child.count for child in node.children)
        mean = sum(found[child] * child.count for child in node.children)
        found[node] = mean / written if written else node.mean
    return found


def _best(root: Node) -> dict[Node, float]:
    found: dict[Node, float] = {}
    for node in reversed(list(nodes(root))):
        found[node] = max((found[child] for child in node.children), default=node.mean)
    return found


def hard(root: Node) -> dict[Node, float]:
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
    found = {root: 0.0}
    for node in nodes(root):
        for child in node.children:
            right = missing[child] < math.inf
            steps = 1 + missing[child] if right else missing[node] if missing[node] < math.inf else 1
            change = (1 - found[node]) / steps
            found[child] = max(0.0, found[node] + (change if right else -change))
    return found


TARGETS: Mapping[str, Callable[[Node], dict[Node, float]]] = {
    "monte_carlo": _monte_carlo,
    "hard": hard,
    "best": _best,
    "fitted_q": _fitted_q,
    "rest_mcts": _rest_mcts,
}
