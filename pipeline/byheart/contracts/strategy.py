"""The contract of a strategy: how the teacher works on one problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from byheart.plugins.plugin import Plugin
from byheart.types import Problem, Solver

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


@dataclass(frozen=True)
class OneAnswer:
    """Marks an option whose tokens have to fit the model's context together with a prompt."""


AnswerTokens = Annotated[int, OneAnswer()]
"""The type of an option that is the most tokens of one answer."""


class Budget(NamedTuple):
    """The fewest and the most samples a problem, and the most tokens of a sample."""

    fewest: int
    most: int
    max_tokens: int


class Tuning(NamedTuple):
    """Candidate strategies by temperature. Each runs on the first `num_problems` of a round and is scored by how near
    it comes to `wanted` distinct right answers a problem."""

    candidates: Mapping[float, Strategy]
    num_problems: int
    wanted: int


class Strategy(Plugin):
    """Works on one problem at a time. `solve` is a generator: it never sees an engine, a batch or a thread."""

    family: ClassVar[str] = "strategies"
    necessary: ClassVar[tuple[str, ...]] = ("solve",)

    def solve(self, problem: Problem) -> Solver:
        """Yields lists of requests (Generate, Score, Verify, Retrieve, RecordTree, Parallel), is sent as many replies
        in order, and returns the rollouts. At the yield, PromptError is raised where the engine refused a prompt."""
        raise NotImplementedError

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the rest of `recipe` does not go together with this strategy. Loads no model."""

    def budget(self) -> Budget | None:
        """What one problem may cost, for estimates; None where that can't be known in advance."""
        return None

    def tuning(self) -> Tuning | None:
        """The candidates to choose from at the beginning of a round; None where there is only this strategy."""
        return None
