"""What a stage is: a function from what decides it to what it makes, and how that is read again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar

from byheart import progress
from byheart.files import read_records
from byheart.types import Environment, Problems, Record, RolloutGroup, Verdict

if TYPE_CHECKING:
    from byheart.evaluation import Measure

P = ParamSpec("P")
T = TypeVar("T")

ENVIRONMENTS = "environments.jsonl"


@dataclass(frozen=True)
class About:
    """What the cards of a round say of its recipe. It decides nothing. `limit`: the recipe's, of a first look."""

    recipe: str
    model: str
    task: str
    strategy: str
    step: str
    step_target: str | None
    limit: int | None = None


@dataclass
class Stage:
    """What a stage function is given beside its arguments: the directory of its round, and of the run; the round's
    number and the run's seed, which are part of every digest. It leaves what it counted in `stats`."""

    run_dir: Path
    dir: Path
    round: int
    name: str
    seed: int
    about: About
    stats: Record | None = None
    trained_seconds: float = 0.0

    @property
    def environments(self) -> list[Environment]:
        """What this round was computed with so far."""
        return read_environments(self.dir)

    def progress(self, total: int, doing: str, unit: str) -> progress.Progress:
        """A progress bar for so many units."""
        return progress.Progress(total, f"round {self.round} {doing}", unit)


class Made(Generic[T]):
    """What a stage made, named by `digest`. It is read from its files whenever it is asked for, so that no more of it
    is in memory than is needed."""

    def __init__(self, digest: str, read: Callable[[], T]) -> None:
        """`read` reads it from its files."""
        self.digest, self._read = digest, read

    @property
    def value(self) -> T:
        """The thing itself."""
        return self._read()


class StageFunction(Generic[P, T]):
    """A stage's function, and `read`, which reads what it made from the directory of its round."""

    def __init__(self, function: Callable[Concatenate[Stage, P], T], read: Callable[[Path], T]) -> None:
        """`function` writes what it makes into the round's directory, where `read` finds it."""
        self._function, self.read = function, read

    def __call__(self, work: Stage, *inputs: P.args, **named: P.kwargs) -> T:
        """What the stage makes of `inputs`."""
        return self._function(work, *inputs, **named)


def stage(read: Callable[[Path], T]) -> Callable[[Callable[Concatenate[Stage, P], T]], StageFunction[P, T]]:
    """Make a function a stage, what it makes being read again by `read`."""
    return lambda function: StageFunction(function, read)


@dataclass(frozen=True)
class Earlier:
    """A finished round before the one at hand: its number, its problems, what its policy was measured to, what was
    sampled, and what the verifier said."""

    round: int
    problems: Made[Problems]
    baseline: Made[Measure]
    rollouts: Made[Sequence[RolloutGroup]]
    verdicts: Made[Sequence[Verdict]]


def round_dir(folder: Path, n: int) -> Path:
    """The directory of round `n` (from 1) of the run in `folder`."""
    return folder / f"round-{n:03d}"


def round_dirs(folder: Path) -> dict[int, Path]:
    """The directories of the rounds that were started in the run in `folder`, by number, in order; round-001.bak and
    the like are none."""
    numbers = (re.fullmatch(r"round-([0-9]{3,})", path.name) for path in sorted(folder.iterdir()) if path.is_dir())
    by_number = {int(match[1]): folder / match[0] for match in numbers if match}
    return {n: path for n, path in sorted(by_number.items()) if path == round_dir(folder, n)}


def read_environments(folder: Path) -> list[Environment]:
    """What the round in `folder` was computed with: several where versions changed on the way, none where it is of an
    older version of byheart."""
    path = folder / ENVIRONMENTS
    return read_records(path, Environment) if path.exists() else []
