"""What stages.json records of each stage of a round: how it went, and what it counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, InstanceOf, JsonValue, ValidationError

from byheart.errors import described
from byheart.types import Record, formerly

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class LoadStats(Record):
    """Problems in each split; `num_passed_over` say the same as one before, and are in none."""

    num_train: int
    num_dev: int
    num_held_out: int
    num_passed_over: int


@dataclass(frozen=True, slots=True)
class SampleStats(Record):
    """What was sampled. `num_selected` rollouts were selected by their strategy, `num_hinted` had the answer in their
    prompt; `notes` counts the strategy's notes. `num_tokens` were generated, everything counted; `num_failed` problems
    had a prompt that the engine refused; `num_out_of_context` rollouts were cut off as the context was full. Where the
    temperature was tuned, `temperature` is the best one and `balance` the score of each (B-STaR, 2412.17256)."""

    num_problems: int
    num_rollouts: int
    num_selected: Annotated[int, formerly("num_selected", "num_chosen")]
    num_hinted: int
    notes: dict[str, int]
    num_tokens: int
    num_failed: int
    temperature: float | None = None
    balance: dict[str, float] | None = None
    num_out_of_context: int = 0


@dataclass(frozen=True, slots=True)
class VerifyStats(Record):
    """How the samples of a round came out. Of the problems, all samples are right in `num_all_right`, some in
    `num_some_right` and none in `num_none_right`; `num_unsampled` of these came to no sample at all. Of `num_samples`,
    `samples_cut_off` did not come to their end; of those that did, `samples_right` are right, `samples_unjudged` could
    not be judged, and `samples_unread` are wrong because no answer was read in them, or None where the verifier reads
    none. `num_judged` have a verdict: all, but while sampling."""

    num_all_right: int
    num_some_right: int
    num_none_right: int
    num_samples: int
    num_judged: int
    samples_right: int
    samples_cut_off: int
    samples_unjudged: int
    samples_unread: int | None = None
    num_unsampled: int = 0

    @property
    def num_problems(self) -> int:
        """Problems that were sampled."""
        return self.num_all_right + self.num_some_right + self.num_none_right


@dataclass(frozen=True, slots=True)
class CurationStats(Record):
    """What became of the rollouts of a round, and what its dataset holds.

    Of this round's rollouts: `num_right`, of which `num_cut_off` did not finish and `num_garbled` hold U+FFFD, which
    stands for bytes that are no text, `num_wrong`, `num_unjudged`, `num_retokenized` that were sampled as other tokens
    than their texts are encoded as (rows are trained on those that were sampled, pairs leave them out), the
    `num_solved` problems, and the `num_unique` different ones of the right solutions, by text, with their share
    `unique_rate` (0..1; None where none is right). Of all rounds used: `num_overlapping` right solutions overlap with
    measured problems, and `num_unproved` bare answers were not judged right. Of the dataset: `num_rows`, of which
    `num_rows_new` are of this round, `num_hinted` were found with a hint (`hint_share`, 0..1) and `num_backtracking`
    retract a step; `num_pairs` and `num_stepwise`. `caveats` are sentences that every result has to carry.
    """

    num_right: int
    num_cut_off: int
    num_wrong: int
    num_unjudged: int
    num_solved: int
    num_unique: int
    unique_rate: float | None
    num_overlapping: int
    num_unproved: int
    num_rows: int
    num_rows_new: int
    num_hinted: int
    hint_share: float
    num_pairs: int
    num_stepwise: int
    num_backtracking: int
    caveats: list[str]
    num_garbled: int = 0
    num_retokenized: int = 0


@dataclass(frozen=True, slots=True)
class TrainStats(Record):
    """What the trainer logged last, in `num_processes` processes: optimizer steps, the loss, and the share of pairs in
    which the right solution is preferred; of the phases on rows, on pairs and on the values of steps. `first_loss` is
    what it logged first, a mean over as many steps. `others` are the JSON values that an objective from elsewhere
    logged."""

    steps: int | None = None
    loss: float | None = None
    first_loss: float | None = None
    pair_steps: int | None = None
    pair_loss: float | None = None
    pair_first_loss: float | None = None
    pair_accuracy: float | None = None
    value_steps: int | None = None
    value_loss: float | None = None
    value_first_loss: float | None = None
    num_processes: int = 1
    others: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def rose(self) -> bool:
        """Whether the loss on rows ended above where it began."""
        return self.loss is not None and self.first_loss is not None and self.loss > self.first_loss

    @classmethod
    def of(cls, logged: Mapping[str, Any]) -> Self:
        """From what the training process logged, by name."""
        known = {column.name for column in fields(cls)} - {"others"}
        return cls.from_dict(
            {key: value for key, value in logged.items() if key in known}
            | {"others": {key: value for key, value in logged.items() if key not in known}}
        )


_KNOWN = Field(exclude_if=lambda value: value is None)
"""Of a field that older versions do not have: written only where there is something to write."""


@dataclass(frozen=True, slots=True)
class RoundEnd(Record):
    """What a finished round ended with: the id of its policy, and where adapter and scorer are in the run directory, or
    None where the policy has none. `best` is the round that made the best policy so far, 0 for that which the run began
    with; older versions did not record it. `gained`: whether the new policy was significantly better than the best
    before it, None where that was not tested."""

    policy: str
    adapter: str | None = None
    scorer: str | None = None
    best: int | None = None
    gained: Annotated[bool | None, _KNOWN] = None

    @property
    def made_by(self) -> int:
        """The round that made the policy; 0 where the run began with it."""
        folder = PurePath(self.adapter or "").parts[:1]
        return int(folder[0].removeprefix("round-")) if folder and folder[0].startswith("round-") else 0


@dataclass(frozen=True, slots=True)
class RunState(Record):
    """What state.json records: the `rounds` that are finished, the number of the round to reach, and after how many
    rounds without a gain none is to follow."""

    rounds: list[RoundEnd] = field(default_factory=list)
    target: int = 0
    patience: Annotated[int | None, _KNOWN] = None

    @property
    def stalled(self) -> bool:
        """Whether none of the last `patience` rounds gained anything."""
        last = self.rounds[-self.patience :] if self.patience else []
        return bool(last) and len(last) == self.patience and all(end.gained is False for end in last)

    def until(self, most: int, patience: int | None) -> Self:
        """This state, with no more than `most` rounds in all to do, and fewer where none of the last `patience` gained
        anything."""
        return replace(self, target=max(most, len(self.rounds)), patience=patience)

    @property
    def left(self) -> int:
        """Rounds that are still to do, unless the next ones gain nothing."""
        return 0 if self.stalled else max(0, self.target - len(self.rounds))

    @property
    def ended(self) -> str:
        """Why no round is to follow, as a sentence; "" where none is finished, or the command was interrupted."""
        finished = len(self.rounds)
        if self.stalled:
            rounds = "the last round" if self.patience == 1 else f"the last {self.patience} rounds"
            return f"Ended after round {finished}: no significant gain over the best in {rounds} (rounds.patience)."
        if not finished or finished < self.target:
            return ""
        asked = "were asked for" if self.patience is None else "rounds.most allows"
        return f"Ended after round {finished}, as many as {asked}."

    def best(self, n: int) -> int:
        """The round up to `n` that made the best policy, 0 for that which the run began with; where it is not on record
        the last that was promoted."""
        if n == 0:
            return 0
        end = self.rounds[n - 1]
        return end.made_by if end.best is None else end.best


@dataclass(frozen=True, slots=True)
class StageRecord(Record):
    """How a stage went. `digest` names what decided it, `made` what it made; `resumed`: it was interrupted before. Of
    its wall `seconds`, the engine was generating, the trainer training, the engine starting and a policy being loaded
    for as many as the others say. `stats` is what it counted, where it counts anything."""

    status: Literal["started", "done"]
    digest: str
    made: str | None = None
    resumed: bool = False
    seconds: float = 0.0
    generating_seconds: float = 0.0
    training_seconds: float = 0.0
    engine_start_seconds: float = 0.0
    swap_seconds: float = 0.0
    stats: InstanceOf[Record] | None = None

    @property
    def done(self) -> bool:
        """Whether the stage came to its end."""
        return self.status == "done"

    def written(self) -> dict[str, Any]:
        """As in stages.json: flat, what was counted beside how it went."""
        row = {column.name: getattr(self, column.name) for column in fields(self) if column.name != "stats"}
        return row | (_set(self.stats) if self.stats else {})

    @classmethod
    def read(cls, stage: str, row: Mapping[str, Any]) -> Self:
        """The record of `stage` from what `written` made. Raises ValueError where another version wrote it
        otherwise."""
        if not isinstance(row, Mapping):
            raise ValueError(f"{stage}: it holds {described(row)}")
        own = {column.name for column in fields(cls)} - {"stats"}
        counted = {key: value for key, value in row.items() if key not in own}
        try:
            stats = STATS[stage].from_dict(counted) if counted and stage in STATS else None
            went = cls.from_dict({key: value for key, value in row.items() if key in own})
            return replace(went, stats=stats)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{stage}.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        except TypeError as error:
            raise ValueError(f"{stage}: {error}") from None


STATS: dict[str, type[Record]] = {
    "load": LoadStats,
    "sample": SampleStats,
    "verify": VerifyStats,
    "curate": CurationStats,
    "train": TrainStats,
}
"""Stage -> what it counts."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The records of a round's stages, by name; what each counted is None until it is done."""

    records: Mapping[str, StageRecord]

    def done(self, stage: str) -> bool:
        """Whether `stage` came to its end."""
        return stage in self.records and self.records[stage].done

    @property
    def load(self) -> LoadStats | None:
        """What the stage `load` counted."""
        return self._stats("load", LoadStats)

    @property
    def sample(self) -> SampleStats | None:
        """What the stage `sample` counted."""
        return self._stats("sample", SampleStats)

    @property
    def verify(self) -> VerifyStats | None:
        """What the stage `verify` counted."""
        return self._stats("verify", VerifyStats)

    @property
    def curate(self) -> CurationStats | None:
        """What the stage `curate` counted."""
        return self._stats("curate", CurationStats)

    @property
    def train(self) -> TrainStats | None:
        """What the stage `train` counted."""
        return self._stats("train", TrainStats)

    def _stats(self, stage: str, kind: type[R]) -> R | None:
        stats = self.records[stage].stats if stage in self.records else None
        return stats if isinstance(stats, kind) else None


def _set(stats: Any) -> dict[str, Any]:
    """The JSON of `stats` without fields that are as they are by default."""
    row: dict[str, Any] = stats.to_dict()
    for column in fields(stats):
        factory = column.default_factory
        if (row[column.name] is None and column.default is None) or (row[column.name] == {} and factory is dict):
            del row[column.name]
    return row
