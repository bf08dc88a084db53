"""A run directory as one HTML page, and a comparison of runs as another: no script, nothing fetched, charts inline.
The words are in the templates.

Every number is from metrics.json or stages.json; nothing is measured again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from shlex import quote
from typing import Any

from byheart.errors import InputError
from byheart.evaluation import Answer
from byheart.evaluation.gains import gains
from byheart.evaluation.metrics import ByHeart, Gains, Kind, SideMetrics
from byheart.files import write_text
from byheart.report import elsewhere, figures, form, peers
from byheart.report.comparison import Comparison
from byheart.report.data import (
    SPLITS,
    Round,
    RunView,
    branch_facts,
    clip,
    cost_table,
    gold,
    measured,
    question,
    verdict_word,
)
from byheart.report.series import MAX_GROUPS, comparison_charts, run_charts
from byheart.templates import environment
from byheart.types import Branch, Problem, Rollout, Verdict

ORDER = ("held_out", "dev", "train")
MAX_MOVED = 20  # problems newly solved, and as many newly lost
MAX_PROBLEMS = 10  # with sampled solutions
MAX_SOLUTIONS = 6  # of one problem


def write_page(folder: Path) -> Path:
    """Write report.html into the run directory `folder`, and return its path. Raises InputError where it is no run
    directory, or one of another version of byheart."""
    run = measured(folder)
    last = run.finished[-1] if run.finished else None
    promoted = [round_ for round_ in run.finished if round_.promoted]
    return _write(
        "report.html",
        folder / "report.html",
        run=run,
        last=last,
        ends=promoted[-1] if promoted else last,
        headline=_headline(run.finished) if last else None,
        gains=form.table([(round_.n, round_.metrics.gains) for round_ in run.finished]),
        others=elsewhere.table([(round_.n, round_.metrics) for round_ in run.finished]),
        example=_example(run),
        caveats=last.curation.caveats if last else [],
        unfinished=[round_ for round_ in run.rounds if not round_.finished],
        charts=run_charts(run) if last else [],
        splits=[(name, SPLITS[name]) for name in ORDER],
        moved=_moved(last, run.decided_by(last)) if last else {},
        solutions=_solutions(run),
        tree=_tree(run),
        costs=cost_table(run.rounds),
        recipe_text=(folder / "recipe.yaml").read_text("utf-8"),
    )


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write the page of a comparison to `path`, and return it. Raises InputError where no file can be there."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; the page is a file, e.g. {path / 'comparison.html'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    num_groups = len(comparison.groups) - 1
    note = f"Of the {num_groups} groups by {comparison.group_by} the first {MAX_GROUPS} are shown."
    return _write(
        "comparison.html",
        path,
        comparison=comparison,
        charts=comparison_charts(comparison),
        note=note if num_groups > MAX_GROUPS else "",
        splits=SPLITS,
    )


def _write(template: str, path: Path, **values: Any) -> Path:
    templates = environment(autoescape=True, lstrip_blocks=True)
    templates.filters |= {
        function.__name__: function for function in (branch_facts, clip, gold, question, quote, verdict_word)
    }
    templates.globals |= {"figures": figures, "form": form, "peers": peers, "elsewhere": elsewhere}
    write_text(path, templates.get_template(template).render(**values))
    return path


# What the page says


@dataclass(frozen=True)
class Headline:
    """Held out: the base model, and the policy that the run ended with, which the last promoted round made if any.
    `gains` are those of all rounds together, by the fast answers."""

    num_rounds: int
    num_promoted: int
    before: SideMetrics
    after: SideMetrics | None
    by_heart: ByHeart | None
    gains: Gains | None


def _headline(rounds: Sequence[Round]) -> Headline:
    promoted = [round_ for round_ in rounds if round_.promoted]
    last = promoted[-1].metrics.held_out if promoted else None
    return Headline(
        num_rounds=len(rounds),
        num_promoted=len(promoted),
        before=rounds[0].metrics.held_out.before,
        after=last.after if last else None,
        by_heart=last.by_heart if last else None,
        gains=_all_gains(rounds[0], promoted[-1]) if promoted else None,
    )


def _all_gains(first: Round, last: Round) -> Gains | None:
    """What the fast answers to held-out problems gained from the beginning of one round to the end of another."""
    before, after = first.measure("baseline"), last.measure("evaluate")
    return gains(before.splits["held_out"], after.splits["held_out"], "fast")


def _example(run: RunView) -> Problem | None:
    """A problem of the run."""
    loaded = [round_ for round_ in run.rounds if round_.stages.done("load")]
    return next(iter(loaded[0].problems().values()), None) if loaded else None


@dataclass(frozen=True)
class Moved:
    """Held-out problems newly solved, or newly lost: how many, and the first of them with the answers before and
    after."""

    count: int
    shown: list[tuple[Problem, Answer, Answer]]


def _moved(finished: Round, kind: Kind) -> dict[str, Moved]:
    """By heading, by the greedy answers of one kind."""
    problems = finished.problems()
    measures = (finished.measure("baseline"), finished.measure("evaluate"))
    before, after = ({answer.problem_id: answer for answer in measure.splits["held_out"]} for measure in measures)
    paired = finished.metrics.held_out.paired.kind(kind)
    return {
        heading: Moved(
            len(names),
            [
                (finished.found(problems, name), finished.found(before, name), finished.found(after, name))
                for name in names[:MAX_MOVED]
            ],
        )
        for heading, names in (("Newly solved", paired.gained), ("Newly lost", paired.lost))
    }


Solution = tuple[Problem, Rollout, Verdict]


@dataclass(frozen=True)
class Solutions:
    """What was sampled in round `n`: how many verdicts of each kind, and some of the problems, each with the number of
    its solutions and the first of them."""

    n: int
    counts: Counter[str]
    num_problems: int
    shown: list[tuple[Problem, int, list[Solution]]]


def _solutions(run: RunView) -> Solutions | None:
    """Of the last round that has any; the problems shown are evenly spaced."""
    for round_ in reversed(run.rounds):
        counts, num_problems = Counter[str](), 0
        for _, solutions in _by_problem(round_):
            counts.update(verdict_word(verdict) for _, _, verdict in solutions)
            num_problems += 1
        if num_problems:
            size = min(MAX_PROBLEMS, num_problems)
            picked = {index * num_problems // size for index in range(size)}
            groups = [each for number, each in enumerate(_by_problem(round_)) if number in picked]
            shown = [(problem, len(solutions), solutions[:MAX_SOLUTIONS]) for problem, solutions in groups]
            return Solutions(round_.n, counts, num_problems, shown)
    return None


def _by_problem(round_: Round) -> Iterator[tuple[Problem, list[Solution]]]:
    solutions = round_.solutions() if round_.sampling else ()
    return ((problem, list(group)) for problem, group in groupby(solutions, key=lambda solution: solution[0]))


@dataclass(frozen=True)
class SearchTree:
    """The tree that was searched for one problem: its roots, each a branch with those below it, and so on."""

    problem: Problem
    roots: list[tuple[Branch, list[Any]]]


def _tree(run: RunView) -> SearchTree | None:
    """Of the last round that has any, the tree of median size."""
    for round_ in reversed(run.rounds):
        trees = round_.trees() if round_.sampling else ()
        sizes = sorted((len(group.tree), index) for index, (_, group) in enumerate(trees))
        if sizes:
            _, median = sizes[len(sizes) // 2]
            problem, group = next(islice(round_.trees(), median, None))
            children: list[list[Any]] = [[] for _ in group.tree]
            roots: list[tuple[Branch, list[Any]]] = []
            for branch, below in zip(group.tree, children, strict=True):
                (roots if branch.parent < 0 else children[branch.parent]).append((branch, below))
            return SearchTree(problem, roots)
    return None
