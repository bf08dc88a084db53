"""Several seeds of one recipe: `--seeds 0..2` does a run of each, in a directory of its own."""

from __future__ import annotations

import re

from byheart.config.rounds import Rounds
from byheart.errors import InputError
from byheart.runs.records import RunState


def seeds(text: str) -> list[int]:
    """The seeds that "0..2", "0,3,7" or "0..2,7" names, each once. Raises InputError where it names none."""
    named: list[int] = []
    for part in text.split(","):
        bounds = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        numbers = range(int(bounds[1]), int(bounds[2] or bounds[1]) + 1) if bounds else range(0)
        if not numbers:
            raise InputError(f"--seeds {text}: {part.strip()!r} names no seed; give 0..2, or 0,3,7")
        named += numbers
    return list(dict.fromkeys(named))


def place(run: str, seed: int) -> str:
    """Where the run of a `seed` lives, beside the directory or URL `run`: runs/addition-seed-0."""
    return f"{run.rstrip('/')}-seed-{seed}"


def remaining(state: RunState, wanted: int | Rounds) -> int:
    """Rounds that are left of those `wanted` in all; none where the run ended before, because nothing more was
    gained."""
    most, patience = (wanted.most, wanted.patience) if isinstance(wanted, Rounds) else (wanted, None)
    return state.until(most, patience).left
