"""The tree that all searches share: steps of solutions to one problem, what they are worth, why some are closed.

Nothing here knows a model or asks for anything, so it is played through in tests. A search grows it with `add`, finds
the next leaf with `descend`, tells it what came of one with `back_up` or `average`, and closes what it is done with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from byheart.wording import normalised


@dataclass(eq=False)
class Node:
    """A step, and by its parents the whole way to it; the root is the problem, with nothing said yet.

    `ended`: the solution is whole with this step. `count`: how many times it was written here. `logprob` is that of the
    step after those before it (nats, under the policy), `value` the chance of a right answer from here (0..1) by the
    value model; `seed` that of the completion it was written in. `total` is the sum of what `visits` brought back.
    `closed` says why nothing more will come of it.
    """

    step: str = ""
    parent: Node | None = None
    ended: bool = False
    num_tokens: int = 0
    logprob: float = 0.0
    seed: int = 0
    value: float | None = None
    count: int = 1
    visits: int = 0
    total: float = 0.0
    closed: str = ""
    children: list[Node] = field(default_factory=list)

    @property
    def path(self) -> list[Node]:
        """The steps from the first to this one, the root left out."""
        return [*self.parent.path, self] if self.parent else []

    @property
    def text(self) -> str:
        return "".join(node.step for node in self.path)

    @property
    def mean(self) -> float:
        """What a visit brought back on average; before the first one, the value, or without one 0.5."""
        if self.visits:
            return self.total / self.visits
        return 0.5 if self.value is None else self.value

    @property
    def prior(self) -> float:
        """The policy's probability of this step among those that were written at the same place."""
        if not self.parent:
            return 1.0
        return math.exp(self.logprob - _log_sum([node.logprob for node in self.parent.children]))


def _log_sum(logs: list[float]) -> float:
    most = max(logs)
    return most + math.log(sum(math.exp(one - most) for one in logs))


def add(
    parent: Node,
    step: str,
    ended: bool = False,
    num_tokens: int = 0,
    logprob: float = 0.0,
    seed: int = 0,
    same: Callable[[str], str] = normalised,
) -> Node:
    """The child of `parent` with this step: a new one, or where the same was written before, as far as `same` can tell,
    that one, counted once more."""
    for child in parent.children:
        if child.ended == ended and same(child.step) == same(step):
            child.count += 1
            return child
    child = Node(step, parent, ended, num_tokens, logprob, seed)
    parent.children.append(child)
    return child


def close(node: Node, why: str) -> None:
    """Nothing more is to come of `node`; and where that leaves a parent with no open child, nothing of the parent."""
    node.closed = node.closed or why
    parent = node.parent
    if parent and not parent.closed and all(child.closed for child in parent.children):
        close(parent, "exhausted")


def nodes(root: Node) -> Iterator[Node]:
    """All nodes, parents before their children."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        left += reversed(node.children)


Rule = Callable[[Node, float], tuple[bool, float]]
"""How much a child deserves the next visit, with the weight of exploration: of two, the greater; of equals, the one
that was written first. What was never visited comes before what was, where the first part says so."""


def uct(child: Node, c: float) -> tuple[bool, float]:
    """UCB1 applied to trees (Kocsis and Szepesvári 2006): mean + c * sqrt(ln N / n)."""
    return (False, child.mean + c * _unsure(child)) if child.visits else (True, child.mean)


def rest_mcts(child: Node, c: float) -> tuple[bool, float]:
    """ReST-MCTS* (2406.03816): mean + c * sqrt(2 ln N / n), the mean being what `average` made of it."""
    return (False, child.mean + c * math.sqrt(2) * _unsure(child)) if child.visits else (True, child.mean)


def puct(child: Node, c: float) -> tuple[bool, float]:
    """AlphaZero's rule (1712.01815), the prior being the policy's: mean + c * P * sqrt(N) / (1 + n)."""
    assert child.parent
    return False, child.mean + c * child.prior * math.sqrt(child.parent.visits) / (1 + child.visits)


def rstar(child: Node, c: float) -> tuple[bool, float]:
    """rStar-Math (2501.04519) as published in code: UCT, but that a child never visited is worth its value alone."""
    return False, child.mean + (c * _unsure(child) if child.visits else 0.0)


def _unsure(child: Node) -> float:
    assert child.parent
    return math.sqrt(math.log(max(child.parent.visits, 1)) / child.visits)


def descend(root: Node, rule: Rule, c: float) -> Node | None:
    """The leaf that `rule` leads to over open children; None where all is closed."""
    node = root
    while not node.closed and node.children:
        node = max((child for child in node.children if not child.closed), key=lambda child: rule(child, c))
    return None if node.closed else node


def back_up(node: Node, reward: float) -> None:
    """One visit of `node` and of all before it brought back `reward`."""
    at: Node | None = node
    while at:
        at.visits += 1
        at.total += reward
        at = at.parent


def average(node: Node, reward: float) -> None:
    """A visit of `node` brought back `reward`: that is its mean now, and that of all before it becomes the mean of
    their children's, weighted by their visits (ReST-MCTS*, 2406.03816, algorithm 2)."""
    node.visits += 1
    node.total = reward * node.visits
    at = node.parent
    while at:
        at.visits += 1
        visited = [child for child in at.children if child.visits]
        at.total = at.visits * sum(child.total for child in visited) / sum(child.visits for child in visited)
        at = at.parent
