"""Rows: each is one right rollout in trl's prompt-completion format, with its provenance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from byheart.runs.stages import Earlier
from byheart.text import text_of
from byheart.types import Prompt, Rollout, Row, Verdict


class Attempt(NamedTuple):
    """A rollout that was judged, with the number of its round."""

    round: int
    rollout: Rollout
    verdict: Verdict

    @property
    def judged(self) -> tuple[Rollout, Verdict]:
        """The rollout and its verdict."""
        return self.rollout, self.verdict

    @property
    def row(self) -> Row:
        """The row that would teach this rollout."""
        return make_row(self.rollout, self.verdict, self.round)


class JudgedRound(NamedTuple):
    """The rollouts of one round, and their verdicts in any order."""

    round: int
    rollouts: Sequence[Rollout]
    verdicts: Sequence[Verdict]

    def right(self, every: bool = False) -> list[Row]:
        """Rows of the right rollouts that their strategy selected; with `every`, also of unhinted ones that it did not
        select. None was cut off, which would teach not to stop."""
        return [
            attempt.row
            for attempt in self._complete()
            if attempt.verdict.correct and (attempt.rollout.selected or (every and not attempt.rollout.hinted))
        ]

    def wrong(self) -> list[Row]:
        """Rows of the wrong rollouts that are neither cut off, blank nor hinted."""
        return [attempt.row for attempt in self.unaided() if not attempt.verdict.correct]

    def unaided(self) -> Iterator[Attempt]:
        """The judged rollouts, right or wrong, that are neither cut off, blank nor hinted."""
        return (
            attempt
            for attempt in self._complete()
            if attempt.verdict.score is not None and not attempt.rollout.hinted and attempt.rollout.response.strip()
        )

    def _complete(self) -> Iterator[Attempt]:
        by_id = {verdict.rollout_id: verdict for verdict in self.verdicts}
        return (
            Attempt(self.round, rollout, by_id[rollout.id])
            for rollout in self.rollouts
            if rollout.id in by_id and rollout.finish_reason == "stop"
        )


def judged_rounds(earlier: Sequence[Earlier], verifier: str, max_age: int | None) -> list[JudgedRound]:
    """The `earlier` rounds, oldest first, at most the last `max_age` of them. Verdicts of other verifiers than the one
    with the identity `verifier` are left out."""
    recent = earlier if max_age is None else earlier[max(0, len(earlier) - max_age) :]
    return [
        JudgedRound(
            before.round,
            [rollout for group in before.rollouts.value for rollout in group.rollouts],
            [verdict for verdict in before.verdicts.value if verdict.verifier == verifier],
        )
        for before in recent
    ]


def make_row(rollout: Rollout, verdict: Verdict, n: int) -> Row:
    """The row of a rollout of round `n`."""
    return Row(
        prompt=rollout.prompt,
        completion=completion(rollout.response, rollout.prompt),
        problem_id=rollout.problem_id,
        rollout_id=rollout.id,
        policy=rollout.policy,
        strategy=rollout.strategy,
        verifier=verdict.verifier,
        answer=verdict.answer,
        seed=rollout.seed,
        num_tokens=rollout.num_tokens,
        round=n,
        hinted=rollout.hinted,
        untrained=[],
        value=rollout.value,
        score=verdict.score,
        margin=verdict.margin,
    )


def completion(response: str, prompt: Prompt) -> Prompt:
    """`response` in the format of `prompt`: plain text, or the assistant's message."""
    return response if isinstance(prompt, str) else [{"role": "assistant", "content": response}]


def text(row: Row) -> str:
    """The completion of `row` as plain text."""
    return text_of(row.completion)


def size(row: Row) -> tuple[int, str]:
    """Sort key for conciseness: the number of tokens, then the rollout's id as a tie-breaker."""
    return row.num_tokens, row.rollout_id


def by_problem(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """`rows` by problem id, in the order in which they come."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.problem_id].append(row)
    return groups
