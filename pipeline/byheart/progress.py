"""Progress of a long stage: in a terminal a bar with rate and time left, elsewhere a timed line now and then."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from byheart.console import Console
from byheart.text import visible

EVERY = 15.0
"""Seconds between two lines if there is no terminal."""

console = Console(stderr=True, soft_wrap=True)


class Progress:
    """Progress of `total` units: `with Progress(400, "sample", "problems") as bar: bar.advance(1, "312 tokens/s")`."""

    def __init__(self, total: int, doing: str, unit: str) -> None:
        """A bar for `total` units, called `unit`, of what is being done."""
        self._total, self._doing, self._unit = total, visible(doing), visible(unit)
        self._done = 0
        self._began = self._printed = time.monotonic()
        self._bar: RichProgress | None = None

    def __enter__(self) -> Self:
        """Show the bar."""
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[unit]}", markup=False),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
            )
            self._bar = RichProgress(*columns, console=console, transient=True)
            self._bar.start()
            self._bar.add_task(self._doing, total=self._total, unit=self._unit, note="")
        self._began = self._printed = time.monotonic()
        return self

    def advance(self, by: int = 1, note: str = "") -> None:
        """`by` more units are done; `note` is shown beside the bar."""
        self._done += by
        now = time.monotonic()
        rate = f"{self._done / max(now - self._began, 1e-9):.1f} {self._unit}/s"
        note = f"{rate}, {visible(note)}" if note else rate
        if self._bar:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=self._done, note=note)
        elif now - self._printed >= EVERY:
            self._printed = now
            took, share = now - self._began, self._done / self._total
            left = f", {took / share - took:.0f} s left" if share > 0.1 else ""  # earlier it would be a guess
            self._line(f"{self._done}/{self._total} {self._unit}, {took:.0f} s{left}", note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()
        if kind is None:
            self._line(f"{self._done} {self._unit} in {time.monotonic() - self._began:.1f} s", "")

    def _line(self, text: str, note: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')}  {self._doing}: {text}{', ' + note if note else ''}")
