"""What a policy is measured to: its answers to the problems of each split, as baseline.jsonl and evaluate.jsonl hold
them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from byheart.evaluation.metrics import Kind
from byheart.evaluation.values import Valued
from byheart.files import read_record
from byheart.types import Record


@dataclass(frozen=True, slots=True)
class Outcome(Record):
    """What one answer came to. `right` is None where it could not be judged; `num_tokens` were generated for it. It was
    `cut_off`, or it is `unread`: the verifier found no answer in it. Where it is not right, and to a held-out problem,
    the right answer is `mentioned` in it or not, or that can't be told (see mentions.py)."""

    right: bool | None
    num_tokens: int
    response: str
    cut_off: bool = False
    unread: bool = False
    mentioned: Annotated[bool | None, Field(exclude_if=lambda mentioned: mentioned is None)] = None


UNASKED = Outcome(None, 0, "")


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """How a policy did on one problem. Each measurement fills in fields of its own (measurements.py).

    `slow` is what the strategy came to. `group` is the problem's value of evaluation.group_by. `classes` are the judged
    samples by their answer: (number of samples, whether it is right). Answers that the verifier calls equal are one
    class; a sample that was cut off, or in which no answer was read, is a class of its own. Of the right samples
    `distinct` are different texts but for case and spacing. `valued` are the complete samples, where the policy has a
    scorer that values steps. `straight` is `worked` again with going back forbidden, where rows taught to go back.
    """

    problem_id: str
    fast: Outcome = UNASKED
    worked: Outcome = UNASKED
    slow: Outcome | None = None
    group: str | None = None
    classes: list[tuple[int, bool]] = field(default_factory=list)
    distinct: int = 0
    valued: list[Valued] = field(default_factory=list)
    straight: Outcome | None = None

    def kind(self, kind: Kind) -> Outcome:
        """The greedy answer of one kind."""
        return self.fast if kind == "fast" else self.worked


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """The answers of one policy to the problems of each split. `base`: by problem id, whether the base model's slow
    answer in round 1 was right; `also`: by name, the answers to the problems of each other task."""

    policy: str
    splits: dict[str, list[Answer]]
    base: dict[str, bool | None] = field(default_factory=dict)
    also: Annotated[dict[str, list[Answer]], Field(exclude_if=lambda also: not also)] = field(default_factory=dict)


def read_measure(name: str) -> Callable[[Path], Measure]:
    """A function that reads the measure that the stage `name` wrote to the directory of its round."""
    return lambda folder: read_record(folder / f"{name}.jsonl", Measure)
