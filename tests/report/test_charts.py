"""Charts whose lines are told apart, whatever they are called and however many there are."""

from __future__ import annotations

import pytest
from byheart.report.charts import Chart, Line, Point, looks


def chart(*names: str) -> str:
    points = [Point(0, 0.1, 0.0, 0.2), Point(1, 0.5, 0.4, 0.6)]
    return Chart("Accuracy", "", [Line(name, points, look) for look, name in enumerate(names)]).svg(1)


def test_lines_look_different() -> None:
    assert len({looks(n) for n in range(64)}) == 64


@pytest.mark.parametrize("name", ["_x", "_", "$x$", "<b>"])
def test_every_line_is_in_the_legend_as_it_is_called(name: str) -> None:
    written = name.replace("<", "&lt;").replace(">", "&gt;")
    assert f">{written}</text>" in chart(name, "plain")
