"""The contract of an engine: where completions and scores come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from byheart.plugins.plugin import Plugin
from byheart.types import Generate, Policy, RolloutGroup, Score

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe
    from byheart.models.checkpoint import ModelOptions


class Session(ABC):
    """A running engine: it takes requests and answers them later, in any order. A command has one."""

    setting: Mapping[str, Any] | None = None
    """What decides its answers beside policy and request, which is part of the digest of every stage that it serves:
    the options of the model, and the arguments that a recipe hands through. Which engine answers is not."""
    spread: Callable[..., Iterator[RolloutGroup]] | None = None
    """For an engine of many workers: a method that does work on problems there (strategies/core/work.py), else None."""
    seconds: float = 0.0
    """Wall seconds spent generating so far."""

    start_seconds: float = 0.0
    """Of all wall seconds so far, those that starting took."""
    swap_seconds: float = 0.0
    """Of all wall seconds so far, those that loading policies took."""

    @abstractmethod
    def load(self, policy: Policy) -> None:
        """Replace the policy by `policy`, while no request is open. Nothing cached under the old policy is used
        again."""

    @abstractmethod
    def submit(self, request: Generate | Score) -> int:
        """Queue `request` and return its ticket at once. Raises PromptError where its prompt is refused."""

    @abstractmethod
    def poll(self) -> list[tuple[int, Any]]:
        """Advance by one step. Returns (ticket, answer) for each request that is now answered: a list of Completions
        for a Generate, a list of floats or None for a Score. Raises EngineError where sampling failed."""

    def sleep(self) -> str:
        """Release GPU memory until the next request. Returns a status line, or "" if there is none to release."""
        return ""

    def close(self) -> None:  # noqa: B027  # an engine that holds nothing has nothing to release
        """Release memory and processes. Closing twice is harmless."""


class Engine(Plugin):
    """How completions and scores are computed. It decides no result, so the engine of a run may change."""

    family: ClassVar[str] = "engines"
    necessary: ClassVar[tuple[str, ...]] = ("start",)

    remote: ClassVar[bool] = False
    """Whether it computes elsewhere and takes no memory of this machine."""

    takes_args: ClassVar[bool] = False
    """Whether it takes a recipe's `engine_args`, which are options of vLLM's EngineArgs."""

    def with_args(self, args: Mapping[str, Any]) -> Engine:
        """This engine with a recipe's `engine_args`, where it takes them."""
        return self

    def start(self, base: Path, model: ModelOptions, log: Path) -> Session:
        """Start it on the model directory `base`; its output goes to the file `log`. Raises EngineError where it can't
        start."""
        raise NotImplementedError

    def placed(self, base: Path) -> Engine:
        """The engine to start for the model in `base` on the available GPUs: this one, or one that runs several copies
        of it. Raises EngineError where the model does not fit."""
        return self

    def worker(self) -> Engine:
        """The engine of one worker, if this one has many; else this one."""
        return self

    def num_gpus(self) -> int:
        """GPUs that one copy of the model is split over, according to the options."""
        return 1

    def layout(self) -> str:
        """How it is spread over workers and GPUs, in words; "" if it is not."""
        return f"over {self.num_gpus()} GPUs" if self.num_gpus() > 1 else ""

    def at_once(self, gpu: bool) -> int:
        """Completions that each copy of the model decodes at once, with a `gpu` or without."""
        return 1

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the rest of `recipe` does not fit this engine. Loads no model."""
