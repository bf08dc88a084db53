"""A run directory as one HTML page, and several compared as another: no script, nothing fetched, charts drawn into it.
The words are in the templates.

Every number is one of metrics.json or stages.json; nothing is measured or judged anew but what a changed verifier asks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from byheart.errors import InputError
from byheart.evaluation import Answer
from byheart.files import write_text
from byheart.report.charts import BY_TOKENS, BY_VALUE, Chart, Line, Point
from byheart.report.comparison import Comparison
from byheart.report.data import (
    KINDS,
    SPLITS,
    Round,
    RunView,
    asked,
    believed,
    caught_up,
    clip,
    gold,
    measured,
    measures,
    ratio,
    sampled,
    went_back,
    word,
)
from byheart.types import Branch, Problem, Rollout, Verdict

ORDER = ("held_out", "dev", "train")
MAX_MOVED = 20  # problems newly solved, and as many newly lost
MAX_PROBLEMS = 10  # with sampled solutions
MAX_SOLUTIONS = 6  # of one problem
MAX_GROUPS = 12  # in a chart, or with a chart each


def write_page(folder: Path) -> Path:
    """Write report.html into the run directory `folder`; its path. Raises InputError where it is no run directory, or
    one of an older version."""
    run = measured(folder)
    last = run.finished[-1] if run.finished else None
    return _write(
        "report.html",
        folder / "report.html",
        run=run,
        last=last,
        model=run.recipe["model"]["name"],
        headline=_headline(run.finished) if last else None,
        example=_example(run),
        caveats=last.numbers["curation"].get("caveats", []) if last else [],
        under_way=[(one.n, _reached(one)) for one in run.rounds if not one.metrics],
        charts=_charts(run) if last else [],
        splits=[(name, SPLITS[name]) for name in ORDER],
        moved=_moved(last, run.decided_by(last)) if last else {},
        solutions=_solutions(run),
        tree=_tree(run),
        costs=_costs(run),
        recipe_text=(folder / "recipe.yaml").read_text("utf-8"),
    )


def write_comparison(found: Comparison, path: Path) -> Path:
    """Write the page of a comparison to `path`; the same path. Raises InputError where no file can be there."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; the page is a file, e.g. {path / 'comparison.html'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    note = f"Of the {len(found.groups) - 1} groups by {found.by} the first {MAX_GROUPS} are shown."
    return _write(
        "comparison.html",
        path,
        found=found,
        charts=_grouped(found),
        note=note if len(found.groups) - 1 > MAX_GROUPS else "",
        splits=SPLITS,
    )


def _write(template: str, path: Path, **values: Any) -> Path:
    source = PackageLoader("byheart")
    templates = Environment(
        loader=source, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {
        "clip": clip,
        "asked": asked,
        "gold": gold,
        "word": word,
        "ratio": ratio,
        "sampled": sampled,
        "caught_up": caught_up,
        "measures": measures,
        "believed": believed,
        "went_back": went_back,
    }
    write_text(path, templates.get_template(template).render(**values))
    return path


# What the page says


def _headline(rounds: Sequence[Round]) -> dict[str, Any]:
    """Held out, the base model and the policy that the run now has: what the last promoted round made, if any."""
    promoted = [one for one in rounds if one.promoted]
    last = promoted[-1].numbers["splits"]["held_out"] if promoted else None
    return {
        "rounds": len(rounds),
        "promoted": len(promoted),
        "before": rounds[0].numbers["splits"]["held_out"]["before"],
        "after": last and last["after"],
        "by_heart": last and last.get("by_heart"),
    }


def _example(run: RunView) -> Problem | None:
    """A problem of the run, to show what is asked."""
    loaded = [one for one in run.rounds if one.stages.get("load", {}).get("status") == "done"]
    return next(iter(loaded[0].problems().values()), None) if loaded else None


def _reached(one: Round) -> str | None:
    """The last stage that an unfinished round has been through."""
    done = [name for name, record in one.stages.items() if record["status"] == "done"]
    return done[-1] if done else None


def _moved(one: Round, kind: str) -> dict[str, tuple[int, list[tuple[Problem, Answer, Answer]]]]:
    """Held-out problems newly solved and newly lost, asked in the way `kind`: how many, and the first of them, answered
    before and after."""
    problems = one.problems()
    measures = (one.measure("baseline"), one.measure("evaluate"))
    before, after = ({answer.problem_id: answer for answer in measure.splits["held_out"]} for measure in measures)
    paired = one.numbers["splits"]["held_out"]["paired"][kind]
    return {
        words: (len(paired[key]), [(problems[name], before[name], after[name]) for name in paired[key][:MAX_MOVED]])
        for words, key in (("Newly solved", "gained"), ("Newly lost", "lost"))
    }


@dataclass(frozen=True)
class Solutions:
    """What was sampled in round `n`: how many verdicts of each kind, and some problems with some of their solutions."""

    n: int
    counts: Counter[str]
    num_problems: int
    shown: list[tuple[Problem, int, list[tuple[Problem, Rollout, Verdict]]]]


def _solutions(run: RunView) -> Solutions | None:
    """Of the last round that has any; the problems are taken evenly from all, as they were finished."""
    for one in reversed(run.rounds):
        rows = list(one.solutions()) if "sample" in one.stages else []
        if rows:
            groups = [(problem, list(group)) for problem, group in groupby(rows, key=lambda row: row[0])]
            size = min(MAX_PROBLEMS, len(groups))
            picked = [groups[place * len(groups) // size] for place in range(size)]
            return Solutions(
                one.n,
                Counter(word(verdict) for _, _, verdict in rows),
                len(groups),
                [(problem, len(found), found[:MAX_SOLUTIONS]) for problem, found in picked],
            )
    return None


@dataclass(frozen=True)
class SearchTree:
    """What was searched for one problem: each branch with those below it."""

    problem: Problem
    roots: list[tuple[Branch, list[Any]]]


def _tree(run: RunView) -> SearchTree | None:
    """Of the last round that has any, the tree of a middling size."""
    for one in reversed(run.rounds):
        trees = sorted(one.trees() if "sample" in one.stages else [], key=lambda found: len(found[1].tree))
        if trees:
            problem, attempts = trees[len(trees) // 2]
            below: list[list[Any]] = [[] for _ in attempts.tree]
            roots: list[tuple[Branch, list[Any]]] = []
            for branch, mine in zip(attempts.tree, below, strict=True):
                (roots if branch.parent < 0 else below[branch.parent]).append((branch, mine))
            return SearchTree(problem, roots)
    return None


def _costs(run: RunView) -> dict[str, dict[str, float]]:
    """Stage -> seconds by kind, all rounds together, with all stages together in the last row."""
    sums: dict[str, dict[str, float]] = {}
    rows = [row for one in run.rounds for row in one.costs()]
    for name in [*dict.fromkeys(row["stage"] for row in rows), "all"]:
        mine = [row for row in rows if name in (row["stage"], "all")]
        kinds = ("seconds", "generating", "training", "start", "overhead")
        sums[name] = {kind: sum(row[kind] for row in mine) for kind in kinds}
    return sums if rows else {}


# Charts


def _charts(run: RunView) -> list[Chart]:
    """Of what could be measured: accuracy and tokens first, side by side; then by heart, sampled, and by group."""
    rounds, by = run.finished, run.recipe["evaluation"]["by"]
    heart = {"by_heart": "over slow before", "by_heart_base": "over slow of the base"}
    last = rounds[-1].numbers["splits"]["held_out"]["after"]
    groups = list(last.get("by", {}))
    few = f", the first {MAX_GROUPS} of {len(groups)}" if len(groups) > MAX_GROUPS else ""
    charts = [
        Chart(
            "Accuracy by round",
            "Share answered right. Bars are 95 % intervals.",
            [_line(rounds, KINDS.index(kind), kind, [kind]) for kind in (*run.greedy, "slow")],
        ),
        Chart(
            "Tokens an answer by round",
            "How long an answer is on average: fewer tokens are a faster answer.",
            [_line(rounds, place, kind, [kind], "tokens") for place, kind in enumerate(run.greedy)],
            share=False,
        ),
        Chart(
            "By heart",
            "Fast answers right for each slow answer right. At 1 what had to be worked out is known by heart.",
            [_ratio(rounds, place, words, key) for place, (key, words) in enumerate(heart.items())],
            share=False,
            level=1,
        ),
        Chart(
            "Sampled several times",
            "pass@k: one of k answers is right; maj@k: the most frequent of k is. Bars are 95 % intervals.",
            [_line(rounds, place, key, [key]) for place, key in enumerate(sampled(last))],
        ),
        *(
            Chart(
                f"{kind.capitalize()} accuracy by {by}",
                f"A line for each value of {by}{few}. Bars are 95 % intervals.",
                [_line(rounds, place, group, ["by", group, kind]) for place, group in enumerate(groups[:MAX_GROUPS])],
            )
            for kind in run.greedy
            if groups
        ),
    ]
    if values := last.get("values"):
        charts.append(_reliability(values["bins"]))
    shown = [replace(one, lines=[line for line in one.lines if line.points]) for one in charts]
    return [one for one in shown if one.lines]


def _line(rounds: Sequence[Round], look: int, words: str, path: Sequence[str], number: str = "accuracy") -> Line:
    """Held out, what `path` leads to on either side: the base model as round 1 measured it, then what each round made.
    The slow answer is measured only before a round, so its line is of the policies that rounds began with."""
    begun = path == ["slow"]
    sides = [(one.n - 1, True, one, "before") for one in (rounds if begun else rounds[:1])]
    sides += [] if begun else [(one.n, one.promoted, one, "after") for one in rounds]
    points = []
    for n, kept, one, side in sides:
        row: Any = one.numbers["splits"]["held_out"][side]
        for key in path:
            row = row.get(key, {})
        value = row.get("rate" if "rate" in row else number)
        if value is not None:
            interval = (value, value) if number == "tokens" else (row["low"], row["high"])
            points.append(Point(n, value, *interval, kept))
    return Line(words, points, look)


def _ratio(rounds: Sequence[Round], look: int, words: str, key: str) -> Line:
    rows = [(one, one.numbers["splits"]["held_out"].get(key)) for one in rounds]
    points = [Point(one.n, row["ratio"], row["low"], row["high"] or math.inf, one.promoted) for one, row in rows if row]
    return Line(words, points, look, dashed=key == "by_heart_base")


def _reliability(bins: Sequence[dict[str, Any]]) -> Chart:
    points = [Point(row["value"], row["right"], row["right"], row["right"]) for row in bins]
    ideal = [Point(end, end, end, end) for end in (0.0, 1.0)]
    return Chart(
        "Values of steps and what came of them",
        "Held out, last round: of the steps that were given such a value, the share in right solutions. On the dashed "
        "line a value is just what it says.",
        [Line("steps", points, 0), Line("as it should be", ideal, 7, dashed=True)],
        x=BY_VALUE,
    )


def _grouped(found: Comparison) -> list[Chart]:
    """Accuracy against tokens sampled so far, a line a run: of all problems, then of each group."""
    charts = []
    for group, ids in list(found.groups.items())[: 1 + MAX_GROUPS]:
        for kind in found.kinds:
            lines = []
            for look, run in enumerate(found.runs):
                rows = [(one.num_tokens, one.accuracy(found.split, ids, kind)) for one in run.stands]
                points = [Point(x, row["accuracy"], row["low"], row["high"]) for x, row in rows if "accuracy" in row]
                lines += [Line(clip(run.name, 24, 24), points, look)] if points else []
            title = f"{kind.capitalize()} accuracy{f', {found.by} {group}' if group else ''}"
            caption = f"{len(ids)} problems. Bars are 95 % intervals."
            charts += [Chart(title, caption, lines, x=BY_TOKENS)] if lines else []
    return charts
