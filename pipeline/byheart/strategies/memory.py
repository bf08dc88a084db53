"""What a run knows already: right solutions of its own, recalled as worked examples for the teacher's prompt.

The nearest are found by BM25 over the words and signs of the problems (lucene's form, by the library bm25s); else they
are drawn by a seed made of the problem's id. Either way the same problem recalls the same, and never itself.
"""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from byheart.files import Journal
from byheart.run import Stage
from byheart.strategies.verifying import read_verdicts
from byheart.types import Attempts, Prompt, Recall, Rollout, WorkedExample
from byheart.wording import normalised, said


class Memory:
    """Answers Recall. `examples`, each with the id of its problem, are read when the first is asked for."""

    def __init__(self, examples: Iterable[tuple[str, WorkedExample]]) -> None:
        self._unread = examples

    def __call__(self, asked: Recall) -> list[WorkedExample]:
        own, said = asked.problem.id, words(asked.problem.prompt)
        others = [place for place, (name, _) in enumerate(self._known) if name != own and self._said[place] != said]
        n = min(asked.n, len(others))
        if asked.nearest and n:
            scores = self._index.get_scores(_tokens(said))
            chosen = heapq.nsmallest(n, others, key=lambda place: (-scores[place], place))
        else:
            chosen = random.Random(own).sample(others, n)
        return [self._known[place][1] for place in chosen]

    def __reduce__(self) -> tuple[type[Memory], tuple[object]]:
        return Memory, (self._known,)

    @cached_property
    def _known(self) -> list[tuple[str, WorkedExample]]:
        return list(self._unread)

    @cached_property
    def _said(self) -> list[str]:
        return [words(one.prompt) for _, one in self._known]

    @cached_property
    def _index(self) -> Any:
        import bm25s  # it loads scipy and numba, which takes a second

        index = bm25s.BM25()
        index.index([_tokens(said) for said in self._said], create_empty_token=False, show_progress=False)
        return index


def of_run(work: Stage) -> Memory:
    """What the rounds before this one verified: of each problem the shortest right solution that may be learnt from,
    chosen by its strategy, found without a hint and not cut off."""
    return Memory(_verified(work))


def _verified(work: Stage) -> Iterator[tuple[str, WorkedExample]]:
    best: dict[str, Rollout] = {}
    for n in range(1, work.round):
        folder = work.round_dir(n)
        right = {verdict.rollout_id for verdict in read_verdicts(folder) if verdict.correct}
        for attempts in Journal(folder, "rollouts", Attempts).read():
            for one in attempts.rollouts:
                if one.id in right and one.chosen and not one.hinted and one.finish_reason == "stop":
                    best[one.problem_id] = min(best.get(one.problem_id, one), one, key=_size)
    for name, one in sorted(best.items()):
        yield name, WorkedExample(one.prompt, one.response)


def _size(rollout: Rollout) -> tuple[int, str]:
    return rollout.num_tokens, rollout.id


def words(prompt: Prompt) -> str:
    """The text of `prompt`, case and spacing aside."""
    return normalised(said(prompt))


def _tokens(said: str) -> list[str]:
    """Words, numbers and signs. The tokens bm25s makes itself have two characters or more, so 7 * 8 would have none."""
    return re.findall(r"\w+|[^\w\s]", said) or [""]
