"""The run's own right solutions, retrieved as worked examples for the teacher's prompt.

The nearest are found by BM25 over the words and signs of the problems (lucene's form, by the library bm25s); else they
are drawn by a seed made of the problem's id. Either way the same problem retrieves the same examples, and never itself.
"""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from byheart.runs.stages import Earlier
from byheart.text import normalised, text_of
from byheart.types import Prompt, Retrieve, Rollout, RolloutGroup, Verdict, WorkedExample


class ExampleStore:
    """Answers Retrieve. `examples`, each with the id of its problem, are read when the first is asked for."""

    def __init__(self, examples: Iterable[tuple[str, WorkedExample]]) -> None:
        """`examples` are (problem id, example) pairs."""
        self._unread = examples

    def __call__(self, request: Retrieve) -> list[WorkedExample]:
        """At most `request.n` examples of other problems than `request.problem`."""
        problem_id, text = request.problem.id, words(request.problem.prompt)
        others = [
            index for index, (name, _) in enumerate(self._known) if name != problem_id and self._texts[index] != text
        ]
        n = min(request.n, len(others))
        if request.nearest and n:
            scores = self._index.get_scores(_tokens(text))
            drawn = heapq.nsmallest(n, others, key=lambda index: (-scores[index], index))
        else:
            drawn = random.Random(problem_id).sample(others, n)
        return [self._known[index][1] for index in drawn]

    def __reduce__(self) -> tuple[type[ExampleStore], tuple[object]]:
        """Pickled with the examples read, since what reads them need not be there."""
        return ExampleStore, (self._known,)

    @cached_property
    def _known(self) -> list[tuple[str, WorkedExample]]:
        return list(self._unread)

    @cached_property
    def _texts(self) -> list[str]:
        return [words(example.prompt) for _, example in self._known]

    @cached_property
    def _index(self) -> Any:
        import bm25s  # it loads scipy and numba, which takes a second

        index = bm25s.BM25()
        index.index([_tokens(text) for text in self._texts], create_empty_token=False, show_progress=False)
        return index


def verified_examples(earlier: Sequence[Earlier]) -> ExampleStore:
    """What earlier rounds verified: of each problem the shortest right solution that may be learnt from, selected by
    its strategy, written without a hint and not cut off."""
    return ExampleStore(_verified(earlier))


def _verified(earlier: Sequence[Earlier]) -> Iterator[tuple[str, WorkedExample]]:
    best: dict[str, Rollout] = {}
    for before in earlier:
        for problem_id, (rollout, _) in shortest_right(before.rollouts.value, before.verdicts.value).items():
            best[problem_id] = min(best.get(problem_id, rollout), rollout, key=_size)
    for problem_id, rollout in sorted(best.items()):
        yield problem_id, WorkedExample(rollout.prompt, rollout.response)


def shortest_right(groups: Iterable[RolloutGroup], verdicts: Iterable[Verdict]) -> dict[str, tuple[Rollout, Verdict]]:
    """By problem id, in the order of `groups`, the shortest right solution of one round that may be learnt from, with
    its verdict; without those problems that have none."""
    right = {verdict.rollout_id: verdict for verdict in verdicts if verdict.correct}
    best: dict[str, Rollout] = {}
    for group in groups:
        for rollout in group.rollouts:
            whole = rollout.finish_reason == "stop" and rollout.selected and not rollout.hinted
            if rollout.id in right and whole:
                best[rollout.problem_id] = min(best.get(rollout.problem_id, rollout), rollout, key=_size)
    return {problem_id: (rollout, right[rollout.id]) for problem_id, rollout in best.items()}


def _size(rollout: Rollout) -> tuple[int, str]:
    return rollout.num_tokens, rollout.id


def words(prompt: Prompt) -> str:
    """The text of `prompt`, case and spacing aside."""
    return normalised(text_of(prompt))


def _tokens(text: str) -> list[str]:
    """Words, numbers and signs. The tokens bm25s makes itself have two characters or more, so 7 * 8 would have none."""
    return re.findall(r"\w+|[^\w\s]", text) or [""]
