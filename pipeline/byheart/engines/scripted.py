"""An engine that reads its answers from a file: for tests of everything around an engine, without a model.

The file is JSON, the text of a problem's last message -> a list of answers. A sampled completion is the answer that
its seed picks, so that the same request is answered the same way in every process; a greedy one is the first answer.
A key "adapter: ..." holds what a trained policy says, where that is something else; "score: ..." the number that a
policy's scorer gives to a response, or none.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from pydantic import Field

from byheart import models, recipe
from byheart.errors import EngineError
from byheart.types import Completion, Generate, Policy, Score


class Options(recipe.Choice):
    """`script` is the file; `delay` the seconds that one poll takes; `max_sequences` the requests it answers."""

    script: str
    delay: float = Field(default=0.0, ge=0)
    max_sequences: int = Field(default=128, ge=1)


class Scripted:
    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        script = options.locate(options.script) or Path(options.script)
        self._answers: dict[str, Any] = json.loads(script.read_text("utf-8"))
        self._options = options
        self._queue: deque[tuple[int, Generate | Score]] = deque()
        self._tickets = 0
        self._policy = Policy(model.name)
        self.seconds = 0.0

    def load(self, policy: Policy) -> None:
        self._policy = policy

    def submit(self, request: Generate | Score) -> int:
        self._tickets += 1
        self._queue.append((self._tickets, request))
        return self._tickets

    def poll(self) -> list[tuple[int, Any]]:
        time.sleep(self._options.delay)
        self.seconds += self._options.delay
        take = min(self._options.max_sequences, len(self._queue))
        taken = [self._queue.popleft() for _ in range(take)]
        return [
            (ticket, self._scores(request) if isinstance(request, Score) else self._completions(request))
            for ticket, request in taken
        ]

    def rest(self) -> str:
        return ""

    def close(self) -> None:
        self._queue.clear()

    def _scores(self, request: Score) -> list[float | None]:
        scorer = self._policy.scorer
        return [self._answers.get(f"score: {response}") if scorer else None for response in request.responses]

    def _completions(self, request: Generate) -> list[Completion]:
        last = request.prompt if isinstance(request.prompt, str) else request.prompt[-1]["content"]
        answers = self._answers.get(last)
        if self._policy.id != "base":
            answers = self._answers.get(f"adapter: {last}", answers)
        if answers is None:
            raise EngineError(f"{self._options.script} has no answers to {last!r}")
        seeds = [request.seed + index for index in range(request.n)]
        texts = [answers[seed % len(answers) if request.temperature else 0] for seed in seeds]
        return [
            Completion(text, list(range(len(text.split()) + 1)), "stop", self._policy.id, seed)
            for text, seed in zip(texts, seeds, strict=True)
        ]
