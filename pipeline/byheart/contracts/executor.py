"""The contract of an executor: where the engines of a command are, and how problems are spread over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from byheart.contracts.engine import Engine, Session
from byheart.plugins.plugin import Plugin
from byheart.types import Policy, Problem, RolloutGroup

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe
    from byheart.models.checkpoint import ModelOptions

Work = Callable[[Iterable[Problem | None], Session], Iterator[RolloutGroup]]
"""What is done with problems beside an engine: it yields their rollout groups in the order in which they finish. A None
among the problems means that there are none just now. It can be pickled."""


class Workers(ABC):
    """The running engines of a command, each with a driver and verifiers beside it, which all stages share."""

    setting: Mapping[str, Any] | None = None
    """What decides their answers beside policy and request, which is part of the digest of every stage that they serve:
    the options of the model, and the arguments that a recipe hands through. Which engine answers, and where, is not."""
    seconds: float = 0.0
    """Wall seconds spent generating so far."""
    start_seconds: float = 0.0
    """Of all wall seconds so far, those that starting took."""
    swap_seconds: float = 0.0
    """Of all wall seconds so far, those that loading policies took."""

    @abstractmethod
    def load(self, policy: Policy) -> None:
        """Replace the policy of every engine by `policy`, while no work is done."""

    @abstractmethod
    def map(self, problems: Iterable[Problem | None], work: Work) -> Iterator[RolloutGroup]:
        """Do `work` on `problems`, once no other work is done: the rollout group of each, in the order in which they
        finish. Where there are several engines, all problems are read before the first is begun. Raises what the engine
        raises, and EngineError where no engine is left."""

    def sleep(self) -> str:
        """Release GPU memory until the next work, while no work is done. Returns a status line, or "" if there is none
        to release."""
        return ""

    def close(self) -> None:  # noqa: B027  # where nothing is held there is nothing to release
        """Release memory and processes. Closing twice is harmless."""

    def __enter__(self) -> Self:
        """The workers themselves."""
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the workers."""
        self.close()


class Executor(Plugin):
    """Where engines run. It decides no result, so the executor of a run may change."""

    family: ClassVar[str] = "executors"
    necessary: ClassVar[tuple[str, ...]] = ("start",)

    remote: ClassVar[bool] = False
    """Whether its engines take no memory of this machine."""

    def placed(self, engine: Engine, base: Path) -> tuple[Executor, Engine]:
        """The executor and the engine to start for the model in `base`: these, or others that use the machine better.
        Raises EngineError where the model does not fit."""
        return self, engine

    def start(self, engine: Engine, base: Path, model: ModelOptions, log: Path) -> Workers:
        """Start `engine` on the model directory `base`; what it prints goes to the file `log`. Raises EngineError where
        it can't start."""
        raise NotImplementedError

    def layout(self, engine: Engine) -> str:
        """How `engine` is spread over workers and GPUs, in words; "" if it is not."""
        return engine.layout()

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the rest of `recipe` does not fit this executor. Loads no model."""
