"""Problems of reasoning-gym's generators (2505.24760), endless and reproducible: (seed, index) -> problem.

The problems come in blocks of a generator's default size, each with a seed of its own, since in some generators a
problem depends on the size as well.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from byheart.contracts import Task, Verifier
from byheart.errors import TaskError
from byheart.plugins import registry
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import splits
from byheart.types import Problem
from byheart.verifiers import procedural

HASHED = ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder")
"""Generators whose problems depend on the order of a set, and so on Python's hash seed (reasoning-gym 0.1.25)."""
UNFIT = {
    "composite": "it mixes other generators; name one of them",
    "list_functions": "it draws from Python's global random numbers, so its problems can't be had again",
}
"""Generators that are refused, and why."""
MAX_FAILURES = 100
"""After this many failures in a row the generator is taken to make no problem at all."""


class ReasoningGym(Task):
    """Problems of one of reasoning-gym's generators."""

    dataset: str = Field(description="name of the generator")
    config: dict[str, Any] = Field(default={}, description="options of the generator, all but seed and size")
    prompt: str = Field(
        default="{problem}\n\nGive the final answer between <answer> and </answer>.",
        description="template of the prompt: may use {problem}; every other brace is doubled",
    )
    chat: bool = Field(default=True, description="ask as a chat message; false: as plain text, for a base model")
    verifier: Member[Verifier] = named("procedural", "judges solutions; it measures every policy")

    @field_validator("prompt")
    @classmethod
    def _asks(cls, template: str) -> str:
        splits.check_template(template, problem="")
        return template

    @model_validator(mode="after")
    def _sound(self) -> ReasoningGym:
        procedural.require()
        known = _generators()
        if self.dataset not in known:
            raise ValueError(f"reasoning-gym has no {self.dataset!r}{registry.nearest(self.dataset, known)}")
        if self.dataset in UNFIT:
            raise ValueError(f"{self.dataset}: {UNFIT[self.dataset]}")
        if self.dataset in HASHED and os.environ.get("PYTHONHASHSEED", "random") == "random":
            raise ValueError(f"{self.dataset} asks the same again only with PYTHONHASHSEED=0 in the environment")
        kind = known[self.dataset][1]
        names = {field.name for field in dataclasses.fields(kind)} - {"seed", "size"}
        for key in self.config:
            if key not in names:
                near = registry.nearest(key, names)
                raise ValueError(f"{self.dataset} has no option {key!r}{near}; it has {', '.join(sorted(names))}")
        try:
            config = kind(**self.config)
            if hasattr(config, "validate"):
                config.validate()
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{self.dataset} refuses its config: {error}") from None
        return self

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        """Endless. Raises TaskError where the generator makes no problem with its config."""
        block, failed = 0, 0
        while True:
            block_seed = random.Random(f"{seed} {block}").getrandbits(32)
            data = self._dataset(block_seed)
            for index in range(len(data)):
                try:
                    entry = data[index]
                except (ArithmeticError, LookupError, RuntimeError, ValueError) as error:
                    failed += 1
                    if failed > MAX_FAILURES:
                        raise TaskError(f"{self.dataset} makes no problem with this config: {error}") from None
                    continue
                failed = 0
                yield self._problem(entry, block_seed, index)
            block += 1

    def _problem(self, entry: dict[str, Any], seed: int, index: int) -> Problem:
        """The problem of an entry. Its `meta` holds what makes the entry again, and for its scorer the entry itself, as
        JSON gives it back."""
        origin = {"dataset": self.dataset, "config": self.config, "seed": seed, "index": index}
        origin["entry"] = json.loads(json.dumps(entry, default=str))
        answer = None if entry["answer"] is None else str(entry["answer"])
        prompt = splits.as_prompt(self.prompt.format(problem=entry["question"]), self.chat)
        return Problem.of(prompt, answer, self.verifier.name, {"reasoning_gym": origin})

    def _dataset(self, seed: int) -> Any:
        import reasoning_gym

        return reasoning_gym.create_dataset(self.dataset, **self.config, seed=seed)


def _generators() -> dict[str, tuple[type, type]]:
    """Name of a generator -> (class, class of its config)."""
    import reasoning_gym.factory

    known: dict[str, tuple[type, type]] = reasoning_gym.factory.DATASETS
    return known
