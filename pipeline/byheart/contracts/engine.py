"""The contract of an engine: where completions and scores come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from byheart.plugins.plugin import Plugin
from byheart.types import Generate, Policy, Score

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe
    from byheart.models.checkpoint import ModelOptions


class Session(ABC):
    """A running engine: it takes requests and answers them later, in any order."""

    seconds: float = 0.0
    """Wall seconds spent generating so far."""

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
        for a Generate, a list of floats or None for a Score. A completion ends at one of `chat.end_tokens`, and its
        text is what `chat.decode_answer` makes of its tokens, whatever settings of sampling the model's own files hold.
        Raises EngineError where sampling failed."""

    def sleep(self) -> str:
        """Release GPU memory until the next request, while no request is open. Returns a status line, or "" if there is
        none to release."""
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

    def fit(self, base: Path) -> tuple[Engine, int]:
        """This engine as one copy of the model in `base` fits the GPUs of this machine, and the number of copies to
        run: 1 for what `single` returned. Raises EngineError where the model does not fit."""
        return self, 1

    def single(self) -> Engine:
        """This engine as one copy of the model, on the GPUs that it sees. Raises RecipeError where its options ask for
        several."""
        return self

    def num_gpus(self) -> int:
        """GPUs that one copy of the model is split over, according to the options."""
        return 1

    def layout(self) -> str:
        """How one copy is spread over GPUs, in words; "" if it is not."""
        return f"over {self.num_gpus()} GPUs" if self.num_gpus() > 1 else ""

    def at_once(self, gpu: bool) -> int:
        """Completions that each copy of the model decodes at once, with a `gpu` or without."""
        return 1

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the rest of `recipe` does not fit this engine. Loads no model."""

    def check_model(self, base: Path) -> None:
        """Raises ModelError where it can't load the model in the directory `base`. Loads no model."""

    def check_machine(self) -> None:
        """Raises RecipeError where its options ask for more than this machine has."""
