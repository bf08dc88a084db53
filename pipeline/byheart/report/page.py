"""A run directory as one HTML page, and a comparison of runs as another: no script, nothing fetched, charts inline.
The words are in the templates.

Every number is from metrics.json or stages.json; nothing is measured again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from byheart.errors import InputError
from byheart.evaluation import Answer
from byheart.evaluation.metrics import Accuracy, Bin, ByHeart, Kind, Rate, SideMetrics, SplitMetrics
from byheart.files import write_text
from byheart.report.charts import BY_TOKENS, BY_VALUE, Chart, Line, Point
from byheart.report.comparison import Comparison
from byheart.report.data import (
    KINDS,
    SPLITS,
    Cost,
    Round,
    RunView,
    back_text,
    branch_facts,
    by_heart_text,
    clip,
    gold,
    main_rates,
    measured,
    question,
    ratio_text,
    reliability_text,
    verdict_word,
)
from byheart.types import Branch, Problem, Rollout, Verdict

ORDER = ("held_out", "dev", "train")
MAX_MOVED = 20  # problems newly solved, and as many newly lost
MAX_PROBLEMS = 10  # with sampled solutions
MAX_SOLUTIONS = 6  # of one problem
MAX_GROUPS = 12  # in a chart, or with a chart each


def write_page(folder: Path) -> Path:
    """Write report.html into the run directory `folder`, and return its path. Raises InputError where it is no run
    directory, or one of another version of byheart."""
    run = measured(folder)
    last = run.finished[-1] if run.finished else None
    return _write(
        "report.html",
        folder / "report.html",
        run=run,
        last=last,
        headline=_headline(run.finished) if last else None,
        example=_example(run),
        caveats=last.curation.caveats if last else [],
        unfinished=[round_ for round_ in run.rounds if not round_.finished],
        charts=_charts(run) if last else [],
        splits=[(name, SPLITS[name]) for name in ORDER],
        moved=_moved(last, run.decided_by(last)) if last else {},
        solutions=_solutions(run),
        tree=_tree(run),
        costs=_costs(run),
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
        charts=_comparison_charts(comparison),
        note=note if num_groups > MAX_GROUPS else "",
        splits=SPLITS,
    )


def _write(template: str, path: Path, **values: Any) -> Path:
    source = PackageLoader("byheart")
    templates = Environment(
        loader=source, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: tuple[Callable[..., object], ...] = (
        back_text,
        branch_facts,
        by_heart_text,
        clip,
        gold,
        main_rates,
        question,
        ratio_text,
        reliability_text,
        verdict_word,
    )
    templates.filters |= {function.__name__: function for function in filters}
    write_text(path, templates.get_template(template).render(**values))
    return path


# What the page says


@dataclass(frozen=True)
class Headline:
    """Held out: the base model, and the policy that the run ended with, which the last promoted round made if any."""

    num_rounds: int
    num_promoted: int
    before: SideMetrics
    after: SideMetrics | None
    by_heart: ByHeart | None


def _headline(rounds: Sequence[Round]) -> Headline:
    promoted = [round_ for round_ in rounds if round_.promoted]
    last = promoted[-1].metrics.held_out if promoted else None
    return Headline(
        num_rounds=len(rounds),
        num_promoted=len(promoted),
        before=rounds[0].metrics.held_out.before,
        after=last.after if last else None,
        by_heart=last.by_heart if last else None,
    )


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
        heading: Moved(len(names), [(problems[name], before[name], after[name]) for name in names[:MAX_MOVED]])
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
        solutions = list(round_.solutions()) if round_.sampling else []
        if solutions:
            groups = [(problem, list(group)) for problem, group in groupby(solutions, key=lambda row: row[0])]
            size = min(MAX_PROBLEMS, len(groups))
            picked = [groups[index * len(groups) // size] for index in range(size)]
            return Solutions(
                round_.n,
                Counter(verdict_word(verdict) for _, _, verdict in solutions),
                len(groups),
                [(problem, len(group), group[:MAX_SOLUTIONS]) for problem, group in picked],
            )
    return None


@dataclass(frozen=True)
class SearchTree:
    """The tree that was searched for one problem: its roots, each a branch with those below it, and so on."""

    problem: Problem
    roots: list[tuple[Branch, list[Any]]]


def _tree(run: RunView) -> SearchTree | None:
    """Of the last round that has any, the tree of median size."""
    for round_ in reversed(run.rounds):
        trees = sorted(round_.trees() if round_.sampling else [], key=lambda tree: len(tree[1].tree))
        if trees:
            problem, group = trees[len(trees) // 2]
            children: list[list[Any]] = [[] for _ in group.tree]
            roots: list[tuple[Branch, list[Any]]] = []
            for branch, below in zip(group.tree, children, strict=True):
                (roots if branch.parent < 0 else children[branch.parent]).append((branch, below))
            return SearchTree(problem, roots)
    return None


def _costs(run: RunView) -> list[Cost]:
    """The costs of each stage, all rounds together, and of all stages together in the last row."""
    costs = [cost for round_ in run.rounds for cost in round_.costs()]
    stages = dict.fromkeys(cost.stage for cost in costs)
    rows = [Cost.total(stage, [cost for cost in costs if cost.stage == stage]) for stage in stages]
    return [*rows, Cost.total("all", costs)] if costs else []


# Charts


def _charts(run: RunView) -> list[Chart]:
    """The charts of what could be measured: accuracy and tokens, by heart, repeated sampling, and by group."""
    rounds = run.finished
    last = rounds[-1].metrics.held_out.after
    groups = list(last.by or {})
    few = f", the first {MAX_GROUPS} of {len(groups)}" if len(groups) > MAX_GROUPS else ""
    charts = [
        Chart(
            "Accuracy by round",
            "Share answered right. Bars are 95 % intervals.",
            [_accuracies(rounds, KINDS.index(kind), kind) for kind in (*run.greedy, "slow")],
        ),
        Chart(
            "Tokens an answer by round",
            "Mean length of an answer: fewer tokens are a faster answer.",
            [_tokens(rounds, look, kind) for look, kind in enumerate(run.greedy)],
            share=False,
        ),
        Chart(
            "By heart",
            "Fast answers right for each slow answer right. At 1 what had to be worked out is known by heart.",
            [
                _ratios(rounds, 0, "over slow before", lambda split: split.by_heart),
                _ratios(rounds, 1, "over slow of the base", lambda split: split.by_heart_base),
            ],
            share=False,
            level=1,
        ),
        Chart(
            "Sampled several times",
            "pass@k: one of k answers is right; maj@k: the most frequent of k is. Bars are 95 % intervals.",
            [_rates(rounds, look, name) for look, name in enumerate(main_rates(last))],
        ),
        *(
            Chart(
                f"{kind.capitalize()} accuracy by {run.group_by}",
                f"A line for each value of {run.group_by}{few}. Bars are 95 % intervals.",
                [_group(rounds, look, group, kind) for look, group in enumerate(groups[:MAX_GROUPS])],
            )
            for kind in run.greedy
            if groups
        ),
    ]
    if last.values:
        charts.append(_reliability(last.values.bins))
    charts = [replace(chart, lines=[line for line in chart.lines if line.points]) for chart in charts]
    return [chart for chart in charts if chart.lines]


Sides = list[tuple[int, bool, SideMetrics]]
"""(round, whether promoted, held-out metrics)."""


def _sides(rounds: Sequence[Round]) -> Sides:
    """The base model as round 1 measured it, then what each round made."""
    before = (0, True, rounds[0].metrics.held_out.before)
    return [before, *((round_.n, round_.promoted, round_.metrics.held_out.after) for round_ in rounds)]


def _accuracies(rounds: Sequence[Round], look: int, kind: str) -> Line:
    """Slow answers are measured only before a round, so their line is that of the policies that rounds started from."""
    starts = [(round_.n - 1, True, round_.metrics.held_out.before) for round_ in rounds]
    sides = starts if kind == "slow" else _sides(rounds)
    return _line(look, kind, [(n, promoted, side.kind(kind)) for n, promoted, side in sides])


def _group(rounds: Sequence[Round], look: int, group: str, kind: Kind) -> Line:
    sides = [(n, promoted, (side.by or {}).get(group)) for n, promoted, side in _sides(rounds)]
    return _line(look, group, [(n, promoted, greedy.kind(kind) if greedy else None) for n, promoted, greedy in sides])


def _rates(rounds: Sequence[Round], look: int, name: str) -> Line:
    return _line(look, name, [(n, promoted, side.sampled.get(name)) for n, promoted, side in _sides(rounds)])


def _line(look: int, words: str, sides: Sequence[tuple[int, bool, Accuracy | Rate | None]]) -> Line:
    points = (_point(n, numbers, promoted) for n, promoted, numbers in sides if numbers)
    return Line(words, [point for point in points if point], look)


def _point(x: float, numbers: Accuracy | Rate, promoted: bool = True) -> Point | None:
    """None where nothing could be judged."""
    value = numbers.rate if isinstance(numbers, Rate) else numbers.accuracy
    if value is None or numbers.low is None or numbers.high is None:
        return None
    return Point(x, value, numbers.low, numbers.high, promoted)


def _tokens(rounds: Sequence[Round], look: int, kind: Kind) -> Line:
    points = [
        Point(n, greedy.tokens, greedy.tokens, greedy.tokens, promoted)
        for n, promoted, side in _sides(rounds)
        if (greedy := side.kind(kind)) and greedy.tokens is not None
    ]
    return Line(kind, points, look)


def _ratios(rounds: Sequence[Round], look: int, words: str, which: Callable[[SplitMetrics], ByHeart | None]) -> Line:
    """The first line is solid, the others are dashed."""
    points = [
        Point(round_.n, heart.ratio, heart.low, heart.high or math.inf, round_.promoted)
        for round_ in rounds
        if (heart := which(round_.metrics.held_out))
    ]
    return Line(words, points, look, dashed=look > 0)


def _reliability(bins: Sequence[Bin]) -> Chart:
    points = [Point(tenth.value, tenth.right, tenth.right, tenth.right) for tenth in bins]
    ideal = [Point(end, end, end, end) for end in (0.0, 1.0)]
    return Chart(
        "Values of steps and what came of them",
        "Held out, last round: the share of steps with such a value that are in right solutions. On the dashed line "
        "values are perfectly calibrated.",
        [Line("steps", points, 0), Line("perfect", ideal, 7, dashed=True)],
        x=BY_VALUE,
    )


def _comparison_charts(comparison: Comparison) -> list[Chart]:
    """Accuracy against tokens sampled so far, a line a run: of all problems, then of each group."""
    charts = []
    for group, ids in list(comparison.groups.items())[: 1 + MAX_GROUPS]:
        for kind in comparison.kinds:
            lines = []
            for look, run in enumerate(comparison.runs):
                stands = [_point(stand.num_tokens, stand.accuracy(comparison.split, ids, kind)) for stand in run.stands]
                points = [point for point in stands if point]
                lines += [Line(clip(run.name, 24, 24), points, look)] if points else []
            title = f"{kind.capitalize()} accuracy{f', {comparison.group_by} {group}' if group else ''}"
            caption = f"{len(ids)} problems. Bars are 95 % intervals."
            charts += [Chart(title, caption, lines, x=BY_TOKENS)] if lines else []
    return charts
