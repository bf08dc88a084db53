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


def overlapping(texts: Sequence[tuple[str, str]], measured: Sequence[Problem], n: int, share: float) -> list[bool]:
    """Whether each (prompt, completion) of `texts` overlaps with one of the `measured` problems: has at least `share`
    (0..1) of its words, in runs of `n` words. Problems of fewer words are looked for in prompts only, as a whole."""
    problems = list(dict.fromkeys(words(text_of(problem.prompt)) for problem in measured))
    counts = Counter(run for problem in problems for run in set(_runs(problem, n)))
    limit = max(2.0, COMMON * len(problems))
    own = [_own(problem, n, {run for run in _runs(problem, n) if counts[run] <= limit}) for problem in problems]
    holders: dict[Words, list[int]] = defaultdict(list)
    for index, problem in enumerate(own):
        for run in problem.starts:
            holders[run].append(index)
    short = {len(problem) for problem in problems if 3 <= len(problem) < n}
    whole = set(problems)

    def holds(text: Words) -> bool:
        covered: dict[int, set[int]] = defaultdict(set)  # by the index of a problem, which of its words are in the text
        for run in set(_runs(text, n)) & holders.keys():
            for index in holders[run]:
                covered[index].update(start + offset for start in own[index].starts[run] for offset in range(n))
        numbers = numerals(text)
        return any(
            len(positions) >= share * own[index].num_words and own[index].numbers <= numbers
            for index, positions in covered.items()
        )

    flags = []
    for prompt, completion in ((words(prompt), words(completion)) for prompt, completion in texts):
        same = prompt in whole or any(run in whole for size in short for run in _runs(prompt, size))
        flags.append(same or holds(prompt) or holds(completion))
    return flags


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
