"""Agreement instead of a gold answer: the majority's answer is right (maj@k; self-consistency, 2203.11171).

The answers of the samples are grouped into classes of equal ones, equal by another verifier and not by spelling. The
margin is the share of the largest class minus that of the next; with too small a margin, or too few samples, all are
unjudged. It is no proof: a model that is confidently wrong agrees with itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.errors import RecipeError
from byheart.plugins.plugin import Member, named
from byheart.types import Interaction, Judgement, Problem, Request, Verify, replace


class Consensus(Verifier):
    """Judges the samples of a problem by majority vote."""

    needs_gold: ClassVar[bool] = False
    by_agreement: ClassVar[bool] = True
    reads_answers: ClassVar[bool] = True

    equal: Member[Verifier] = named("math", "the verifier that reads the answers and compares them")
    min_samples: int = Field(default=4, ge=2, description="fewest samples with an answer for a vote")
    margin: float = Field(
        default=0.25, gt=0, le=1, description="share of the votes, in 0..1, by which the largest class has to lead"
    )

    @override
    def check(self) -> None:
        if not self.equal.compares:
            raise RecipeError(f"consensus: equal: the verifier {self.equal.name!r} reads no answers to compare")

    @override
    def caveat(self) -> str:
        return (
            "Right by agreement: where the verifier `consensus` stands, no gold answer was known, and a solution "
            "counts as right because most samples of its problem gave the same answer."
        )

    @override
    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction:
        answers = [self.equal.extract(problem, response) for response in responses]
        votes = Counter(answer for answer in answers if answer is not None)
        classes = yield from grouped(problem, votes.elements(), self.equal)
        sizes = sorted((sum(votes[answer] for answer in members) for members in classes), reverse=True)
        num_votes = sum(sizes)
        if num_votes < self.min_samples:
            return [Judgement(None, answer, f"only {num_votes} samples have an answer") for answer in answers]
        margin = (sizes[0] - sum(sizes[1:2])) / num_votes
        if margin < self.margin:
            return [
                Judgement(None, answer, f"the samples do not agree (margin {margin:.2f})", margin) for answer in answers
            ]
        won = max(classes, key=lambda members: sum(votes[answer] for answer in members))
        agreed = f"{sizes[0]} of {num_votes} samples answer {won[0][:40]!r}"
        return [
            Judgement(1.0, answer, agreed, margin) if answer in won else Judgement(0.0, answer, agreed, margin)
            for answer in answers
        ]


def grouped(
    problem: Problem, answers: Iterable[str], equal: Verifier | None
) -> Generator[Sequence[Request], Any, list[list[str]]]:
    """The distinct `answers` in classes of equal ones, each class with its most common answer first.

    The verifier `equal` compares them, as though the first of a class were the gold answer; it never sees the real one.
    Without a verifier each answer is a class of its own.
    """
    classes: list[list[str]] = []
    remaining = [answer for answer, _ in Counter(answers).most_common()]
    while remaining:
        first, *others = remaining
        same: list[str] = []
        if equal is not None and others:
            [verdicts] = yield [Verify(replace(problem, answer=first), others, equal)]
            same = [other for other, verdict in zip(others, verdicts, strict=True) if verdict.correct]
        classes.append([first, *same])
        remaining = [other for other in others if other not in same]
    return classes


def comparing(verifier: Verifier) -> Verifier | None:
    """The first of `verifier` and those that it is made of that can compare two answers; None where none can."""
    return next((part for part in verifier.walk() if isinstance(part, Verifier) and part.compares), None)
