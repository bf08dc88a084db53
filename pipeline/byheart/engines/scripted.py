"""An engine that reads its answers from a file: for tests of everything around an engine, without a model.

The file is a JSON object: text of a prompt's last message -> list of answers. A sampled completion is the answer that
its seed picks, so the same request gets the same answer in every process; a greedy one is the first answer. A key
"adapter: TEXT" holds the answers of a trained policy, if they differ; "score: RESPONSE" the score that a scorer gives a
response, or null.
"""

from __future__ import annotations

import json
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Engine, Session
from byheart.errors import EngineError, RecipeError
from byheart.models import checkpoint
from byheart.types import Completion, Generate, Policy, Score

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Scripted(Engine):
    """Answers from a file, for tests."""

    script: str = Field(description="JSON file of the answers")
    delay: float = Field(default=0.0, ge=0, description="seconds that one poll takes")
    max_num_seqs: int = Field(default=128, ge=1, description="requests answered by one poll")

    @override
    def start(self, base: Path, model: checkpoint.ModelOptions, log: Path) -> ScriptedSession:
        return ScriptedSession(self, base, model, log)

    @override
    def at_once(self, gpu: bool) -> int:
        return self.max_num_seqs

    @override
    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the script can't be used."""
        self._answers()

    def _answers(self) -> dict[str, Any]:
        path = self.locate(self.script)
        if path is None or not path.is_file():
            raise RecipeError(f"engine.script: there is no file {self.script}; looked for {self.places(self.script)}")
        try:
            answers = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RecipeError(f"engine.script: {path} is not a JSON file ({error})") from None
        if not isinstance(answers, dict) or not all(_is_answer(*entry) for entry in answers.items()):
            raise RecipeError(
                f"engine.script: {path} has to be a JSON object: the text of a prompt to a list of answers, and "
                '"score: RESPONSE" to a number or null'
            )
        return answers


def _is_answer(key: str, value: object) -> bool:
    """Whether the script may hold `value` under `key`."""
    if key.startswith("score: "):
        return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


class ScriptedSession(Session):
    """The answers of a script."""

    def __init__(self, options: Scripted, base: Path, model: checkpoint.ModelOptions, log: Path) -> None:
        """Read the script; `base` and `log` are not used. Raises RecipeError where it can't be used."""
        self._answers = options._answers()
        self._options = options
        self._queue: deque[tuple[int, Generate | Score]] = deque()
        self._tickets = 0
        self._policy = Policy(model.name)
        self.seconds = 0.0

    @override
    def load(self, policy: Policy) -> None:
        self._policy = policy

    @override
    def submit(self, request: Generate | Score) -> int:
        self._tickets += 1
        self._queue.append((self._tickets, request))
        return self._tickets

    @override
    def poll(self) -> list[tuple[int, Any]]:
        time.sleep(self._options.delay)
        self.seconds += self._options.delay
        count = min(self._options.max_num_seqs, len(self._queue))
        taken = [self._queue.popleft() for _ in range(count)]
        return [
            (ticket, self._scores(request) if isinstance(request, Score) else self._completions(request))
            for ticket, request in taken
        ]

    @override
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
