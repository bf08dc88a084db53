"""A session that starts its engine when it is first needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from byheart import progress
from byheart.contracts import Engine, Session
from byheart.errors import PluginError, described
from byheart.models import checkpoint
from byheart.types import Generate, Policy, RolloutGroup, Score


class Lazy(Session):
    """The session of `engine` on `model`, started at the first request: a command with nothing to sample starts none.

    `load` takes effect at the next request, and a policy that is already loaded is not loaded again. `start_seconds`
    and `swap_seconds` are the wall seconds that starting, and loading policies, took so far.
    """

    def __init__(
        self, engine: Engine, model: checkpoint.ModelOptions, log: Path, setting: Mapping[str, Any] | None = None
    ) -> None:
        """`engine`, `model` and `setting` are those of the recipe; `log` is the file for what the engine prints."""
        self._engine, self._model, self._log = engine, model, log
        self.setting = setting
        self._wanted: Policy | None = None
        self._session: Session | None = None
        self._loaded = "base"
        self.start_seconds = 0.0
        self.swap_seconds = 0.0

    @property
    def seconds(self) -> float:  # type: ignore[override]  # a property here, an attribute of other sessions
        """The wall seconds that the started session spent generating."""
        return self._session.seconds if self._session else 0.0

    @override
    def load(self, policy: Policy) -> None:
        self._wanted = policy

    @override
    def submit(self, request: Generate | Score) -> int:
        return self._ready().submit(request)

    @override
    def poll(self) -> list[tuple[int, Any]]:
        return self._ready().poll()

    @property
    def spread(self) -> Callable[..., Iterator[RolloutGroup]] | None:  # type: ignore[override]  # as `seconds`
        """The started session's `spread`."""
        return self._ready().spread

    @override
    def sleep(self) -> str:
        return self._session.sleep() if self._session else ""

    @override
    def close(self) -> None:
        if self._session:
            self._session.close()
            self._session = None

    def __enter__(self) -> Self:
        """The engine itself."""
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close the engine."""
        self.close()

    def _ready(self) -> Session:
        """The session, started and with the wanted policy loaded."""
        if self._session is None:
            began = time.monotonic()
            base = checkpoint.fetch(self._model)
            engine = self._engine.placed(base)
            layout = f", {engine.layout()}" if engine.layout() else ""
            line = f"{time.strftime('%H:%M:%S')}  starting the engine ({self._engine.name}{layout})"
            progress.console.print(line, markup=False)
            session: object = engine.start(base, self._model, self._log)
            if not isinstance(session, Session):
                raise PluginError(
                    f"start of the engine {self._engine.name} returned {described(session)}, not a Session"
                )
            self._session = session
            self._loaded = "base"
            self.start_seconds += time.monotonic() - began
        if self._wanted is not None and self._wanted.id != self._loaded:
            began = time.monotonic()
            self._session.load(self._wanted)
            self._loaded = self._wanted.id
            self.swap_seconds += time.monotonic() - began
        return self._session
