"""Where completions and scores come from. One engine lives through a whole command and starts when first needed."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from byheart import machine, models, progress, registry
from byheart.types import Engine, Generate, Policy, Score

REGISTRY = {
    "vllm": "byheart.engines.vllm:VLLM",
    "transformers": "byheart.engines.transformers:Transformers",
    "ray": "byheart.engines.ray:Ray",
    "server": "byheart.engines.server:Server",
    "scripted": "byheart.engines.scripted:Scripted",
}


class Lazy:
    """An engine that starts at its first request, so that a command with nothing to sample starts none.

    `load` is remembered until then, and a policy that is already loaded is not loaded again.
    """

    def __init__(self, options: Any, model: models.Options, log: Path) -> None:
        self._options, self._model, self._log = options, model, log
        self._wanted: Policy | None = None
        self._engine: Engine | None = None
        self._loaded = "base"
        self.start_seconds = 0.0
        self.swap_seconds = 0.0

    @property
    def seconds(self) -> float:
        return self._engine.seconds if self._engine else 0.0

    def load(self, policy: Policy) -> None:
        self._wanted = policy

    def submit(self, request: Generate | Score) -> int:
        return self._ready().submit(request)

    def poll(self) -> list[tuple[int, Any]]:
        return self._ready().poll()

    @property
    def spread(self) -> Any:
        """What carries work out by many workers, where the engine is spread over them; else None."""
        return getattr(self._ready(), "spread", None)

    def rest(self) -> str:
        return self._engine.rest() if self._engine else ""

    def close(self) -> None:
        if self._engine:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _ready(self) -> Engine:
        if self._engine is None:
            began = time.monotonic()
            base = models.fetch(self._model)
            options = placed(self._options, base)
            said = f"starting the engine ({self._options.name}{_layout(options)})"
            progress.console.print(f"{time.strftime('%H:%M:%S')}  {said}", markup=False)
            self._engine = registry.resolve("engines", options.name)(options, base, self._model, self._log)
            self._loaded = "base"
            self.start_seconds += time.monotonic() - began
        if self._wanted is not None and self._wanted.id != self._loaded:
            began = time.monotonic()
            self._engine.load(self._wanted)
            self._loaded = self._wanted.id
            self.swap_seconds += time.monotonic() - began
        return self._engine


def placed(options: Any, base: Path) -> Any:
    """The options of the engine to start, on the GPUs that there are: where several copies of the model in `base` have
    room, that is one on each, by Ray on this machine. Raises EngineError where one has not."""
    if options.name != "vllm":
        return options
    from byheart.engines import ray, vllm

    heads = models.config(base).get("num_attention_heads", 1)
    tensor, data = vllm.layout(options, 2 * models.num_parameters(base), heads, machine.gpus())
    one = options.model_copy(update={"tensor_parallel": tensor, "data_parallel": 1})
    return one if data == 1 else ray.Options(name="ray", each=one, workers=data, address="local")


def _layout(options: Any) -> str:
    each, copies = getattr(options, "each", options), getattr(options, "workers", None)
    split = getattr(each, "tensor_parallel", None) or 1
    said = [f"{copies} workers"] * (copies is not None) + [f"each over {split} GPUs"] * (split > 1)
    return ", ".join(["", *said])
