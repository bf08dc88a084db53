"""What must not be trained on: rows that overlap with a problem that is measured.

A row overlaps where its problem and answer are those of a measured problem, or where its prompt or its completion holds
most of a measured problem's n-grams and all of its numbers. With another number it is another problem: one generator
writes many that are alike but for that. N-grams that many measured problems share are the wording of the task and prove
nothing, so they do not count. (Shared n-grams: GPT-3, 2005.14165, appendix C; a share of them rather than any single
one as in Llama 2, 2307.09288, appendix A.6.)
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from pipeline.types import Example, Problem, Prompt

COMMON = 0.05
"""An n-gram that more than this share of the measured problems have, and at least three, is the wording of the task."""

Ngram = tuple[str, ...]


def overlapping(rows: Sequence[Example], measured: Sequence[Problem], n: int, share: float) -> list[bool]:
    """For each row whether it overlaps with one of the `measured` problems: the same problem with the same answer, or
    at least `share` (0..1) of a problem's n-grams of `n` words, and its numbers."""
    asked = [words(said(problem.prompt)) for problem in measured]
    pairs = {(*text, "->", *words(one.answer or "")) for text, one in zip(asked, measured, strict=True)}
    numbers = [numerals(text) for text in asked]
    grams = [set(ngrams(text, n)) for text in asked]
    common = Counter(gram for one in grams for gram in one)
    most = max(2.0, COMMON * len(measured))
    grams = [{gram for gram in one if common[gram] <= most} for one in grams]
    holders: dict[Ngram, list[int]] = defaultdict(list)
    for place, one in enumerate(grams):
        for gram in one:
            holders[gram].append(place)

    def holds(text: list[str]) -> bool:
        shared = Counter(place for gram in set(ngrams(text, n)) & holders.keys() for place in holders[gram])
        own = numerals(text)
        return any(count >= share * len(grams[place]) and numbers[place] <= own for place, count in shared.items())

    found = []
    for row in rows:
        prompt, completion = words(said(row["prompt"])), words(said(row["completion"]))
        same = (*prompt, "->", *words(row["answer"] or "")) in pairs
        found.append(same or holds(prompt) or holds(completion))
    return found


def said(text: Prompt) -> str:
    """The words of a prompt or a completion, without who says them."""
    return text if isinstance(text, str) else "\n".join(turn["content"] for turn in text)


def words(text: str) -> list[str]:
    """Words, numbers and single signs, case folded: "x - 3" is not "x + 3"."""
    return re.findall(r"\w+|[^\w\s]", text.casefold())


def numerals(text: Iterable[str]) -> Counter[str]:
    """The words with a digit in them, and how often each stands there."""
    return Counter(word for word in text if any(sign.isdigit() for sign in word))


def ngrams(text: Sequence[str], n: int) -> Iterable[Ngram]:
    return (tuple(text[start : start + n]) for start in range(len(text) - n + 1))
