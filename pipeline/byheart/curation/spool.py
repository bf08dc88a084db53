"""What curation puts aside on disk instead of holding it in memory, until it is known how to go on with it."""

from __future__ import annotations

import contextlib
import pickle
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Generic, TypeVar

T = TypeVar("T")


class Spool(Generic[T]):
    """Items in a file that nobody else sees and that goes with the spool; they can be read any number of times."""

    def __init__(self, folder: Path, items: Iterable[T], key: Callable[[T], Any] | None = None) -> None:
        """Write `items` to `folder`. They are read in the order of their keys, or with no `key` as they came."""
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115  # open as long as the spool is there
        weakref.finalize(self, _close, self._file)
        self._starts = array("Q")
        keys = []
        for item in items:
            self._starts.append(self._file.tell())
            pickle.dump(item, self._file)
            if key:
                keys.append(key(item))
        if key:
            order = sorted(range(len(keys)), key=keys.__getitem__)
            self._starts = array("Q", (self._starts[index] for index in order))

    def __iter__(self) -> Iterator[T]:
        """The items, one at a time."""
        for start in self._starts:
            self._file.seek(start)
            yield pickle.load(self._file)


def _close(file: IO[bytes]) -> None:
    """Where the disk is full there is nothing to write any more, and that was said."""
    with contextlib.suppress(OSError):
        file.close()


def in_order(groups: Iterable[tuple[Any, list[T]]], folder: Path) -> Iterator[T]:
    """The items of `groups`, in the order of the groups' keys; until then they are in a file in `folder`."""
    for _, items in Spool(folder, groups, itemgetter(0)):
        yield from items
