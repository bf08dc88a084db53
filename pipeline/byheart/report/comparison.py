"""Runs of the same problems, compared problem by problem.

Each run is represented by the policy that it ended with. Every run is compared with the first by McNemar's test, exact
and two-sided, on the problems that only one of the two solves; the p values of all comparisons are corrected together
by Holm's method (Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from byheart.config.recipe import changed, flatten
from byheart.errors import InputError
from byheart.evaluation import Answer, Measure
from byheart.evaluation.comparing import accuracy, paired
from byheart.evaluation.metrics import GREEDY, Accuracy, Greedy, Kind, Paired
from byheart.report import figures
from byheart.report.data import SPLITS, RunView, measured
from byheart.report.figures import Figure, Table

ALPHA = 0.05
PROBLEMS = {"held_out": "held-out problems", "dev": "development problems"}
MEASURING = ("evaluation.fast", "evaluation.worked", "task.verifier")
"""The keys of a recipe that say how an answer is asked for and judged."""
MIN_SHARED = 0.5
"""More than this share of every run's problems must be in all runs."""


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


@dataclass(frozen=True)
class Row:
    """The accuracies of a run at one stand, on the problems that all runs share."""

    split: str
    run: Entry
    stand: Stand
    accuracies: Greedy


@dataclass(frozen=True)
class Difference:
    """How the accuracy of `run` differs from that of the first run: `paired.gained` problems are solved by `run` only,
    `paired.lost` by the first only. `p` is of this comparison alone, `holm` corrected for all of them."""

    run: str
    first: str
    kind: Kind
    paired: Paired
    p: float
    holm: float = 1.0

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
    problems of the compared split under "", and those of each group. `notes`: what to know before relying on it."""

    split: str
    runs: list[Entry]
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

    def changes(self) -> Table:
        """How certain the differences are."""
        rows: list[list[Figure | str]] = []
        for difference in self.differences:
            paired = difference.paired
            moved = (str(len(paired.gained)), str(len(paired.lost)))
            ps = map(figures.p_value, (difference.p, difference.holm))
            change = figures.change(paired)
            rows.append([difference.run, difference.kind, str(paired.problems), change, *moved, *ps])
        numbers = ("problems", "only it solves", "only the first", "p", "p, Holm")
        return Table(("run", "answer", "problems", "change", *numbers[1:]), frozenset(numbers), rows)


def compare(folders: Sequence[Path], split: str = "held_out") -> Comparison:
    """Compare the runs in `folders` on a split. Raises InputError where one is no run or has no finished round, and
    where at most half of the problems are shared."""
    if split not in PROBLEMS:
        raise InputError(f"--split is held_out or dev, not {split!r}")
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise InputError("compare takes two or more different runs, e.g. byheart compare runs/a runs/b")
    runs = [_entry(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    ids = {
        name: set.intersection(*(_ids(run.last.measure.splits[name]) for run in runs)) for name in ("held_out", "dev")
    }
    sizes = [len(run.last.measure.splits[split]) for run in runs]
    if len(ids[split]) <= MIN_SHARED * max(sizes):
        raise InputError(
            f"{', '.join(run.name for run in runs)}: they share {len(ids[split])} of {max(sizes)} {PROBLEMS[split]}, "
            "too few to compare; give their recipes the same task, seed and sizes of the splits"
        )
    kinds = tuple(kind for kind in GREEDY if any(kind in run.view.greedy for run in runs))
    names = runs[0].view.finished[-1].metrics.splits[split].after.by or {}
    answers = runs[0].last.of(split, ids[split])
    groups = {name: _ids(answer for answer in answers if answer.group == name) for name in names}
    return Comparison(
        split=split,
        runs=runs,
        kinds=kinds,
        ids=ids,
        group_by=runs[0].view.group_by,
        groups={"": ids[split]} | groups,
        differences=holm([_difference(runs[0], run, kind, split, ids[split]) for run in runs[1:] for kind in kinds]),
        notes=_notes(runs, len(ids[split]), sizes, PROBLEMS[split]),
    )


def mcnemar(gained: int, lost: int) -> float:
    """The p value of McNemar's test, exact and two-sided: the chance that `gained` + `lost` problems split at least as
    unevenly if both policies were equally good."""
    from scipy import stats  # which takes half a second

    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


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


def _difference(first: Entry, run: Entry, kind: Kind, split: str, ids: Container[str]) -> Difference:
    changes = paired(first.last.of(split, ids), run.last.of(split, ids), kind)
    return Difference(run.name, first.name, kind, changes, mcnemar(len(changes.gained), len(changes.lost)))


def _differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, as "key: old -> new". Where a section names another plugin, options of only one are left out."""
    both = old.keys() & new.keys()
    others = tuple(key.removesuffix("name") for key in both if key.endswith(".name") and old[key] != new[key])
    left_out = {key for key in old.keys() ^ new.keys() if key.startswith(others)}
    return changed(*({key: value for key, value in flat.items() if key not in left_out} for flat in (old, new)))


def _notes(runs: Sequence[Entry], shared: int, sizes: Sequence[int], words: str) -> list[str]:
    notes = []
    if shared < max(sizes):
        notes.append(f"Only the {shared} {words} that all runs share are compared, of up to {max(sizes)}.")
    first = runs[0]
    for run in runs[1:]:
        undeciding = {"name": "", "rounds": 0, "accelerate": None}
        old, new = (flatten(entry.view.recipe | undeciding) for entry in (first, run))
        differs = _differing(old, new)
        if differs:
            notes.append(f"{run.name} differs from {first.name} in {'; '.join(differs)}.")
        if any(key.removeprefix("schedule.").startswith(MEASURING) for key in differs):
            notes.append(f"{run.name} was measured in another way than {first.name}: their numbers are not comparable.")
        cost, other = run.last.num_tokens, first.last.num_tokens
        if max(cost, other) > 1.1 * min(cost, other):
            notes.append(f"Not at equal cost: {run.name} sampled {cost:,} tokens and {first.name} {other:,}.")
    return notes
