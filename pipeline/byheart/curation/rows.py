"""Rows: each is one right rollout in trl's prompt-completion format, with its provenance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from byheart.run import Stage
from byheart.strategies.sampling import read_rollouts
from byheart.strategies.verifying import read_verdicts
from byheart.types import Example, Rollout, Verdict
from byheart.wording import said


class Found(NamedTuple):
    """What one round came to: its rollouts, and what the verifier said of them."""

    round: int
    rollouts: Sequence[Rollout]
    verdicts: Sequence[Verdict]

    def right(self, every: bool = False) -> list[Example]:
        """Rows of what was judged right, came to its end, as what was cut off would teach not to end, and was chosen by
        its strategy; with `every`, whatever the strategy chose, but for what it rejects of those that had a hint."""
        return [
            example(rollout, verdict, self.round)
            for rollout, verdict in self._ended()
            if verdict.correct and (rollout.chosen or (every and not rollout.hinted))
        ]

    def wrong(self) -> list[Example]:
        """Rows of what was judged wrong though it says something, came to its end, and no hint misled it."""
        return [
            example(rollout, verdict, self.round)
            for rollout, verdict in self._ended()
            if verdict.score is not None and not verdict.correct and not rollout.hinted and rollout.response.strip()
        ]

    def tried(self) -> Iterator[tuple[int, Rollout, Verdict]]:
        """What was judged, came to its end and had no hint, with the round."""
        judged = ((one, verdict) for one, verdict in self._ended() if verdict.score is not None)
        return ((self.round, one, verdict) for one, verdict in judged if one.response.strip() and not one.hinted)

    def _ended(self) -> Iterator[tuple[Rollout, Verdict]]:
        by_id = {verdict.rollout_id: verdict for verdict in self.verdicts}
        return ((one, by_id[one.id]) for one in self.rollouts if one.id in by_id and one.finish_reason == "stop")


def earlier(work: Stage, verifier: str, max_age: int | None) -> list[Found]:
    """What the rounds before this one found, the oldest first and none more than `max_age` rounds old; without the
    verdicts of another verifier than the present one."""
    first = 1 if max_age is None else max(1, work.round - max_age)
    folders = {n: work.round_dir(n) for n in range(first, work.round)}
    return [
        Found(
            n,
            [rollout for attempts in read_rollouts(folder) for rollout in attempts.rollouts],
            [verdict for verdict in read_verdicts(folder) if verdict.verifier == verifier],
        )
        for n, folder in folders.items()
    ]


def example(rollout: Rollout, verdict: Verdict, n: int) -> Example:
    """The row of one rollout of round `n`."""
    chat = not isinstance(rollout.prompt, str)
    return {
        "prompt": rollout.prompt,
        "completion": [{"role": "assistant", "content": rollout.response}] if chat else rollout.response,
        "problem_id": rollout.problem_id,
        "rollout_id": rollout.id,
        "policy": rollout.policy,
        "strategy": rollout.strategy,
        "seed": rollout.seed,
        "hinted": rollout.hinted,
        "value": rollout.value,
        "num_tokens": rollout.num_tokens,
        "untrained": [],
        "verifier": verdict.verifier,
        "score": verdict.score,
        "margin": verdict.margin,
        "answer": verdict.answer,
        "round": n,
    }


def text(row: Example) -> str:
    """The words of a row's completion."""
    return said(row["completion"])


def size(row: Example) -> tuple[int, str]:
    """What the most concise row has the least of; the name decides between equals."""
    return row["num_tokens"], row["rollout_id"]


def by_problem(rows: Iterable[Example]) -> dict[str, list[Example]]:
    groups: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        groups[row["problem_id"]].append(row)
    return groups
