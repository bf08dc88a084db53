"""Charts as inline SVG: in the page's own colours, light or dark, with a label for screen readers."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from byheart.text import visible

INK, PAPER = "#0c0c0d", "#fdfdfc"  # stand for the page's own colours; replaced in the SVG
COLOURS = ("#0a78c2", "#d55e00", "#009e73", "#b8609a", "#c98a00", "#4aa6dd", "#8a7ad9", "#7d7d7d")
"""After Okabe and Ito: distinguishable with colour-blindness, on light paper and on dark."""
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
"""Width of a chart in characters; a line's marker in the legend takes seven of them."""
BY_ROUND = "round (0: the base model)"
BY_TOKENS = "tokens sampled so far"
BY_VALUE = "value of a step"


@dataclass(frozen=True)
class Point:
    """A value with its interval. `promoted` is False where it is of a round that was not promoted."""

    x: float
    value: float
    low: float
    high: float
    promoted: bool = True


@dataclass(frozen=True)
class Line:
    """A line of a chart. `look` is the index of its colour and marker."""

    words: str
    points: list[Point]
    look: int
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart. `share`: the values are in 0..1. `level` is a value to compare with, drawn as a horizontal line."""

    title: str
    caption: str
    lines: list[Line]
    share: bool = True
    level: float | None = None
    x: str = BY_ROUND

    @property
    def hollow(self) -> bool:
        """Whether it shows a round that was not promoted."""
        return any(not point.promoted for line in self.lines for point in line.points)

    def svg(self, n: int) -> Markup:
        """The chart as SVG. `n`, its number in the page, is in all its ids, so that they are unique in the page."""
        name = f"chart-{n}"
        with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
            figure = Figure(figsize=(5.4, 3.7), layout="constrained")
            drawn = self._draw(figure.add_subplot())
            longest = max(len(line.words) for line in self.lines)
            columns = max(1, LEGEND // (longest + 7))
            words = [" ".join(visible(line.words).split()).replace("$", r"\$") for line in self.lines]
            figure.legend(drawn, words, loc="outside upper left", ncols=columns, handlelength=1.8, columnspacing=1.2)
            file = io.StringIO()
            silent = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Glyph")  # the page's reader has the fonts
                figure.savefig(file, format="svg", transparent=True, metadata=silent)
        text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", file.getvalue())
        text = text[text.index("<svg") :].replace(INK, "currentColor").replace(PAPER, "var(--paper)")
        values = "; ".join(
            f"{line.words} from {line.points[0].value:.2f} to {line.points[-1].value:.2f}" for line in self.lines
        )
        label = escape(visible(f"{self.title}: {values}"))
        return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))

    def _draw(self, axes: Axes) -> list[Line2D]:
        points = [point for line in self.lines for point in line.points]
        last = max(point.x for point in points)
        top = 1.03 if self.share else 1.15 * max(self.level or 0, *(point.value for point in points))
        apart = min(0.03, 0.01 * len(self.lines)) * last / max(len(self.lines) - 1, 1)
        middle = (len(self.lines) - 1) / 2
        drawn = [_draw(axes, line, (index - middle) * apart, top) for index, line in enumerate(self.lines)]
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
    """The colour and the marker of a line; the first 64 pairs are different."""
    cycle, colour = divmod(look, len(COLOURS))
    return COLOURS[colour], MARKERS[(colour + cycle) % len(MARKERS)]


def _draw(axes: Axes, line: Line, shift: float, top: float) -> Line2D:
    """Draw a line through the promoted points, and the others hollow and unconnected. `shift` moves it along x, so that
    lines do not cover each other."""
    colour, marker = looks(line.look)
    promoted = [point for point in line.points if point.promoted]
    xs, values = [point.x + shift for point in promoted], [point.value for point in promoted]
    (drawn,) = axes.plot(xs, values, "--" if line.dashed else "-", color=colour, marker=marker)
    for point in line.points:
        x = point.x + shift
        axes.vlines(x, point.low, min(point.high, top), color=colour, linewidth=1.2, alpha=0.8)
        if not point.promoted:
            gid = "-".join(["not-promoted", *re.findall(r"\w+", line.words), f"{line.look}", f"{point.x:g}"])
            axes.plot(x, point.value, color=colour, marker=marker, markerfacecolor=PAPER, zorder=3, gid=gid)
    return drawn
