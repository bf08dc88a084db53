"""What must not be trained on: rows that overlap with a problem that is measured.

A row overlaps where its prompt is that of a measured problem; or where its prompt or its completion holds all numbers
of one and most of its words, in runs of `n` that both have. With another number it is another problem: one generator
writes many that are alike but for that. Runs of words that many measured problems share are the wording of the task
and prove nothing, so they don't count, and a problem that has little else is held against prompts as a whole. (Shared
n-grams: GPT-3, 2005.14165, appendix C; the share of words they cover: Llama 2, 2307.09288, appendix A.6.)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from byheart.types import Example, Problem
from byheart.wording import said

COMMON = 0.05
"""A run of words that more than this share of the measured problems have, and at least three, is the task's wording."""
OWN = 1 / 3
"""At least this share of a problem's words must be in runs of its own for it to be told by them."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    """A measured problem: how many words are in runs of its own, where each run begins, and its numbers."""

    num_words: int
    starts: dict[Words, list[int]]
    numbers: Counter[str]


def overlapping(rows: Sequence[Example], measured: Sequence[Problem], n: int, share: float) -> list[bool]:
    """For each row whether it overlaps with one of the `measured` problems: `share` (0..1) of its words, in runs of
    `n`. Problems of fewer words are looked for in prompts only, as a whole."""
    texts = list(dict.fromkeys(words(said(problem.prompt)) for problem in measured))
    common = Counter(run for text in texts for run in set(_runs(text, n)))
    most = max(2.0, COMMON * len(texts))
    ones = [_own(text, n, {run for run in _runs(text, n) if common[run] <= most}) for text in texts]
    holders: dict[Words, list[int]] = defaultdict(list)
    for place, one in enumerate(ones):
        for run in one.starts:
            holders[run].append(place)
    short = {len(text) for text in texts if 3 <= len(text) < n}
    whole = set(texts)

    def holds(text: Words) -> bool:
        covered: dict[int, set[int]] = defaultdict(set)
        for run in set(_runs(text, n)) & holders.keys():
            for place in holders[run]:
                covered[place].update(start + offset for start in ones[place].starts[run] for offset in range(n))
        numbers = numerals(text)
        return any(
            len(found) >= share * ones[place].num_words and ones[place].numbers <= numbers
            for place, found in covered.items()
        )

    flags = []
    for row in rows:
        prompt, completion = words(said(row["prompt"])), words(said(row["completion"]))
        same = prompt in whole or any(run in whole for size in short for run in _runs(prompt, size))
        flags.append(same or holds(prompt) or holds(completion))
    return flags


def _own(text: Words, n: int, runs: set[Words]) -> _Measured:
    starts: dict[Words, list[int]] = defaultdict(list)
    for start, run in enumerate(_runs(text, n)):
        if run in runs:
            starts[run].append(start)
    num_words = len({start + offset for places in starts.values() for start in places for offset in range(n)})
    return _Measured(num_words, starts if num_words >= OWN * len(text) else {}, numerals(text))


def _runs(text: Words, n: int) -> Iterator[Words]:
    return (text[start : start + n] for start in range(len(text) - n + 1))


def words(text: str) -> Words:
    """Words, numbers and single signs, case folded: "x - 3" is not "x + 3"."""
    return tuple(re.findall(r"\w+|[^\w\s]", text.casefold()))


def numerals(text: Iterable[str]) -> Counter[str]:
    """The words with a digit in them, and how often each stands there."""
    return Counter(word for word in text if any(sign.isdigit() for sign in word))
