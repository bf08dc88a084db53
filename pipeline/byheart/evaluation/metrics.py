"""The metrics of a round, as metrics.json holds them.

splits.<split>.<before|after>   problems, and below it
    fast, worked, slow          problems, unjudged; accuracy, low, high and tokens where any could be judged
                                (slow: before only, dev and held-out problems only)
    pass@k, maj@k, unique       where each problem was sampled as well
    by.<value>.<fast|worked>    where evaluation.group_by is given
    back                        where curation.backtracks is given
    values                      on the samples of the new policy, where its scorer values steps (see values.py)
splits.<split>.paired.<fast|worked>   how the same problems changed
splits.<split>.by_heart, by_heart_base
against_best                          how the policy after the round compares with the best before it, on dev
controls      what the base comes to otherwise on the held-out problems (see controls.py): words; by kind of answers the
              accuracy, and how the policy after the round changes that (against)
gains         how much of what the deciding answers gained on the held-out problems is form, and how much substance (see
              gains.py): causes of gained and lost; form, substance; readable
also.<name>   another task that is measured: before, after, first (the policy that the run began with); how the same
              problems changed from before (paired) and from first (since_first)
before, after, measured, promoted, decision, best, decided_by, alpha, gained; scorer_promoted

Intervals (`low`, `high`) are 95 % intervals, whatever the level `alpha` of the round's tests. A field whose default is
None has no key where it is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from byheart.evaluation.statistics import paired_interval
from byheart.types import Record, formerly, replace

Kind = Literal["fast", "worked"]
GREEDY: tuple[Kind, ...] = ("fast", "worked")
"""The kinds of greedy answers: the answer alone, and one with room to reason."""

Decision = Literal[
    "not worse",
    "as readable",
    "unmeasured",
    "unchanged",
    "worse",
    "worse than best",
    "incomparable",
    "less readable",
    "all cut off",
    "loss rose",
]
"""Why a policy is promoted (the first three) or is not: see promotion.py."""


@dataclass(frozen=True, slots=True)
class Accuracy(Record):
    """The share of judged answers that are right, with its interval, and the mean tokens of all answers. These are None
    where none of the answers to `problems` could be judged."""

    _sparse: ClassVar[bool] = True

    problems: int
    unjudged: int
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    tokens: float | None = None


@dataclass(frozen=True, slots=True)
class Rate(Record):
    """A mean pass@k or maj@k over problems, with its interval."""

    k: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Unique(Record):
    """Of the `right` samples, `distinct` are different texts; `rate` is their share."""

    rate: float
    right: int
    distinct: int


@dataclass(frozen=True, slots=True)
class Back(Record):
    """How many of the worked answers to `problems` go back (`gone`), and how many of those come out right (`fixed`).
    `straight` is the accuracy where going back is forbidden."""

    gone: int
    fixed: Annotated[int, formerly("fixed", "mended")]
    problems: int
    straight: Accuracy


@dataclass(frozen=True, slots=True)
class FirstError(Record):
    """Of `wrong` solutions, the share in which the value model finds the first wrong step; of `right` ones, the share
    in which it sees none. The shares are None where there are no such solutions."""

    wrong: int
    found: float | None
    right: int
    unseen: float | None


@dataclass(frozen=True, slots=True)
class Bin(Record):
    """The steps with values in one tenth of 0..1: how many, their mean value, and the share in right solutions."""

    steps: int
    value: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability(Record):
    """How well the values of steps predict what came of them: see values.py. `low` and `high` are those of `brier`."""

    solutions: int
    steps: int
    brier: float
    low: float
    high: float
    ece: float
    auc: float | None
    first_error: FirstError
    bins: list[Bin]


@dataclass(frozen=True, slots=True)
class Greedy(Record):
    """The accuracies of the two kinds of greedy answers."""

    fast: Accuracy
    worked: Accuracy

    def kind(self, kind: Kind) -> Accuracy:
        """The accuracy of one kind."""
        return self.fast if kind == "fast" else self.worked


@dataclass(frozen=True, slots=True)
class SideMetrics(Record):
    """What one policy comes to on a split. `sampled` holds its rates as "pass@1", "maj@1", ...; `by` the accuracies of
    each group of problems."""

    _sparse: ClassVar[bool] = True

    problems: int
    fast: Accuracy
    worked: Accuracy
    slow: Accuracy | None = None
    back: Back | None = None
    sampled: dict[str, Rate] = field(default_factory=dict)
    unique: Unique | None = None
    by: dict[str, Greedy] | None = None
    values: Reliability | None = None

    def kind(self, kind: str) -> Accuracy | None:
        """The accuracy of "fast", "worked" or "slow" answers."""
        return {"fast": self.fast, "worked": self.worked, "slow": self.slow}[kind]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, raw: Any) -> Any:
        """The rates have keys of their own in the JSON."""
        if not isinstance(raw, dict):
            return raw
        rates = {key: value for key, value in raw.items() if "@" in key}
        return {key: value for key, value in raw.items() if key not in rates} | {"sampled": rates}

    @model_serializer(mode="wrap")
    def _spread(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        row: dict[str, Any] = handler(self)
        rates: dict[str, Any] = row.pop("sampled", {})
        return row | rates


@dataclass(frozen=True, slots=True)
class Paired(Record):
    """How the `problems` that were judged both times changed: the mean change of accuracy with its interval, the ids
    that are `gained` and `lost`, and `p_worse` of McNemar's test, exact and one-sided."""

    problems: int
    change: float
    low: float
    high: float
    gained: list[str]
    lost: list[str]
    p_worse: float

    def at(self, alpha: float) -> Paired:
        """The same changes, with their 1 - `alpha` interval."""
        low, high = paired_interval(len(self.gained), len(self.lost), self.problems, alpha)
        return replace(self, low=low, high=high)


@dataclass(frozen=True, slots=True)
class PairedKinds(Record):
    """How each kind of greedy answers changed."""

    fast: Paired
    worked: Paired

    def kind(self, kind: Kind) -> Paired:
        """The changes of one kind."""
        return self.fast if kind == "fast" else self.worked


@dataclass(frozen=True, slots=True)
class ByHeart(Record):
    """Fast accuracy / slow accuracy on the `problems` that have both, with its interval. `high` is None where the slow
    accuracy may as well be 0."""

    ratio: float
    low: float
    high: float | None
    problems: int


@dataclass(frozen=True, slots=True)
class SplitMetrics(Record):
    """The policy before and after the round on one split. `by_heart` is fast after / slow before, `by_heart_base` fast
    after / slow of the base model in round 1; None where nothing was solved slowly."""

    _sparse: ClassVar[bool] = True

    before: SideMetrics
    after: SideMetrics
    paired: PairedKinds
    by_heart: ByHeart | None = None
    by_heart_base: ByHeart | None = None


@dataclass(frozen=True, slots=True)
class ControlMetrics(Record):
    """What the policy that the run began with comes to with a control, on the held-out problems: `words` say which,
    after "with". By kind of greedy answers `accuracy`, and how the policy after the round does `against` it."""

    words: str
    accuracy: dict[Kind, Accuracy]
    against: dict[Kind, Paired]


@dataclass(frozen=True, slots=True)
class AlsoMetrics(Record):
    """Another task: the accuracy of the policies `before` and `after` the round, and of the `first`, which the run
    began with; how the same problems changed from before to after (`paired`), and from the first (`since_first`)."""

    before: Accuracy
    after: Accuracy
    first: Accuracy
    paired: Paired
    since_first: Paired


@dataclass(frozen=True, slots=True)
class Causes(Record):
    """Why answers are not right, with how many are so for each cause: they were `cut_off`; they are complete, but no
    answer was read in them (`unread`); the right answer stands in them, in another form (`other_form`); or they are
    `wrong`. The right answer stands in `cut_off_right` of those that were cut off, and in `unread_right` of the unread.
    """

    cut_off: int
    unread: int
    other_form: int
    wrong: int
    cut_off_right: int
    unread_right: int

    @property
    def total(self) -> int:
        """How many answers there are."""
        return self.cut_off + self.unread + self.other_form + self.wrong


@dataclass(frozen=True, slots=True)
class Change(Record):
    """A mean change of accuracy, with its interval."""

    change: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Readable(Record):
    """The accuracy `before` and `after` on the `problems` whose answers are both complete and could be read."""

    problems: int
    before: float
    after: float
    change: Change


@dataclass(frozen=True, slots=True)
class Gains(Record):
    """Form against substance (see gains.py): why the answers before were not right that are `gained`, and the answers
    after that are `lost`. The change of accuracy is that by `form` plus that by `substance`. In `unlooked` of them the
    right answer could not be looked for in another form."""

    gained: Causes
    lost: Causes
    form: Change
    substance: Change
    readable: Readable | None
    unlooked: int = 0


@dataclass(frozen=True, slots=True)
class RoundMetrics(Record):
    """The policy `before` and the policy `after` a round, by their ids, side by side on every split.

    `measured` is False where no answer to a dev problem could be judged. The new policy is `promoted` by its
    `decided_by` answers to dev problems, its scorer apart, or not: the `decision` says why. It is the `best` if it
    was promoted and solves more dev problems than any before; `against_best` holds it against the best of those,
    where that is not the policy `before`. `alpha` is the level of the one-sided tests of that; `gained`: whether
    the new policy is promoted and significantly better than the best before it, by a level of its own
    (promotion.py). Older versions gave no reasons, knew no best and recorded neither alpha nor gains. `controls`,
    `gains` and `also`, other tasks by their names, decide nothing.
    """

    _sparse: ClassVar[bool] = True

    before: str
    after: str
    measured: bool
    promoted: bool
    decided_by: Kind
    scorer_promoted: bool
    splits: dict[str, SplitMetrics]
    decision: Decision | None = None
    best: bool = False
    against_best: Paired | None = None
    alpha: float | None = None
    gained: bool | None = None
    controls: list[ControlMetrics] = field(default_factory=list)
    gains: Gains | None = None
    also: dict[str, AlsoMetrics] = field(default_factory=dict)

    @property
    def dev(self) -> SplitMetrics:
        """The split that decides."""
        return self.splits["dev"]

    @property
    def held_out(self) -> SplitMetrics:
        """The split that only measures."""
        return self.splits["held_out"]
