"""One engine, beside the command: on all GPUs of this machine, where the model fits them several times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from byheart.contracts import Engine, Executor, Session, Work, Workers
from byheart.errors import PluginError, described
from byheart.models import checkpoint
from byheart.types import Policy, Problem, RolloutGroup

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Local(Executor):
    """Runs the engine in the process of the command, or one copy on each GPU of this machine."""

    @override
    def placed(self, engine: Engine, base: Path) -> tuple[Executor, Engine]:
        """Several copies of the model are workers of a Ray cluster on this machine."""
        from byheart.executors.ray import Ray

        copy, number = engine.fit(base)
        return (Ray(num_workers=number, address="local") if number > 1 else self), copy

    @override
    def start(self, engine: Engine, base: Path, model: checkpoint.ModelOptions, log: Path) -> LocalWorkers:
        session: object = engine.start(base, model, log)
        if not isinstance(session, Session):
            raise PluginError(f"start of the engine {engine.name} returned {described(session)}, not a Session")
        return LocalWorkers(session)

    @override
    def check(self, recipe: Recipe) -> None:
        recipe.engine.check_machine()


class LocalWorkers(Workers):
    """One running engine in this process."""

    def __init__(self, session: Session) -> None:
        """`session` is the engine's; it is closed with the workers."""
        self._session = session

    @property
    def seconds(self) -> float:  # type: ignore[override]  # a property here, an attribute of other workers
        """The wall seconds that the engine spent generating."""
        return self._session.seconds

    @override
    def load(self, policy: Policy) -> None:
        self._session.load(policy)

    @override
    def map(self, problems: Iterable[Problem | None], work: Work) -> Iterator[RolloutGroup]:
        return work(problems, self._session)

    @override
    def sleep(self) -> str:
        return self._session.sleep()

    @override
    def close(self) -> None:
        self._session.close()
