"""ARC (1803.05457): science questions of school exams with mostly four choices, in a harder and an easier set.

Challenge has 1,119 problems to train on, 299 for validation, which are trained on too, and 1,172 held out; Easy 2,251,
570 and 2,376.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from byheart.tasks import choices, rows
from byheart.types import Problem

_DATASET, _REVISION = "allenai/ai2_arc", "210d026faf9955653af8916fad021475a3f00453"
_SPLITS = ("train", "validation", "test")
HUBS = {
    config: rows.Hub(_DATASET, _REVISION, choices.COLUMNS, config, _SPLITS) for config in ("ARC-Challenge", "ARC-Easy")
}


class Options(choices.Options):
    config: Literal["ARC-Challenge", "ARC-Easy"] = "ARC-Challenge"


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(HUBS[options.config], "train+validation", options, seed, choices.problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    return rows.held_out(HUBS[options.config], "test", options, seed, choices.problem)
