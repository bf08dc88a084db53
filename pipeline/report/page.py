"""A run directory as one HTML page: no script, nothing fetched, charts drawn into it. Its words are in the template.

Every number is one of metrics.json or stages.json; nothing is measured or judged anew but what a changed verifier asks.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.evaluation import Answer
from pipeline.files import write_text
from pipeline.report.data import SPLITS, Round, RunView, asked, view, word
from pipeline.types import Problem, Rollout, Verdict

ORDER = ("held_out", "dev", "train")
MAX_MOVED = 20  # problems newly solved, and as many newly lost
MAX_PROBLEMS = 10  # with sampled solutions
MAX_SOLUTIONS = 6  # of one problem


def write_page(folder: Path) -> Path:
    """Write report.html into the run directory `folder`; its path. Raises InputError where it is no run directory."""
    run = view(folder)
    last = run.finished[-1] if run.finished else None
    source = PackageLoader("pipeline")
    templates = Environment(
        loader=source, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {"clip": clip, "asked": asked, "word": word}
    text = templates.get_template("report.html").render(
        run=run,
        last=last,
        model=run.recipe["model"]["name"],
        headline=_headline(run.finished) if last else None,
        example=_example(run),
        caveats=last.metrics.get("curation", {}).get("caveats", []) if last and last.metrics else [],
        under_way=[(one.n, _reached(one)) for one in run.rounds if not one.metrics],
        charts=_charts(run.finished) if last else {},
        splits=[(name, SPLITS[name]) for name in ORDER],
        moved=_moved(last) if last else {},
        solutions=_solutions(run),
        costs=_costs(run),
        recipe_text=(folder / "recipe.yaml").read_text("utf-8"),
    )
    write_text(folder / "report.html", text)
    return folder / "report.html"


def clip(text: str, start: int = 700, end: int = 500) -> str:
    """A long text without its middle: how it begins, and how it ends, where the answer is."""
    return text if len(text) <= start + end else f"{text[:start]} […] {text[-end:]}"


# What the page says


def _headline(rounds: Sequence[Round]) -> dict[str, Any]:
    """Held out, the base model and the policy that the run now has: what the last promoted round made, if any."""
    promoted = [one for one in rounds if _metrics(one)["promoted"]]
    return {
        "rounds": len(rounds),
        "promoted": len(promoted),
        "before": _metrics(rounds[0])["splits"]["held_out"]["before"],
        "after": _metrics(promoted[-1])["splits"]["held_out"]["after"] if promoted else None,
    }


def _example(run: RunView) -> Problem | None:
    """A problem of the run, to show what is asked."""
    loaded = [one for one in run.rounds if one.stages.get("load", {}).get("status") == "done"]
    return next(iter(loaded[0].problems().values()), None) if loaded else None


def _reached(one: Round) -> str | None:
    """The last stage that an unfinished round has been through."""
    done = [name for name, record in one.stages.items() if record["status"] == "done"]
    return done[-1] if done else None


def _moved(one: Round) -> dict[str, tuple[int, list[tuple[Problem, Answer, Answer]]]]:
    """Held-out problems newly solved and newly lost: how many, and the first of them, answered before and after."""
    problems = one.problems()
    measures = (one.measure("baseline"), one.measure("evaluate"))
    before, after = ({answer.problem_id: answer for answer in measure.splits["held_out"]} for measure in measures)
    paired = _metrics(one)["splits"]["held_out"]["paired"]
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


def _costs(run: RunView) -> dict[str, dict[str, float]]:
    """Stage -> seconds by kind, all rounds together, with all stages together in the last row."""
    sums: dict[str, dict[str, float]] = {}
    rows = [row for one in run.rounds for row in one.costs()]
    for name in [*dict.fromkeys(row["stage"] for row in rows), "all"]:
        mine = [row for row in rows if name in (row["stage"], "all")]
        kinds = ("seconds", "generating", "training", "start", "overhead")
        sums[name] = {kind: sum(row[kind] for row in mine) for kind in kinds}
    return sums if rows else {}


def _metrics(one: Round) -> dict[str, Any]:
    assert one.metrics, f"round {one.n} is not finished"
    return one.metrics


# Charts

INK, PAPER = "#0c0c0d", "#fdfdfc"  # stand for the page's own colours, light or dark; replaced in the SVG
COLOURS = {"held_out": "#0a78c2", "dev": "#d55e00", "train": "#009e73"}  # Okabe and Ito, told apart by most eyes
MARKERS = {"held_out": "o", "dev": "s", "train": "^"}
INKED = ("axes.edgecolor", "axes.labelcolor", "grid.color", "text.color", "xtick.color", "ytick.color")
STYLE = dict.fromkeys(INKED, INK) | {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Point:
    """A value after round `n` (0: the base model). `kept` is False where the round was not promoted."""

    n: int
    kept: bool
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    split: str
    words: str
    points: list[Point]
    dashed: bool = False


def _charts(rounds: Sequence[Round]) -> dict[str, Markup]:
    """Title -> picture, of what could be measured."""
    splits = _metrics(rounds[-1])["splits"].values()
    sampled = {key for split in splits for key in split["after"] if key.startswith("pass@")}
    charts = {"Accuracy by round": ["accuracy"], "Tokens an answer by round": ["tokens"]}
    if sampled:
        charts["Right when sampled several times"] = sorted(sampled, key=lambda key: int(key.removeprefix("pass@")))
    return {title: _svg(title, lines) for title, keys in charts.items() if (lines := _lines(rounds, keys))}


def _lines(rounds: Sequence[Round], keys: Sequence[str]) -> list[Line]:
    """A line for each split and key: the base model as round 1 measured it, then what each round made."""
    sides = [(0, True, rounds[0], "before"), *((one.n, _metrics(one)["promoted"], one, "after") for one in rounds)]
    lines = []
    for key in keys:
        for split in ORDER:
            rows = [(n, kept, _metrics(one)["splits"][split][side]) for n, kept, one, side in sides]
            points = [Point(n, kept, *_value(row, key)) for n, kept, row in rows if key in row]
            words = SPLITS[split] if len(keys) == 1 else f"{SPLITS[split]}, {key}"
            lines += [Line(split, words, points, len(keys) > 1 and key == keys[0])] if points else []
    return lines


def _value(row: dict[str, Any], key: str) -> tuple[float, float, float]:
    """A number of metrics.json with its interval; tokens have none."""
    if key in ("accuracy", "tokens"):
        return row[key], row["low" if key == "accuracy" else key], row["high" if key == "accuracy" else key]
    return row[key]["rate"], row[key]["low"], row[key]["high"]


def _svg(title: str, lines: Sequence[Line]) -> Markup:
    """One chart as inline SVG, in the page's own colours, its ids its own, with a label for who cannot see it."""
    name = title.split()[0].lower()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(5.4, 3.7), layout="constrained")
        axes = figure.add_subplot()
        for line in lines:
            _draw(axes, line)
        last = max(line.points[-1].n for line in lines)
        axes.set_xlim(-0.2 - 0.03 * last, last + 0.2 + 0.03 * last)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.1 if name == "tokens" else 1.03)
        axes.set_xlabel("round (0: the base model)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", alpha=0.15)
        figure.legend(loc="outside upper left", ncols=3 if len(lines) <= 3 else 2, handlelength=1.8, columnspacing=1.2)
        file = io.StringIO()
        silent = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=silent)
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", file.getvalue())
    text = text[text.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "var(--paper)")
    said = "; ".join(f"{line.words} from {line.points[0].value:.2f} to {line.points[-1].value:.2f}" for line in lines)
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{escape(f"{title}: {said}")}" ', 1))


def _draw(axes: Axes, line: Line) -> None:
    """A line through what was kept; what was not promoted stands alone and hollow. Splits stand a little apart."""
    colour, marker = COLOURS[line.split], MARKERS[line.split]
    aside = (ORDER.index(line.split) - 1) * min(0.02 * line.points[-1].n, 0.1)
    kept = [point for point in line.points if point.kept]
    places, values = [point.n + aside for point in kept], [point.value for point in kept]
    axes.plot(places, values, "--" if line.dashed else "-", color=colour, marker=marker, label=line.words)
    for point in line.points:
        place = point.n + aside
        axes.vlines(place, point.low, point.high, color=colour, linewidth=1.2, alpha=0.8)
        if not point.kept:
            gid = "-".join(["not-promoted", *re.findall(r"\w+", line.words), str(point.n)])
            axes.plot(place, point.value, color=colour, marker=marker, markerfacecolor=PAPER, zorder=3, gid=gid)
