"""Charts as inline SVG: in the page's own colours, light or dark, with a label for who cannot see them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

INK, PAPER = "#0c0c0d", "#fdfdfc"  # stand for the page's own colours; replaced in the SVG
COLOURS = ("#0a78c2", "#d55e00", "#009e73", "#b8609a", "#c98a00", "#4aa6dd", "#8a7ad9", "#7d7d7d")
"""After Okabe and Ito: told apart by most eyes, on light paper and on dark."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INKED = ("axes.edgecolor", "axes.labelcolor", "grid.color", "text.color", "xtick.color", "ytick.color")
STYLE = dict.fromkeys(INKED, INK) | {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
LEGEND = 60
"""Letters that a chart is wide; a line's mark in the legend is as wide as seven of them."""
BY_ROUND = "round (0: the base model)"
BY_TOKENS = "tokens sampled so far"
BY_VALUE = "value of a step"


@dataclass(frozen=True)
class Point:
    """A value with its interval. `kept` is False where it is of a round that was not promoted."""

    x: float
    value: float
    low: float
    high: float
    kept: bool = True


@dataclass(frozen=True)
class Line:
    """`look` is its place among the colours and markers."""

    words: str
    points: list[Point]
    look: int
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """`share`: the values are in 0..1. `level` is a value to compare with, drawn across."""

    title: str
    caption: str
    lines: list[Line]
    share: bool = True
    level: float | None = None
    x: str = BY_ROUND

    @property
    def hollow(self) -> bool:
        """Whether it shows a round that was not promoted."""
        return any(not point.kept for line in self.lines for point in line.points)

    def svg(self, n: int) -> Markup:
        """The chart as the page's `n`-th, which is in all its ids, so that several can stand in one page."""
        name = f"chart-{n}"
        with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
            figure = Figure(figsize=(5.4, 3.7), layout="constrained")
            drawn = self._draw(figure.add_subplot())
            longest = max(len(line.words) for line in self.lines)
            columns = max(1, LEGEND // (longest + 7))
            words = [line.words.replace("$", r"\$") for line in self.lines]
            figure.legend(drawn, words, loc="outside upper left", ncols=columns, handlelength=1.8, columnspacing=1.2)
            file = io.StringIO()
            silent = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(file, format="svg", transparent=True, metadata=silent)
        text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", file.getvalue())
        text = text[text.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "var(--paper)")
        said = "; ".join(
            f"{line.words} from {line.points[0].value:.2f} to {line.points[-1].value:.2f}" for line in self.lines
        )
        label = escape(f"{self.title}: {said}")
        return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))

    def _draw(self, axes: Axes) -> list[Line2D]:
        points = [point for line in self.lines for point in line.points]
        last = max(point.x for point in points)
        top = 1.03 if self.share else 1.15 * max(self.level or 0, *(point.value for point in points))
        apart = min(0.03, 0.01 * len(self.lines)) * last / max(len(self.lines) - 1, 1)
        middle = (len(self.lines) - 1) / 2
        drawn = [_draw(axes, line, (place - middle) * apart, top) for place, line in enumerate(self.lines)]
        if self.level is not None:
            axes.axhline(self.level, color=INK, linewidth=1, alpha=0.6)
        margin = 0.03 * last + (0.2 if self.x == BY_ROUND else 0)
        axes.set_xlim(-margin, last + margin)
        axes.set_ylim(0, top)
        axes.set_xlabel(self.x)
        axes.xaxis.set_major_locator(MaxNLocator(5 if self.x == BY_TOKENS else "auto", integer=self.x != BY_VALUE))
        if self.x == BY_TOKENS:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(axis="y", alpha=0.15)
        return drawn


def looks(look: int) -> tuple[str, str]:
    """The colour and the marker of a line: a pair of its own for each of the first 64."""
    again, colour = divmod(look, len(COLOURS))
    return COLOURS[colour], MARKERS[(colour + again) % len(MARKERS)]


def _draw(axes: Axes, line: Line, aside: float, top: float) -> Line2D:
    """A line through what was kept; what was not promoted stands alone and hollow. Lines stand a little apart."""
    colour, marker = looks(line.look)
    kept = [point for point in line.points if point.kept]
    places, values = [point.x + aside for point in kept], [point.value for point in kept]
    (drawn,) = axes.plot(places, values, "--" if line.dashed else "-", color=colour, marker=marker)
    for point in line.points:
        place = point.x + aside
        axes.vlines(place, point.low, min(point.high, top), color=colour, linewidth=1.2, alpha=0.8)
        if not point.kept:
            gid = "-".join(["not-promoted", *re.findall(r"\w+", line.words), f"{line.look}", f"{point.x:g}"])
            axes.plot(place, point.value, color=colour, marker=marker, markerfacecolor=PAPER, zorder=3, gid=gid)
    return drawn
