"""Runs of the same problems, compared problem by problem, and recipes, seed by seed.

Each run is represented by the policy that it ended with. Every run is compared with the first by McNemar's test, exact
and two-sided, on the problems that only one of the two solves. Runs of one recipe with different seeds are taken
together: recipes are compared by what the runs of the same seed differ in, over seeds and problems (see pooling.py).
The p values of all comparisons are corrected together by Holm's method (Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from shlex import quote
from typing import Any

from byheart.config.recipe import changed
from byheart.errors import InputError
from byheart.evaluation import Answer
from byheart.evaluation.clusters import Mean
from byheart.evaluation.metrics import GREEDY, Greedy, Kind, Paired
from byheart.report import figures
from byheart.report.data import SPLITS, measured
from byheart.report.figures import ALPHA, Figure, Table
from byheart.report.pooling import UNDECIDING, Entry, Pool, Pooled, Side, Stand, over_seeds, pooled, pools

PROBLEMS = {"held_out": "held-out problems", "dev": "development problems"}
MEASURING = ("evaluation.fast", "evaluation.worked", "task.verifier")
"""The keys of a recipe that say how an answer is asked for and judged."""
MIN_SHARED = 0.5
"""More than this share of every run's problems must be in all runs."""


@dataclass(frozen=True)
class Row:
    """The accuracies of a run at one stand, on the problems that all runs share."""

    split: str
    run: Entry
    stand: Stand
    accuracies: Greedy


@dataclass(frozen=True)
class Difference:
    """How the accuracy of `run` differs from that of the first, both being runs or recipes: `paired.gained` problems
    are solved by `run` only, `paired.lost` by the first only. `p` is of this comparison alone, `holm` corrected for all
    of them. Over several `seeds` it is the `mean` that is tested."""

    run: str
    first: str
    kind: Kind
    paired: Paired
    p: float
    holm: float = 1.0
    mean: Mean | None = None
    seeds: int = 1

    @property
    def alpha(self) -> float:
        """The level at which Holm's method tests this comparison."""
        return ALPHA * self.p / self.holm if self.holm else ALPHA

    @property
    def change(self) -> Figure:
        """The difference, with an interval at that level: it excludes zero exactly where one of the two is better."""
        return figures.change(Pooled(self.paired, self.mean).at(self.alpha), self.alpha)

    @property
    def better(self) -> str | None:
        """The better of the two; None where the difference is not significant."""
        return None if self.holm >= ALPHA else self.run if self.paired.change > 0 else self.first

    @property
    def words(self) -> str:
        """The result in words."""
        if not self.paired.problems:
            return f"{self.run} and {self.first}: nothing could be judged in both"
        if self.better:
            return f"{self.better} is better than {self.first if self.better == self.run else self.run}"
        return f"{self.run} and {self.first}: no significant difference"


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison. `kinds`: fast and worked, or fast alone where both ask the same in every run. `ids`:
    by split, the problems that all runs were asked. `group_by`: that of the first run's recipe. `groups`: the shared
    problems of the compared split under "", and those of each group. `notes`: what to know before relying on it.
    `pools`: the runs by their recipes, where one was run with several seeds."""

    split: str
    runs: list[Entry]
    pools: list[Pool]
    kinds: tuple[Kind, ...]
    ids: dict[str, set[str]]
    group_by: str | None
    groups: dict[str, set[str]]
    differences: list[Difference]
    notes: list[str]

    @property
    def problems(self) -> str:
        """What the problems of the compared split are called."""
        return PROBLEMS[self.split]

    @property
    def how(self) -> str:
        """What the runs are compared with, and how."""
        return f"against {self.differences[0].first}, problem by problem{', seed by seed' if self.pools else ''}"

    def rows(self, by_round: bool) -> list[Row]:
        """Where each run ended, on both splits; with `by_round`, every stand of each, on the compared split."""
        splits = [self.split] if by_round else list(self.ids)
        rows = [
            Row(split, run, stand, Greedy(*(stand.accuracy(split, self.ids[split], kind) for kind in GREEDY)))
            for split in splits
            for run in self.runs
            for stand in (run.stands if by_round else [run.last])
        ]
        return sorted(rows, key=lambda row: row.stand.n) if by_round else rows

    def standings(self, by_round: bool) -> Table:
        """The accuracies of `rows`, and what they cost."""
        rows: list[list[Figure | str]] = []
        for row in self.rows(by_round):
            accuracies = [row.accuracies.kind(kind) for kind in self.kinds]
            problems = Figure(SPLITS[row.split], note=str(row.accuracies.fast.problems))
            cost = (figures.tokens(*accuracies), f"{row.stand.num_tokens:,}")
            rows.append([problems, str(row.stand.n), row.run.name, *map(figures.accuracy, accuracies), *cost])
        headings = ("problems", "round", "run", *self.kinds, "tokens an answer", "tokens sampled")
        return Table(headings, frozenset({"round", "tokens sampled"}), rows)

    def over_seeds(self) -> Table:
        """What each recipe came to, over its seeds."""
        return over_seeds(self.pools, self.kinds, self.split, self.ids[self.split])

    def changes(self) -> Table:
        """How certain the differences are."""
        rows: list[list[Figure | str]] = []
        for difference in self.differences:
            paired = difference.paired
            moved = (str(len(paired.gained)), str(len(paired.lost)))
            ps = map(figures.p_value, (difference.p, difference.holm))
            sizes = (str(difference.seeds), str(paired.problems))
            rows.append([difference.run, difference.kind, *sizes, difference.change, *moved, *ps])
        numbers = ("seeds", "problems", "only it solves", "only the first", "p", "p, Holm")
        return Table(("run", "answer", *numbers[:2], "change", *numbers[2:]), frozenset(numbers), rows)


def compare(folders: Sequence[Path], split: str = "held_out") -> Comparison:
    """Compare the runs in `folders` on a split. Raises InputError where one is no run or has no finished round, and
    where at most half of the problems are shared."""
    if split not in PROBLEMS:
        raise InputError(f"--split is held_out or dev, not {split!r}")
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise InputError("compare takes two or more different runs, e.g. byheart compare runs/a runs/b")
    runs = [_entry(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    recipes = pools(runs)
    seeds = any(len(pool.runs) > 1 for pool in recipes)
    together = (
        [[run for run in runs if run.seed == seed] for seed in {run.seed: None for run in runs}] if seeds else [runs]
    )
    shared = [_shared(part, split) for part in together]
    ids = {name: set[str]().union(*(part[name] for part in shared)) for name in ("held_out", "dev")}
    kinds = tuple(kind for kind in GREEDY if any(kind in run.view.greedy for run in runs))
    names = runs[0].view.finished[-1].metrics.splits[split].after.by or {}
    answers = [answer for run in runs for answer in run.last.of(split, ids[split])]
    groups = {name: _ids(answer for answer in answers if answer.group == name) for name in names}
    return Comparison(
        split=split,
        runs=runs,
        pools=recipes if seeds else [],
        kinds=kinds,
        ids=ids,
        group_by=runs[0].view.group_by,
        groups={"": ids[split]} | groups,
        differences=holm(
            [_difference(recipes[0], other, kind, split, ids[split], seeds) for other in recipes[1:] for kind in kinds]
        ),
        notes=[*chain.from_iterable(_partly(part, split) for part in together), *_notes(recipes, seeds)],
    )


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """The differences with their p values corrected: the i-th smallest of m is multiplied by m - i + 1, but is at least
    that of a smaller p."""
    greatest, corrected = 0.0, {}
    ascending = sorted(range(len(differences)), key=lambda index: differences[index].p)
    for rank, index in enumerate(ascending):
        greatest = max(greatest, min(1.0, differences[index].p * (len(differences) - rank)))
        corrected[index] = greatest
    return [replace(difference, holm=corrected[index]) for index, difference in enumerate(differences)]


def _entry(folder: Path, name: str) -> Entry:
    run = measured(folder)
    if not run.finished:
        raise InputError(
            f"{folder} has no finished round to compare; byheart status {quote(str(folder))} says how far it is"
        )
    stands = [Stand(0, 0, run.finished[0].measure("baseline"))]
    for finished in run.finished:
        measure = finished.measure("evaluate" if finished.promoted else "baseline")
        stands.append(Stand(finished.n, stands[-1].num_tokens + finished.num_tokens, measure))
    return Entry(name, run, stands)


def _names(folders: Sequence[Path]) -> list[str]:
    """The names of the folders, or where two are equal their paths from their common parent."""
    paths = [folder.resolve() for folder in folders]
    names = [path.name for path in paths]
    shared = os.path.commonpath([path.parent for path in paths])
    return names if len(set(names)) == len(names) else [str(path.relative_to(shared)) for path in paths]


def _ids(answers: Iterable[Answer]) -> set[str]:
    return {answer.problem_id for answer in answers}


def _shared(runs: Sequence[Entry], split: str) -> dict[str, set[str]]:
    """By split, the problems that all of `runs` were asked. Raises InputError where these are too few."""
    ids = {
        name: set.intersection(*(_ids(run.last.measure.splits[name]) for run in runs)) for name in ("held_out", "dev")
    }
    largest = max(len(run.last.measure.splits[split]) for run in runs)
    if len(ids[split]) <= MIN_SHARED * largest:
        raise InputError(
            f"{', '.join(run.name for run in runs)}: they share {len(ids[split])} of {largest} {PROBLEMS[split]}, "
            "too few to compare; give their recipes the same task, seed and sizes of the splits"
        )
    return ids


def _partly(runs: Sequence[Entry], split: str) -> list[str]:
    """That not all problems of `runs` are compared, where that is so."""
    shared, largest = len(_shared(runs, split)[split]), max(len(run.last.measure.splits[split]) for run in runs)
    words = f"Only the {shared} {PROBLEMS[split]} that all runs share are compared, of up to {largest}."
    return [words] if shared < largest else []


def _difference(first: Pool, other: Pool, kind: Kind, split: str, ids: Container[str], seeds: bool) -> Difference:
    """Of runs with the same seed where there are `seeds`, else of the two runs. Raises InputError where none has."""
    pairs = [(first.seeds[seed], run) for seed, run in other.seeds.items() if seed in first.seeds]
    pairs = pairs if seeds else [(first.runs[0], other.runs[0])]
    if not pairs:
        raise InputError(
            f"{first.name} and {other.name} have no seed in common; run both with the same, e.g. byheart run RECIPE "
            "--seeds 0..2"
        )
    sides = [Side(run.seed, old.last.of(split, ids), run.last.of(split, ids)) for old, run in pairs]
    changes = pooled(sides, kind)
    return Difference(other.name, first.name, kind, changes.paired, changes.p, mean=changes.mean, seeds=len(sides))


def _differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, as "key: old -> new". Where a section names another plugin, options of only one are left out."""
    both = old.keys() & new.keys()
    others = tuple(key.removesuffix("name") for key in both if key.endswith(".name") and old[key] != new[key])
    left_out = {key for key in old.keys() ^ new.keys() if key.startswith(others)}
    return changed(*({key: value for key, value in flat.items() if key not in left_out} for flat in (old, new)))


def _notes(recipes: Sequence[Pool], seeds: bool) -> list[str]:
    notes = [f"{run.name} is {run.view.first_look}." for pool in recipes for run in pool.runs if run.view.first_look]
    first, but = recipes[0], UNDECIDING | ({"seed": 0} if seeds else {})
    for pool in recipes:
        if len(reached := {run.last.n: None for run in pool.runs}) > 1:
            notes.append(f"Not all runs of {pool.name} ended after as many rounds: {', '.join(map(str, reached))}.")
    for pool in recipes[1:]:
        differs = _differing(first.runs[0].keys(but), pool.runs[0].keys(but))
        if differs:
            notes.append(f"{pool.name} differs from {first.name} in {'; '.join(differs)}.")
        if any(key.removeprefix("schedule.").startswith(MEASURING) for key in differs):
            notes.append(
                f"{pool.name} was measured in another way than {first.name}: their numbers are not comparable."
            )
        if seeds and (unshared := sorted(first.seeds.keys() ^ pool.seeds.keys())):
            words = ", ".join(map(str, unshared))
            notes.append(f"{pool.name} and {first.name} are compared by the seeds that both have, without {words}.")
        cost, other = pool.num_tokens, first.num_tokens
        if max(cost, other) > 1.1 * min(cost, other):
            notes.append(f"Not at equal cost: {pool.name} sampled {cost:,.0f} tokens and {first.name} {other:,.0f}.")
    return notes
