"""The tree that all searches share: steps of solutions to one problem, what they are worth, why some are closed.

Nothing here knows a model or makes requests, so it is tested by itself. A search expands the tree with `add`, finds the
next leaf with `select`, records what a visit brought back with `backpropagate` or `average`, and closes branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from byheart.text import normalised


@dataclass(eq=False)
class Node:
    """A step, and by its parents all steps before it; the root is the problem itself, with no step.

    `ended`: the solution is whole with this step. `count`: how many times it was sampled here. `logprob` is that of the
    step given those before it (nats, under the policy), `value` the chance of a right answer from here (0..1) by the
    value model; `seed` that of the completion it was sampled in. `total` is the sum of the rewards of all `visits`.
    `closed` says why the search goes no further here; "" while it may.
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
        """The nodes from the first step to this one, without the root."""
        return [*self.parent.path, self] if self.parent else []

    @property
    def text(self) -> str:
        """The solution up to and including this step."""
        return "".join(node.step for node in self.path)

    @property
    def mean(self) -> float:
        """The mean reward of the visits; before the first visit the value, or 0.5 where there is no value."""
        if self.visits:
            return self.total / self.visits
        return 0.5 if self.value is None else self.value

    @property
    def prior(self) -> float:
        """The policy's probability of this step among those that were sampled after the same steps."""
        if not self.parent:
            return 1.0
        return math.exp(self.logprob - _log_sum([node.logprob for node in self.parent.children]))


def _log_sum(logs: list[float]) -> float:
    greatest = max(logs)
    return greatest + math.log(sum(math.exp(log - greatest) for log in logs))


def add(
    parent: Node,
    step: str,
    ended: bool = False,
    num_tokens: int = 0,
    logprob: float = 0.0,
    seed: int = 0,
    same: Callable[[str], str] = normalised,
) -> Node:
    """The child of `parent` with this step: a new one, or an existing one whose step maps to the same text by `same`,
    with its `count` raised by one."""
    for child in parent.children:
        if child.ended == ended and same(child.step) == same(step):
            child.count += 1
            return child
    child = Node(step, parent, ended, num_tokens, logprob, seed)
    parent.children.append(child)
    return child


def close(node: Node, reason: str) -> None:
    """Close `node` for `reason`, unless it is closed; a parent that is left with no open child is closed as
    "exhausted"."""
    node.closed = node.closed or reason
    parent = node.parent
    if parent and not parent.closed and all(child.closed for child in parent.children):
        close(parent, "exhausted")


def nodes(root: Node) -> Iterator[Node]:
    """All nodes depth first, parents before their children, siblings in order."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children)


Rule = Callable[[Node, float], tuple[bool, float]]
"""The selection score of a child, given the weight of exploration: the greatest is selected, of equals the first in
order. Where the first part is True, for a child that was never visited, it comes before those that were."""


def uct(child: Node, c: float) -> tuple[bool, float]:
    """UCB1 applied to trees (Kocsis and Szepesvári 2006): mean + c * sqrt(ln N / n)."""
    return (False, child.mean + c * _unsure(child)) if child.visits else (True, child.mean)


def rest_mcts(child: Node, c: float) -> tuple[bool, float]:
    """ReST-MCTS* (2406.03816): mean + c * sqrt(2 ln N / n), where `average` sets the mean."""
    return (False, child.mean + c * math.sqrt(2) * _unsure(child)) if child.visits else (True, child.mean)


def puct(child: Node, c: float) -> tuple[bool, float]:
    """AlphaZero's rule (1712.01815), with the policy's probability P as prior: mean + c * P * sqrt(N) / (1 + n)."""
    assert child.parent
    return False, child.mean + c * child.prior * math.sqrt(child.parent.visits) / (1 + child.visits)


def rstar(child: Node, c: float) -> tuple[bool, float]:
    """rStar-Math (2501.04519) as in its published code: UCT, but a child never visited scores its value alone."""
    return False, child.mean + (c * _unsure(child) if child.visits else 0.0)


def _unsure(child: Node) -> float:
    assert child.parent
    return math.sqrt(math.log(max(child.parent.visits, 1)) / child.visits)


def select(root: Node, rule: Rule, c: float) -> Node | None:
    """The leaf that `rule` selects, going down over open children; None where all are closed."""
    node = root
    while not node.closed and node.children:
        node = max((child for child in node.children if not child.closed), key=lambda child: rule(child, c))
    return None if node.closed else node


def backpropagate(node: Node, reward: float) -> None:
    """Add a visit with `reward` to `node` and all nodes before it."""
    current: Node | None = node
    while current:
        current.visits += 1
        current.total += reward
        current = current.parent


def average(node: Node, reward: float) -> None:
    """Add a visit with `reward` to `node`: its mean becomes `reward`, and that of each node before it the mean of its
    children's, weighted by their visits (ReST-MCTS*, 2406.03816, algorithm 2)."""
    node.visits += 1
    node.total = reward * node.visits
    current = node.parent
    while current:
        current.visits += 1
        visited = [child for child in current.children if child.visits]
        current.total = current.visits * sum(child.total for child in visited) / sum(child.visits for child in visited)
        current = current.parent
