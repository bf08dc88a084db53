"""Runs of one recipe with different seeds, taken together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from byheart.config.recipe import deciding
from byheart.evaluation import Answer, Measure
from byheart.evaluation.clusters import Mean, clustered
from byheart.evaluation.comparing import accuracy, judged_both, paired
from byheart.evaluation.metrics import Accuracy, Kind, Paired
from byheart.evaluation.statistics import mcnemar, p_worse, paired_interval
from byheart.report import figures
from byheart.report.data import RunView
from byheart.report.figures import ALPHA, Figure, Table
from byheart.types import replace

UNDECIDING: dict[str, Any] = {"name": ""}
"""Keys of a recipe that decide no result of a round, beside those of config.recipe."""


@dataclass(frozen=True)
class Stand:
    """Where a run stood after round `n` (0: the base model): what its policy answered, and the tokens sampled by all
    its rounds so far."""

    n: int
    num_tokens: int
    measure: Measure

    def of(self, split: str, ids: Container[str]) -> list[Answer]:
        """The answers to the problems `ids` of a split."""
        return [answer for answer in self.measure.splits[split] if answer.problem_id in ids]

    def accuracy(self, split: str, ids: Container[str], kind: Kind) -> Accuracy:
        """The accuracy of the greedy answers of one kind to the problems `ids` of a split."""
        return accuracy([answer.kind(kind) for answer in self.of(split, ids)])


@dataclass(frozen=True)
class Entry:
    """A run in the comparison, round by round, from the base model on."""

    name: str
    view: RunView
    stands: list[Stand]

    @property
    def last(self) -> Stand:
        """Where it ended."""
        return self.stands[-1]

    @property
    def seed(self) -> int:
        """The seed of its recipe."""
        return int(self.view.recipe["seed"])

    def keys(self, but: dict[str, Any] = UNDECIDING) -> dict[str, Any]:
        """The flat keys that decide its results with their values, with those of `but` in their place; without the date
        that its prompts have, which is that of its beginning."""
        keys = deciding(self.view.recipe | but)
        keys.pop("model.date", None)
        return keys


@dataclass(frozen=True)
class Pool:
    """Runs of one recipe, each with a seed of its own; or one run."""

    name: str
    runs: list[Entry]

    @property
    def seeds(self) -> dict[int, Entry]:
        """The runs by their seeds."""
        return {run.seed: run for run in self.runs}

    @property
    def num_tokens(self) -> float:
        """Tokens sampled by a run, in the mean."""
        return sum(run.last.num_tokens for run in self.runs) / len(self.runs)


class Side(NamedTuple):
    """Answers to the same problems of one seed, before and after, or of one run and of another."""

    seed: int
    before: Sequence[Answer]
    after: Sequence[Answer]


class Pooled(NamedTuple):
    """How answers changed over all seeds. Where the problems of one seed are all there is `mean` is None, and the test
    is McNemar's, of these problems alone."""

    paired: Paired
    mean: Mean | None = None

    @property
    def p(self) -> float:
        """The two-sided p value."""
        return self.mean.p if self.mean else mcnemar(len(self.paired.gained), len(self.paired.lost))

    def at(self, alpha: float) -> Paired:
        """The change with its 1 - `alpha` interval, which excludes zero where p is below alpha."""
        if self.mean is None:
            return self.paired.at(alpha)
        low, high = self.mean.interval(alpha, -1.0)
        return replace(self.paired, low=low, high=high)


def pools(runs: Sequence[Entry]) -> list[Pool]:
    """The runs by their recipes, in order. Those of which two have the same recipe and seed are not taken together."""
    by_recipe: dict[str, list[Entry]] = defaultdict(list)
    for run in runs:
        by_recipe[repr(sorted(run.keys(UNDECIDING | {"seed": None}).items()))].append(run)
    made: list[Pool] = []
    for same in by_recipe.values():
        together = len(same) > 1 and len({run.seed for run in same}) == len(same)
        made += [Pool(_name(same), same)] if together else [Pool(run.name, [run]) for run in same]
    return made


def pooled(sides: Sequence[Side], kind: Kind) -> Pooled:
    """How the greedy answers of one `kind` changed, over the seeds and problems of all `sides`."""
    parts = [paired(side.before, side.after, kind) for side in sides]
    both = [(side.seed, *judged) for side in sides for judged in judged_both(side.before, side.after, kind)]
    gained = [name for part in parts for name in part.gained]
    lost = [name for part in parts for name in part.lost]
    seeds, problems = [seed for seed, *_ in both], [problem for _, problem, *_ in both]
    if min(len(set(seeds)), len(set(problems))) < 2:
        low, high = paired_interval(len(gained), len(lost), len(both))
        change = (len(gained) - len(lost)) / len(both) if both else 0.0
        return Pooled(Paired(len(both), change, low, high, gained, lost, p_worse(len(gained), len(lost))))
    mean = clustered([float(now) - float(was) for *_, was, now in both], seeds, problems)
    low, high = mean.interval(ALPHA, -1.0)
    return Pooled(Paired(len(both), mean.value, low, high, gained, lost, mean.p_worse), mean)


def over_seeds(pools: Sequence[Pool], kinds: Sequence[Kind], split: str, ids: Container[str]) -> Table:
    """What each recipe came to on the problems `ids` of a split: the base model, where its runs ended, and the change,
    over seeds and problems; and then each of its runs, over problems alone."""
    rows: list[list[Figure | str]] = []
    for pool in pools:
        for kind in kinds:
            parts = [pool.runs, *([run] for run in pool.runs)] if len(pool.runs) > 1 else [pool.runs]
            names = (pool.name, *(run.name for run in pool.runs))
            rows += [_gain(name, part, kind, split, ids) for name, part in zip(names, parts, strict=False)]
    return Table(("recipe, run", "answer", "seeds", "base", "after", "change", "p"), frozenset({"p"}), rows)


def _gain(name: str, runs: Sequence[Entry], kind: Kind, split: str, ids: Container[str]) -> list[Figure | str]:
    sides = [Side(run.seed, *(stand.of(split, ids) for stand in (run.stands[0], run.last))) for run in runs]
    before = _accuracy([(side.seed, side.before) for side in sides], kind)
    after = _accuracy([(side.seed, side.after) for side in sides], kind)
    gain, seeds = pooled(sides, kind), ", ".join(str(side.seed) for side in sides)
    return [name, kind, seeds, before, after, figures.change(gain.paired), figures.p_value(gain.p)]


def _accuracy(sides: Sequence[tuple[int, Sequence[Answer]]], kind: Kind) -> Figure:
    """The accuracy over seeds and problems; of one seed, that of its problems alone."""
    judged = [
        (seed, answer.problem_id, float(right))
        for seed, answers in sides
        for answer in answers
        if (right := answer.kind(kind).right) is not None
    ]
    seeds, problems = {seed for seed, *_ in judged}, {problem for _, problem, _ in judged}
    row = accuracy([answer.kind(kind) for _, answers in sides for answer in answers])
    if min(len(seeds), len(problems)) > 1:
        mean = clustered(
            [right for *_, right in judged], [seed for seed, *_ in judged], [name for _, name, _ in judged]
        )
        low, high = mean.interval(ALPHA, 0.0)
        row = replace(row, low=low, high=high)
    return figures.accuracy(row)


def _name(runs: Sequence[Entry]) -> str:
    """What the runs of one recipe are called together: their name, where they are named as `--seeds` names them."""
    names = {run.name.removesuffix(f"-seed-{run.seed}") for run in runs}
    return names.pop() if len(names) == 1 else ", ".join(run.name for run in runs)
