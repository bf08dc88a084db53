"""Workers that start when they are first needed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from byheart import progress
from byheart.contracts import Engine, Executor, Work, Workers
from byheart.errors import PluginError, described
from byheart.models import checkpoint
from byheart.types import Policy, Problem, RolloutGroup
from byheart.watch import Watch


class Lazy(Workers):
    """The workers of `executor` with `engine` on `model`, started for their first work: a command with nothing to
    sample starts none. `load` takes effect with the next work, and a policy that is loaded is not loaded again."""

    def __init__(
        self,
        executor: Executor,
        engine: Engine,
        model: checkpoint.ModelOptions,
        log: Path,
        setting: Mapping[str, Any] | None = None,
    ) -> None:
        """All but `log`, the file for what engines print, are those of the recipe."""
        self._executor, self._engine, self._model, self._log = executor, engine, model, log
        self.setting = setting
        self._workers: Workers | None = None
        self._wanted: Policy | None = None
        self._loaded = "base"
        self.start_seconds = 0.0
        self.swap_seconds = 0.0

    @property
    def seconds(self) -> float:  # type: ignore[override]  # a property here, an attribute of other workers
        """The wall seconds that the started workers spent generating."""
        return self._workers.seconds if self._workers else 0.0

    @override
    def load(self, policy: Policy) -> None:
        self._wanted = policy

    @override
    def map(self, problems: Iterable[Problem | None], work: Work) -> Iterator[RolloutGroup]:
        workers = self._ready()
        try:
            yield from workers.map(problems, work)
        except BaseException:
            self.close()  # the engine may have open requests: the next work starts another
            raise

    @override
    def sleep(self) -> str:
        return self._workers.sleep() if self._workers else ""

    @override
    def close(self) -> None:
        if self._workers:
            self._workers.close()
            self._workers = None

    def _ready(self) -> Workers:
        """The workers, started and with the wanted policy loaded."""
        if self._workers is None:
            began = time.monotonic()
            self._workers, self._loaded = self._started(), "base"
            self.start_seconds += time.monotonic() - began
        if self._wanted is not None and self._wanted.id != self._loaded:
            began = time.monotonic()
            self._workers.load(self._wanted)
            self._loaded = self._wanted.id
            self.swap_seconds += time.monotonic() - began
        return self._workers

    def _started(self) -> Workers:
        base = checkpoint.fetch(self._model)
        executor, engine = self._executor.placed(self._engine, base)
        layout = ", ".join(filter(None, (engine.name, executor.layout(engine))))
        progress.console.print(f"{time.strftime('%H:%M:%S')}  starting the engine ({layout})")
        with Watch("starting the engine", os.getpid(), self._log):
            workers: object = executor.start(engine, base, self._model, self._log)
        if not isinstance(workers, Workers):
            raise PluginError(f"start of the executor {executor.name} returned {described(workers)}, not Workers")
        return workers
