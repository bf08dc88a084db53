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

from byheart import recipe, registry
from byheart.errors import TaskError
from byheart.tasks import splits
from byheart.types import Problem
from byheart.verifiers import procedural

HASHED = ("isomorphic_strings", "knight_swap", "polynomial_multiplication", "ransom_note", "word_ladder")
"""What these ask or answer depends on the order of a set, and so on Python's hash seed (reasoning-gym 0.1.25)."""
UNFIT = {
    "composite": "it mixes other generators; name one of them",
    "list_functions": "it draws from Python's global random numbers, so its problems can't be had again",
}
MAX_FAILURES = 100
"""After so many problems in a row that the generator could not make, it can make none."""


class Options(splits.Options):
    """`dataset` is the generator's name and `config` its options, all but `seed` and `size`. `prompt` may use
    {problem}; `chat: false` asks it as plain text, for a base model."""

    dataset: str
    config: dict[str, Any] = Field(default={})
    prompt: str = "{problem}\n\nGive the final answer between <answer> and </answer>."
    chat: bool = True
    verifier: recipe.choice("verifiers") = Field(default="procedural", validate_default=True)  # type: ignore[valid-type]

    @field_validator("prompt")
    @classmethod
    def _asks(cls, template: str) -> str:
        splits.check_template(template, problem="")
        return template

    @model_validator(mode="after")
    def _sound(self) -> Options:
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
            made = kind(**self.config)
            if hasattr(made, "validate"):
                made.validate()
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{self.dataset} refuses its config: {error}") from None
        return self


def problems(options: Options, seed: int) -> Iterator[Problem]:
    """Endless. Raises TaskError where the generator can make no problem with its config."""
    block, failed = 0, 0
    while True:
        drawn = random.Random(f"{seed} {block}").getrandbits(32)
        data = _dataset(options, drawn)
        for index in range(len(data)):
            try:
                entry = data[index]
            except (ArithmeticError, LookupError, RuntimeError, ValueError) as error:
                failed += 1
                if failed > MAX_FAILURES:
                    raise TaskError(f"{options.dataset} makes no problem with this config: {error}") from None
                continue
            failed = 0
            yield _problem(options, entry, drawn, index)
        block += 1


def _problem(options: Options, entry: dict[str, Any], seed: int, index: int) -> Problem:
    """`meta` says what makes this entry again, and holds the entry itself, as JSON gives it back, for its scorer."""
    made = {"dataset": options.dataset, "config": options.config, "seed": seed, "index": index}
    made["entry"] = json.loads(json.dumps(entry, default=str))
    answer = None if entry["answer"] is None else str(entry["answer"])
    prompt = splits.asked(options.prompt.format(problem=entry["question"]), options.chat)
    return Problem.of(prompt, answer, options.verifier.name, {"reasoning_gym": made})


def _dataset(options: Options, seed: int) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(options.dataset, **options.config, seed=seed)


def _generators() -> dict[str, tuple[type, type]]:
    """Name -> (class, class of its config)."""
    import reasoning_gym.factory

    known: dict[str, tuple[type, type]] = reasoning_gym.factory.DATASETS
    return known
