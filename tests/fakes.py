"""An engine and a judge whose answers the test decides, and the real driver that runs a strategy between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from byheart import recipe
from byheart.errors import PromptError
from byheart.strategies.asking import begin
from byheart.strategies.driver import Remembering, drive
from byheart.types import (
    Attempts,
    Completion,
    Generate,
    Hearing,
    Policy,
    Problem,
    Prompt,
    Rollout,
    Score,
    Verdict,
    Verify,
)
from byheart.verifiers.judge import Judge

from tests.conftest import judge_by

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


class FakeEngine(FakeService[Any, Any]):
    """Writes `says(request)` for Generate and gives `scores(request)` for Score. A prompt that holds `refuses` is
    refused when it is submitted. A text has a token for each word and one for its end."""

    seconds = start_seconds = swap_seconds = 0.0

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

    def rest(self) -> str:
        return ""

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
        said = self.says(request)
        if isinstance(said, PromptError):
            return said
        written = [said] * request.n if isinstance(said, str) else said
        assert len(written) == request.n
        return [
            one if isinstance(one, Completion) else completion(one, request.seed + place)
            for place, one in enumerate(written)
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
    finish = "length" if written.endswith("~") else "stop"
    return Completion(written.removesuffix("~"), list(range(len(written.split()) + 1)), finish, "base", seed)  # type: ignore[arg-type]


def text(prompt: Prompt) -> str:
    """All of a prompt in one text: "USER: ...", "ASSISTANT: ...", or plain text as it is."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"{turn['role'].upper()}: {turn['content']}" for turn in prompt)


def ends_right(request: Verify) -> list[Verdict]:
    """Right is what ends in the gold answer; the last word is the answer."""
    answer = str(request.problem.answer)
    return [
        Verdict("", "v", float(one.endswith(answer)), one.split()[-1] if one.split() else None, "")
        for one in request.responses
    ]


class FakeJudge(FakeService[Verify, list[Verdict]]):
    """Gives the verdicts `judge(request)`, which asks nobody. `together` as in Judge."""

    def __init__(
        self,
        judge: Callable[[Verify], list[Verdict]] = ends_right,
        choose: Choose | None = None,
        together: bool = False,
    ) -> None:
        super().__init__(judge, choose)
        self.together = together

    def hearing(self, request: Verify) -> Hearing | None:
        return None

    def close(self) -> None:
        self.open.clear()


def attempts(
    problem: Problem,
    engine: FakeEngine,
    strategy: dict[str, Any],
    judge: Judge | FakeJudge | None = None,
    recall: Remembering | None = None,
) -> Attempts:
    """What `strategy` comes to for `problem`; the judge is the real one, by number, unless another is given."""
    asked: Any = judge or judge_by()
    try:
        [ended] = drive(
            [(problem, begin(problem, recipe.chosen("strategies", strategy)))], engine, asked, recall=recall
        )
    finally:
        asked.close()
    assert all(rollout.prompt == problem.prompt for rollout in ended.rollouts), "a help is in the trained prompt"
    assert len({rollout.id for rollout in ended.rollouts}) == len(ended.rollouts)
    return ended


def told(rollouts: list[Rollout]) -> list[tuple[str, str, bool]]:
    """(response, note, chosen) of each."""
    return [(rollout.response, rollout.note, rollout.chosen) for rollout in rollouts]
