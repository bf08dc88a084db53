"""Decontamination: rows that overlap with a problem that is measured must not be trained on.

A row overlaps if its prompt is that of a measured problem, or if its prompt or completion has all numbers of one and
most of its words, in shared runs of `n` words. Other numbers make another problem, since one generator writes many that
differ only in those. Runs of words that many measured problems share are the task's wording and do not count; a problem
that consists mostly of those is compared by its whole prompt. (Shared n-grams: GPT-3, 2005.14165, appendix C; the share
of words they cover: Llama 2, 2307.09288, appendix A.6.)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from byheart.text import text_of
from byheart.types import Problem

COMMON = 0.05
"""A run of words in more than this share of the measured problems, and in at least three, is the task's wording."""
OWN = 1 / 3
"""A problem is recognised by its own runs only if at least this share of its words is in them."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    """A measured problem: the number of its words in runs of its own, where each run starts, and its numbers."""

    num_words: int
    starts: dict[Words, list[int]]
    numbers: Counter[str]


class MeasuredProblems:
    """Finds whether a solution overlaps with one of some problems."""

    def __init__(
        self, problems: Sequence[Problem], n: int, share: float, others: Iterable[Sequence[Problem]] = ()
    ) -> None:
        """A text overlaps if it has at least `share` (0..1) of a problem's words, in runs of `n` words. Problems of
        fewer words are looked for in prompts only, as a whole. `others` are the problems of other tasks, each of which
        has wording of its own."""
        texts = list(dict.fromkeys(words(text_of(problem.prompt)) for problem in problems))
        counts = Counter(run for text in texts for run in set(_runs(text, n)))
        limit = max(2.0, COMMON * len(texts))
        self._n, self._share = n, share
        self._problems = [_own(text, n, {run for run in _runs(text, n) if counts[run] <= limit}) for text in texts]
        self._holders: dict[Words, list[int]] = defaultdict(list)  # by run, the indices of the problems it is in
        for index, problem in enumerate(self._problems):
            for run in problem.starts:
                self._holders[run].append(index)
        self._short = {len(text) for text in texts if 3 <= len(text) < n}
        self._whole = set(texts)
        self._others = [MeasuredProblems(part, n, share) for part in others]

    def overlap(self, prompt: str, completion: str) -> bool:
        """Whether either overlaps with one of the problems."""
        asked, written = words(prompt), words(completion)
        same = asked in self._whole or any(run in self._whole for size in self._short for run in _runs(asked, size))
        own = same or self._holds(asked) or self._holds(written)
        return own or any(other.overlap(prompt, completion) for other in self._others)

    def _holds(self, text: Words) -> bool:
        covered: dict[int, set[int]] = defaultdict(set)  # by the index of a problem, which of its words are in the text
        for run in set(_runs(text, self._n)) & self._holders.keys():
            for index in self._holders[run]:
                starts = self._problems[index].starts[run]
                covered[index].update(start + offset for start in starts for offset in range(self._n))
        numbers = numerals(text)
        return any(
            len(positions) >= self._share * problem.num_words and problem.numbers <= numbers
            for problem, positions in ((self._problems[index], positions) for index, positions in covered.items())
        )


def _own(text: Words, n: int, runs: set[Words]) -> _Measured:
    starts: dict[Words, list[int]] = defaultdict(list)
    for start, run in enumerate(_runs(text, n)):
        if run in runs:
            starts[run].append(start)
    num_words = len({start + offset for positions in starts.values() for start in positions for offset in range(n)})
    return _Measured(num_words, starts if num_words >= OWN * len(text) else {}, numerals(text))


def _runs(text: Words, n: int) -> Iterator[Words]:
    return (text[start : start + n] for start in range(len(text) - n + 1))


def words(text: str) -> Words:
    """The words, numbers and single symbols of `text`, case folded: "x - 3" is not "x + 3"."""
    return tuple(re.findall(r"\w+|[^\w\s]", text.casefold()))


def numerals(text: Iterable[str]) -> Counter[str]:
    """The words with a digit in them, with their counts."""
    return Counter(word for word in text if any(character.isdigit() for character in word))
