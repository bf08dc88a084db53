"""CommonsenseQA (1811.00937): everyday knowledge, five choices; 9,741 problems to train on and 1,221 held out.

The held-out problems are its validation split, as the answers of its test split were never published.
"""

from __future__ import annotations

from collections.abc import Iterator

from typing_extensions import override

from byheart.tasks.core import choices, rows
from byheart.types import Problem

HUB = rows.Hub(
    "tau/commonsense_qa", "94630fe30dad47192a8546eb75f094926d47e155", choices.COLUMNS, splits=("train", "validation")
)


class CommonsenseQA(choices.ChoiceTask):
    """Questions of everyday knowledge with five choices."""

    @override
    def source(self) -> str:
        return HUB.dataset

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(HUB, "train", seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return self._official(HUB, "validation", seed)
