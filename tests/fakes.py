"""An engine and a verifier whose answers the test decides, and the real driver that runs a strategy between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from byheart.contracts import Session, Strategy
from byheart.errors import PromptError
from byheart.evaluation import read_measure
from byheart.evaluation.metrics import RoundMetrics
from byheart.runs.run import Run
from byheart.runs.stages import Earlier, Made
from byheart.strategies.core.driver import Retriever, drive
from byheart.strategies.core.sampling import read_rollouts
from byheart.strategies.core.verifying import read_verdicts
from byheart.tasks.core.splits import read_problems
from byheart.types import (
    Completion,
    FinishReason,
    Generate,
    Interaction,
    Policy,
    Problem,
    Prompt,
    Rollout,
    RolloutGroup,
    Score,
    Verdict,
    Verify,
)
from byheart.verifiers.core.service import VerifierService

from tests.conftest import verifier_by

SUM = Problem.of([{"role": "user", "content": "What is 2 + 2?"}], "4", "number")
PLAIN = Problem.of("2 + 2 =", "4", "number")

Q = TypeVar("Q")
A = TypeVar("A")
Choose = Callable[[list[tuple[int, Any]]], Sequence[int]]


class FakeService(Generic[Q, A]):
    """Replies `answer(request)`. Each poll answers the tickets that `choose` picks among the open requests, by default
    all of them. `taken` holds every request in order; `turns` the requests that were open at the same poll."""

    def __init__(self, answer: Callable[[Q], A], choose: Choose | None = None) -> None:
        self.answer, self.choose = answer, choose or (lambda waiting: [ticket for ticket, _ in waiting])
        self.open: dict[int, Q] = {}
        self.taken: list[Q] = []
        self.turns: list[list[Q]] = []

    def submit(self, request: Q) -> int:
        self.taken.append(request)
        self.open[len(self.taken)] = request
        return len(self.taken)

    def poll(self) -> list[tuple[int, A]]:
        if not self.open:
            return []
        self.turns.append(list(self.open.values()))
        return [(ticket, self.answer(self.open.pop(ticket))) for ticket in self.choose(list(self.open.items()))]


Words = str | Sequence[str | Completion] | PromptError
"""One text for all samples, or one for each; a text that ends in "~" was cut off there. An error refuses the prompt."""


class FakeEngine(FakeService[Any, Any], Session):
    """Writes `says(request)` for Generate and gives `scores(request)` for Score. A prompt that holds `refuses` is
    refused when it is submitted. A text has a token for each word and one for its end."""

    def __init__(
        self,
        says: Callable[[Generate], Words],
        scores: Callable[[Score], list[Any]] | None = None,
        refuses: str | None = None,
        choose: Choose | None = None,
    ) -> None:
        super().__init__(self._replied, choose)
        self.says, self.scores, self.refuses = says, scores, refuses
        self.policy: Policy | None = None

    def load(self, policy: Policy) -> None:
        self.policy = policy

    def submit(self, request: Generate | Score) -> int:
        if self.refuses and self.refuses in text(request.prompt):
            raise PromptError("too long")
        return super().submit(request)

    def close(self) -> None:
        self.open.clear()

    @property
    def prompts(self) -> list[list[str]]:
        """The prompts of each turn, as texts."""
        return [[text(request.prompt) for request in turn] for turn in self.turns]

    def _replied(self, request: Generate | Score) -> Any:
        if isinstance(request, Score):
            assert self.scores, "this test expects no request for scores"
            return self.scores(request)
        words = self.says(request)
        if isinstance(words, PromptError):
            return words
        samples = [words] * request.n if isinstance(words, str) else words
        assert len(samples) == request.n
        return [
            sample if isinstance(sample, Completion) else completion(sample, request.seed + index)
            for index, sample in enumerate(samples)
        ]


def saying(says: Callable[[str], str | Sequence[str]], refuses: str | None = None) -> FakeEngine:
    """An engine that decides by the text of the prompt alone."""
    return FakeEngine(lambda request: says(text(request.prompt)), refuses=refuses)


def in_turn(*texts: str) -> FakeEngine:
    """An engine that writes each of `texts` once, in this order."""
    left = iter(texts)
    return FakeEngine(lambda request: [next(left) for _ in range(request.n)])


def completion(written: str, seed: int = 0) -> Completion:
    """As many tokens as words and one for the end; cut off where `written` ends in "~"."""
    finish: FinishReason = "length" if written.endswith("~") else "stop"
    return Completion(written.removesuffix("~"), list(range(len(written.split()) + 1)), finish, "base", seed)


def text(prompt: Prompt) -> str:
    """All of a prompt in one text: "USER: ...", "ASSISTANT: ...", or plain text as it is."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"{turn['role'].upper()}: {turn['content']}" for turn in prompt)


def ends_right(request: Verify) -> list[Verdict]:
    """Right is what ends in the gold answer; the last word is the answer."""
    answer = str(request.problem.answer)
    return [
        Verdict("", "v", float(response.endswith(answer)), response.split()[-1] if response.split() else None, "")
        for response in request.responses
    ]


class FakeVerifier(FakeService[Verify, list[Verdict]]):
    """Gives the verdicts `verifier(request)` without further requests. `by_agreement` as in VerifierService."""

    def __init__(
        self,
        verifier: Callable[[Verify], list[Verdict]] = ends_right,
        choose: Choose | None = None,
        by_agreement: bool = False,
    ) -> None:
        super().__init__(verifier, choose)
        self.by_agreement = by_agreement

    def interaction(self, request: Verify) -> Interaction | None:
        return None

    def close(self) -> None:
        self.open.clear()


def attempts(
    problem: Problem,
    engine: FakeEngine,
    strategy: dict[str, Any],
    verifier: VerifierService | FakeVerifier | None = None,
    retrieve: Retriever | None = None,
) -> RolloutGroup:
    """What `strategy` comes to for `problem`; the verifier is the real `number`, unless another is given."""
    service: Any = verifier or verifier_by()
    try:
        [ended] = drive([(problem, Strategy.parse(strategy).solve(problem))], engine, service, retrieve=retrieve)
    finally:
        service.close()
    assert all(rollout.prompt == problem.prompt for rollout in ended.rollouts), "a help is in the trained prompt"
    assert len({rollout.id for rollout in ended.rollouts}) == len(ended.rollouts)
    return ended


def summary(rollouts: list[Rollout]) -> list[tuple[str, str, bool]]:
    """(response, note, selected) of each."""
    return [(rollout.response, rollout.note, rollout.selected) for rollout in rollouts]


NO_METRICS = RoundMetrics("base", "base", False, False, "worked", False, {})
"""Of a round in which nothing was measured."""


def earlier_rounds(run: Run, n: int) -> list[Earlier]:
    """The rounds before round `n` as far as their files are there, whatever is on record of them."""

    def made(read: Callable[[Path], Any], folder: Path) -> Made[Any]:
        return Made(folder.name, lambda: read(folder))

    readers = (read_problems, read_measure("baseline"), read_rollouts, read_verdicts)
    folders = {before: run.round_dir(before) for before in range(1, n)}
    return [
        Earlier(before, *(made(read, folder) for read in readers))
        for before, folder in folders.items()
        if folder.is_dir()
    ]
