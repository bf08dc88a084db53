"""CommonsenseQA (1811.00937): everyday knowledge, five choices; 9,741 problems to train on and 1,221 held out.

What is held out is its validation split, as the answers of its test split were never published.
"""

from __future__ import annotations

from collections.abc import Iterator

from byheart.tasks import choices, rows
from byheart.types import Problem

HUB = rows.Hub(
    "tau/commonsense_qa", "94630fe30dad47192a8546eb75f094926d47e155", choices.COLUMNS, splits=("train", "validation")
)


class Options(choices.Options):
    pass


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(HUB, "train", options, seed, choices.problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    return rows.held_out(HUB, "validation", options, seed, choices.problem)
