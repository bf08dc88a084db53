"""ARC (1803.05457): science questions of school exams with mostly four choices, in a harder and an easier set.

Challenge has 1,119 problems to train on, 299 for validation, which are trained on too, and 1,172 held out; Easy 2,251,
570 and 2,376.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field
from typing_extensions import override

from byheart.tasks.core import choices, rows
from byheart.types import Problem

_DATASET, _REVISION = "allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453"
_SPLITS = ("train", "validation", "test")
HUBS = {
    config: rows.Hub(_DATASET, _REVISION, choices.COLUMNS, config, _SPLITS) for config in ("ARC-Challenge", "ARC-Easy")
}


class ARC(choices.ChoiceTask):
    """The AI2 Reasoning Challenge."""

    config: Literal["ARC-Challenge", "ARC-Easy"] = Field(
        default="ARC-Challenge", description="the harder or the easier set"
    )

    @override
    def source(self) -> str:
        return _DATASET

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(HUBS[self.config], "train+validation", seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return self._official(HUBS[self.config], "test", seed)
