"""What was tried on each problem, round by round: read from the journals for a problem at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from byheart.curation.rows import make_row
from byheart.errors import RunError
from byheart.runs.stages import Earlier
from byheart.text import text_of
from byheart.types import Rollout, RolloutGroup, Row, Verdict

Order = tuple[int, ...]
"""The sort key of a problem."""

_NO_TEXT = "\N{REPLACEMENT CHARACTER}"


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

    @property
    def unaided(self) -> bool:
        """Whether it was judged right or wrong, and is neither cut off, blank, garbled nor hinted."""
        judged = self.verdict.score is not None and self.rollout.finish_reason == "stop" and not self.garbled
        return judged and not self.rollout.hinted and bool(self.rollout.response.strip())

    @property
    def garbled(self) -> bool:
        """Whether it holds U+FFFD, which stands for bytes that are no text, and the prompt does not."""
        return _NO_TEXT in self.rollout.response and _NO_TEXT not in text_of(self.rollout.prompt)

    def right(self, every: bool = False) -> bool:
        """Whether it is right and its strategy selected it; with `every`, unhinted ones need not be selected. None was
        cut off, which would teach not to stop, and none is garbled."""
        taught = self.rollout.selected or (every and not self.rollout.hinted)
        return self.verdict.correct and self.rollout.finish_reason == "stop" and taught and not self.garbled


class JudgedRound:
    """The rollouts of one round with their verdicts, by problem. Where they are is in memory, not what they say."""

    def __init__(
        self, number: int, rollouts: Sequence[RolloutGroup], verdicts: Sequence[Verdict], verifier: str | None = None
    ) -> None:
        """`verdicts` has one of each rollout, in their order. With `verifier`, those of other identities do not
        count."""
        self.number = number
        self.problems: dict[str, int] = {}  # by id, where they are in the round
        self._rollouts, self._verdicts, self._verifier = rollouts, verdicts, verifier
        self._starts = array("Q", [0])  # of each problem's verdicts, and the end of the last
        for index, group in enumerate(rollouts):
            self.problems[group.problem_id] = index
            self._starts.append(self._starts[-1] + len(group.rollouts))

    def attempts(self, problem: str) -> list[Attempt]:
        """What was tried on the problem with this id. Raises RunError where the verdicts are of other rollouts."""
        if problem not in self.problems:
            return []
        index = self.problems[problem]
        rollouts = self._rollouts[index].rollouts
        verdicts = self._verdicts[self._starts[index] : self._starts[index + 1]]
        if [rollout.id for rollout in rollouts] != [verdict.rollout_id for verdict in verdicts]:
            raise RunError(
                f"round {self.number}: the verdicts are not one for each rollout, in their order, as `byheart verify` "
                f"writes them; repeat it with --redo-from {self.number}"
            )
        judged = zip(rollouts, verdicts, strict=True)
        return [Attempt(self.number, *pair) for pair in judged if self._verifier in (None, pair[1].verifier)]


class History:
    """What was tried on each problem in some rounds."""

    def __init__(self, rounds: Sequence[JudgedRound]) -> None:
        """`rounds`, oldest first."""
        self.rounds = {judged.number: judged for judged in rounds}

    def __iter__(self) -> Iterator[list[Attempt]]:
        """What was tried on one problem after the other, each time oldest round first."""
        for number, judged in self.rounds.items():
            before = [self.rounds[other].problems for other in self.rounds if other < number]
            for problem in judged.problems:
                if not any(problem in problems for problems in before):
                    yield self.attempts(problem)

    def attempts(self, problem: str) -> list[Attempt]:
        """What was tried on the problem with this id, oldest round first."""
        return [attempt for judged in self.rounds.values() for attempt in judged.attempts(problem)]

    def newest_first(self, row: Row) -> Order:
        """Sort key of a problem by its first row: unhinted before hinted, newer rounds first, then as in the round."""
        return row.hinted, -row.round, self.rounds[row.round].problems[row.problem_id]

    def oldest_first(self, row: Row) -> Order:
        """Sort key of a problem by its first row: older rounds first, then as in the round."""
        return row.round, self.rounds[row.round].problems[row.problem_id]


def judged_rounds(earlier: Sequence[Earlier], verifier: str, max_age: int | None) -> list[JudgedRound]:
    """The `earlier` rounds, oldest first, at most the last `max_age` of them. Verdicts of other verifiers than the one
    with the identity `verifier` are left out."""
    recent = earlier if max_age is None else earlier[max(0, len(earlier) - max_age) :]
    return [JudgedRound(before.round, before.rollouts.value, before.verdicts.value, verifier) for before in recent]
