"""The contract of an objective: how a policy is trained on a dataset."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from byheart.plugins.plugin import Plugin
from byheart.types import Record

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Arguments(Record):
    """Further options of trl's config and of peft's LoraConfig that a recipe hands through."""

    trainer: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """The task of the training process: train the model directory `base` (from `adapter`, if any) on the `dataset`
    directory and write an adapter to `out`. `objective` are the objective's options, its name included; `scratch` is
    for checkpoints; `trainer_args` and `lora_args` are the recipe's, as are the `folders` in which paths in options are
    looked for. `today` is the date that the chat template may write."""

    objective: dict[str, Any]
    base: Path
    adapter: Path | None
    dataset: Path
    scratch: Path
    out: Path
    seed: int
    allow_pickle: bool
    trainer_args: dict[str, Any] = field(default_factory=dict)
    lora_args: dict[str, Any] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    today: date | None = None

    @property
    def rows(self) -> Path:
        """The Parquet file with the solutions to learn."""
        return self.dataset / "train-00000-of-00001.parquet"

    @property
    def pairs(self) -> Path:
        """The Parquet file with pairs of a right and a wrong solution; it exists only if there are any."""
        return self.dataset / "pairs/train-00000-of-00001.parquet"

    @property
    def steps(self) -> Path:
        """The Parquet file with solutions whose steps have values; it exists only if there are any."""
        return self.dataset / "steps/train-00000-of-00001.parquet"

    @property
    def scorer(self) -> Path:
        """The directory for the adapter of a scorer, if the objective trains one."""
        return self.out.parent / "scorer/adapter"

    def written(self) -> dict[str, Any]:
        """The job as a JSON object, for `read`."""
        row = asdict(self) | {"folders": [str(folder) for folder in self.folders]}
        return {key: str(value) if isinstance(value, Path | date) else value for key, value in row.items()}

    @classmethod
    def read(cls, path: Path) -> Job:
        """The job in a JSON file."""
        row = json.loads(path.read_text("utf-8"))
        paths = {name: Path(row[name]) if row[name] else None for name in _PATHS}
        today = date.fromisoformat(row["today"]) if row["today"] else None
        return cls(**row | paths | {"folders": tuple(map(Path, row["folders"])), "today": today})


_PATHS = ("base", "adapter", "dataset", "scratch", "out")


class Objective(Plugin):
    """Trains a LoRA adapter on a round's dataset, in a separate process that accelerate launches."""

    family: ClassVar[str] = "objectives"
    necessary: ClassVar[tuple[str, ...]] = ("fit",)

    trains: ClassVar[bool] = True
    """Whether it trains anything. If not, no process is started and the policy stays the same."""
    trains_scorer: ClassVar[Literal["solutions", "steps"] | None] = None
    """What the scorer that it writes to `job.scorer` scores: whole solutions, by their log-likelihood, or every step,
    by the probability of a right answer from there; None if it trains no scorer."""
    needs_pairs: ClassVar[bool] = False
    """Whether it learns from pairs of a right and a wrong solution, and so needs `curation.pairs` above 0."""

    trainer_configs: ClassVar[tuple[str, ...]] = ()
    """The classes of trl whose options a recipe may hand through by `trainer_args`, with `lora_args` for the adapter;
    none where the objective takes neither."""

    def fit(self, job: Job) -> float:
        """Train in this process, which may be one of several, and write the adapter to `job.out`. Returns the seconds
        of training."""
        raise NotImplementedError

    def reads(self) -> tuple[Path, ...]:
        """Files beside the dataset that it learns from: their contents are part of the digest of training."""
        return ()

    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the rest of `recipe` does not fit this objective. Loads no model."""

    def rows_at_once(self) -> int | None:
        """Rows of a micro-batch, on all processes together, which their number has to divide; None if any number of
        processes will do."""
        return None

    def fewest_rows(self) -> int:
        """The fewest rows that it trains on: with fewer, a round keeps its policy."""
        return 1

    def on_any_rows(self) -> Self:
        """This objective, training on any number of rows, for no more steps than they ask for: for a first look, where
        they are too few to learn from."""
        return self

    def adapter_rank(self) -> int:
        """The rank of the LoRA adapter that it trains, which the engine has to serve; 0 if it trains none."""
        return 0

    def outlook(self) -> tuple[str, str]:
        """What would be trained and for how long, two phrases for `--dry-run`."""
        return self.name, ""
