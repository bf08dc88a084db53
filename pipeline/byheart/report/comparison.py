"""Runs of the same problems, compared problem by problem.

Each run is its last policy: what its last round promoted, or the one that this round kept. Every run is held against
the first by McNemar's test, exact and two-sided, on the problems that only one of the two solves; the p of all such
comparisons are corrected together by Holm's method (Scandinavian Journal of Statistics 6, 1979).
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy import stats

from byheart.errors import InputError
from byheart.evaluation import Answer, Measure
from byheart.evaluation.comparing import GREEDY, accuracy, paired
from byheart.recipe import changed, flatten
from byheart.report.data import RunView, measured

ALPHA = 0.05
PROBLEMS = {"held_out": "held-out problems", "dev": "development problems"}
MEASURING = ("evaluation.fast", "evaluation.worked", "task.verifier")
"""What of a recipe says how an answer is asked for and judged."""
MOST = 0.5
"""Of every run's problems, more than this share must be shared."""


@dataclass(frozen=True)
class Stand:
    """Where a run stood after round `n` (0: the base model): what its policy answered, and the tokens sampled so far
    in all its rounds."""

    n: int
    num_tokens: int
    measure: Measure

    def of(self, split: str, ids: Container[str]) -> list[Answer]:
        """The answers to the problems `ids` of a split."""
        return [answer for answer in self.measure.splits[split] if answer.problem_id in ids]

    def accuracy(self, split: str, ids: Container[str], kind: str) -> dict[str, Any]:
        return accuracy([getattr(answer, kind) for answer in self.of(split, ids)])


@dataclass(frozen=True)
class Entry:
    """A run in the comparison, round by round from the base model on."""

    name: str
    view: RunView
    stands: list[Stand]

    @property
    def last(self) -> Stand:
        return self.stands[-1]


@dataclass(frozen=True)
class Row:
    """The accuracies of a run as it stood, on the problems that all runs share."""

    split: str
    run: Entry
    stand: Stand
    fast: dict[str, Any]
    worked: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """What `run` answers right more often than the first run, in 0..1, with its 95 % interval; `gained` and `lost`
    count the problems that only one of the two solves. `p` is of this comparison alone, `holm` corrected for all."""

    run: str
    first: str
    kind: str
    problems: int
    change: float
    low: float
    high: float
    gained: int
    lost: int
    p: float
    holm: float = 1.0

    @property
    def better(self) -> str | None:
        """The better one of the two; None where the difference is not significant."""
        return None if self.holm >= ALPHA else self.run if self.change > 0 else self.first

    @property
    def words(self) -> str:
        if not self.problems:
            return f"{self.run} and {self.first}: nothing could be judged in both"
        if self.better:
            return f"{self.better} is better than {self.first if self.better == self.run else self.run}"
        return f"{self.run} and {self.first}: no significant difference"


@dataclass(frozen=True)
class Comparison:
    """`ids`: split -> the problems that all runs were asked. `groups`: "" -> those of the compared split, and each
    value of the first recipe's evaluation.by -> those of this group. `notes`: what to know before one believes it.
    `kinds`: fast and worked, or fast alone where both are one test in every run."""

    split: str
    runs: list[Entry]
    kinds: tuple[str, ...]
    ids: dict[str, set[str]]
    by: str | None
    groups: dict[str, set[str]]
    differences: list[Difference]
    notes: list[str]

    @property
    def problems(self) -> str:
        return PROBLEMS[self.split]

    def rows(self, by_round: bool) -> list[Row]:
        """Where each run ended, in both splits; or `by_round` where each stood, in the compared split."""
        splits = [self.split] if by_round else list(self.ids)
        rows = [
            Row(split, run, stand, *(stand.accuracy(split, self.ids[split], kind) for kind in GREEDY))
            for split in splits
            for run in self.runs
            for stand in (run.stands if by_round else [run.last])
        ]
        return sorted(rows, key=lambda row: row.stand.n) if by_round else rows


def compare(folders: Sequence[Path], split: str = "held_out") -> Comparison:
    """Compare the runs in `folders`. Raises InputError where one is no run, or has no finished round, and where most of
    the problems are not shared."""
    if split not in PROBLEMS:
        raise InputError(f"--split is held_out or dev, not {split!r}")
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise InputError("compare takes two or more different runs, e.g. byheart compare runs/a runs/b")
    runs = [_entry(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    ids = {
        name: set.intersection(*(_ids(run.last.measure.splits[name]) for run in runs)) for name in ("held_out", "dev")
    }
    sizes = [len(run.last.measure.splits[split]) for run in runs]
    if len(ids[split]) <= MOST * max(sizes):
        raise InputError(
            f"{', '.join(run.name for run in runs)}: they share {len(ids[split])} of {max(sizes)} {PROBLEMS[split]}, "
            "too few to compare; give their recipes the same task, seed and sizes of the splits"
        )
    kinds = tuple(kind for kind in GREEDY if any(kind in run.view.greedy for run in runs))
    by = runs[0].view.recipe["evaluation"]["by"]
    values = runs[0].view.finished[-1].numbers["splits"][split]["after"].get("by", {})
    answers = runs[0].last.of(split, ids[split])
    groups = {value: _ids(answer for answer in answers if answer.group == value) for value in values}
    return Comparison(
        split=split,
        runs=runs,
        kinds=kinds,
        ids=ids,
        by=by,
        groups={"": ids[split]} | groups,
        differences=holm([_difference(runs[0], run, kind, split, ids[split]) for run in runs[1:] for kind in kinds]),
        notes=_notes(runs, len(ids[split]), sizes, PROBLEMS[split]),
    )


def mcnemar(gained: int, lost: int) -> float:
    """The chance of a split of `gained` + `lost` problems as uneven as this one, or more, if both policies were alike:
    the exact, two-sided form of McNemar's test."""
    return float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def holm(differences: Sequence[Difference]) -> list[Difference]:
    """Each with its p corrected for all of them: the i-th smallest of m is multiplied by m - i + 1, and none falls
    below that of a smaller p."""
    reached, corrected = 0.0, {}
    ascending = sorted(range(len(differences)), key=lambda place: differences[place].p)
    for rank, place in enumerate(ascending):
        reached = max(reached, min(1.0, differences[place].p * (len(differences) - rank)))
        corrected[place] = reached
    return [replace(one, holm=corrected[place]) for place, one in enumerate(differences)]


def _entry(folder: Path, name: str) -> Entry:
    run = measured(folder)
    if not run.finished:
        raise InputError(f"{folder} has no finished round to compare; byheart status {folder} says how far it is")
    stands = [Stand(0, 0, run.finished[0].measure("baseline"))]
    for one in run.finished:
        measure = one.measure("evaluate" if one.promoted else "baseline")
        stands.append(Stand(one.n, stands[-1].num_tokens + one.num_tokens, measure))
    return Entry(name, run, stands)


def _names(folders: Sequence[Path]) -> list[str]:
    """What to call the runs: their folders' names, or where two are the same their paths from what all lie in."""
    paths = [folder.resolve() for folder in folders]
    names = [path.name for path in paths]
    shared = os.path.commonpath([path.parent for path in paths])
    return names if len(set(names)) == len(names) else [str(path.relative_to(shared)) for path in paths]


def _ids(answers: Iterable[Answer]) -> set[str]:
    return {answer.problem_id for answer in answers}


def _difference(first: Entry, run: Entry, kind: str, split: str, ids: Container[str]) -> Difference:
    row: dict[str, Any] = paired(first.last.of(split, ids), run.last.of(split, ids), kind)
    gained, lost = len(row["gained"]), len(row["lost"])
    numbers = (row["problems"], row["change"], row["low"], row["high"], gained, lost)
    return Difference(run.name, first.name, kind, *numbers, mcnemar(gained, lost))


def _differing(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, as "key: old -> new". Of a part that has another name in each, what only one has is left out."""
    both = old.keys() & new.keys()
    others = tuple(key.removesuffix("name") for key in both if key.endswith(".name") and old[key] != new[key])
    left_out = {key for key in old.keys() ^ new.keys() if key.startswith(others)}
    return changed(*({key: value for key, value in one.items() if key not in left_out} for one in (old, new)))


def _notes(runs: Sequence[Entry], shared: int, sizes: Sequence[int], words: str) -> list[str]:
    notes = []
    if shared < max(sizes):
        notes.append(f"Only the {shared} {words} that all runs share are compared, of up to {max(sizes)}.")
    first = runs[0]
    for run in runs[1:]:
        old, new = (flatten(one.view.recipe | {"name": "", "rounds": 0, "accelerate": None}) for one in (first, run))
        differs = _differing(old, new)
        if differs:
            notes.append(f"{run.name} differs from {first.name} in {'; '.join(differs)}.")
        if any(key.removeprefix("schedule.").startswith(MEASURING) for key in differs):
            notes.append(f"{run.name} was measured otherwise than {first.name}: their numbers mean different things.")
        cost, other = run.last.num_tokens, first.last.num_tokens
        if max(cost, other) > 1.1 * min(cost, other):
            notes.append(f"Not at equal cost: {run.name} sampled {cost:,} tokens and {first.name} {other:,}.")
    return notes
