"""What `all`, `any` and `first` share: a list of verifiers, asked one after another."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member
from byheart.types import Judgement, Problem, Request, Verify


class Several(Verifier):
    """Base of verifiers that are made of others. What any of those needs, this one needs too."""

    needs_gold: ClassVar[bool] = False
    reads_answers: ClassVar[bool] = True  # where all that it is made of do

    of: list[Member[Verifier]] = Field(min_length=2, description="the verifiers, in the order in which they are asked")

    @override
    def requires_gold(self) -> bool:
        return any(verifier.requires_gold() for verifier in self.of)

    @override
    def proves(self) -> bool:
        return all(verifier.proves() for verifier in self.of)

    @override
    def unreadable(self, problem: Problem) -> str | None:
        """One that can read it can judge it right, unless all of them have to."""
        reasons = [verifier.unreadable(problem) for verifier in self.of]
        return None if None in reasons else reasons[0]

    @override
    def found(self, response: str) -> str:
        """What the first says that says where it reads."""
        return next(filter(None, (verifier.found(response) for verifier in self.of)), "")

    def _ask(
        self, problem: Problem, responses: Sequence[str], verifier: Verifier, indices: Sequence[int]
    ) -> Generator[Sequence[Request], Any, dict[int, Judgement]]:
        """Index -> judgement by `verifier`, for the responses at `indices`; a verifier that goes by agreement sees all
        responses."""
        if not indices:
            return {}
        together = any(part.by_agreement for part in verifier.walk() if isinstance(part, Verifier))
        shown = range(len(responses)) if together else indices
        [verdicts] = yield [Verify(problem, [responses[index] for index in shown], verifier)]
        judgements = {index: verdict.judgement for index, verdict in zip(shown, verdicts, strict=True)}
        return {index: judgements[index] for index in indices}
