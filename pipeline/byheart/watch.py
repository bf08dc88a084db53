"""A watch over a process that one waits for: where it says nothing for long, that is said, and the wait goes on."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event, Thread
from typing import Self

from byheart.progress import console

LIMIT = 60.0
"""Seconds without a word after which that is said."""


class Watch:
    """Says which process has said nothing for a while, and where its log is; then again after twice as long, and so on:
    `with Watch("round 1 train", child.pid, log) as watch: watch.heard()`. What it writes to the log is a word too."""

    def __init__(self, doing: str, pid: int, log: Path, limit: float = LIMIT) -> None:
        """Of the process `pid`, for what it is `doing`; `limit` in seconds."""
        self._doing, self._pid, self._log, self._limit = doing, pid, log, limit
        self._heard = 0.0
        self._ended = Event()
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self.heard()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._ended.set()
        self._thread.join()

    def heard(self) -> None:
        """The process has said something."""
        self._heard = time.time()

    def _listen(self) -> None:
        limit = self._limit
        while not self._ended.wait(max(0.01, self._last() + limit - time.time())):
            silent = time.time() - self._last()
            if silent >= limit:
                console.print(
                    f"{time.strftime('%H:%M:%S')}  {self._doing}: process {self._pid} has said nothing for "
                    f"{silent:.0f} s; its log is {self._log}"
                )
                limit *= 2

    def _last(self) -> float:
        """When something was last said, in seconds since the epoch, as the log's own time is."""
        try:
            return max(self._heard, self._log.stat().st_mtime)
        except OSError:
            return self._heard
