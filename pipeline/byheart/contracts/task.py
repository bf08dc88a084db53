"""The contract of a task: a source of problems, and the verifier of their solutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from byheart.contracts.verifier import Verifier
from byheart.plugins.plugin import Member, Plugin
from byheart.types import Problem

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Task(Plugin):
    """Yields problems. A member gives `verifier` its default: `verifier: Member[Verifier] = named("number")`."""

    family: ClassVar[str] = "tasks"
    necessary: ClassVar[tuple[str, ...]] = ("problems",)

    has_gold: ClassVar[bool] = True
    """Whether problems have gold answers. If not, a verifier that needs them is refused before anything runs."""
    finite: ClassVar[bool] = False
    """Whether there are so few problems that all of them can be checked before the first round."""

    num_train: int = Field(default=400, ge=1, description="training problems per round")
    num_dev: int = Field(default=200, ge=1, description="problems by which a policy is promoted or not")
    num_held_out: int = Field(default=200, ge=1, description="problems that only measure")
    only: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="train only on problems with these values in their meta, such as {digits: [2, 3]}",
    )
    verifier: Member[Verifier] = Field(description="judges solutions; it measures every policy")

    def problems(self, seed: int) -> Iterator[Problem]:
        """Problems in an order that `seed` decides, the same at every call. Raises TaskError where they are not
        available."""
        raise NotImplementedError

    def held_out(self, seed: int) -> Iterator[Problem] | None:
        """The problems of an official test split, in an order that `seed` decides; None if there is none: the first of
        `problems` are held out then."""
        return None

    def source(self) -> str | None:
        """The data set on the hub that the problems come from, whose license a published data set states; or None."""
        return None

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the rest of `recipe` does not fit this task. Loads no model."""
