"""A strategy played from end to end by the real driver and judge; only the model's words are the test's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from byheart import recipe
from byheart.errors import PromptError
from byheart.strategies.asking import begin
from byheart.strategies.driver import drive
from byheart.types import Attempts, Completion, Generate, Problem, Prompt, Rollout, Score

from tests.conftest import judge_by

SUM = Problem.of([{"role": "user", "content": "What is 2 + 2?"}], "4", "number")
PLAIN = Problem.of("2 + 2 =", "4", "number")


@dataclass
class Teacher:
    """Says `says(prompt)`, one text for each of the n samples or a list of them; what ends in "~" was cut off there.

    `turns` are the requests that were there at the same time. A prompt that holds `refuses` is too long.
    """

    says: Callable[[str], str | list[str]]
    refuses: str | None = None
    open: list[tuple[int, Generate]] = field(default_factory=list)
    turns: list[list[Generate]] = field(default_factory=list)
    tickets: int = 0

    def submit(self, request: Generate | Score) -> int:
        assert isinstance(request, Generate), "no strategy that is played here asks for scores"
        if self.refuses and self.refuses in text(request.prompt):
            raise PromptError("too long")
        self.tickets += 1
        self.open.append((self.tickets, request))
        return self.tickets

    def poll(self) -> list[tuple[int, list[Completion]]]:
        if self.open:
            self.turns.append([request for _, request in self.open])
        answers = [(ticket, self.reply(request)) for ticket, request in self.open]
        self.open = []
        return answers

    def reply(self, request: Generate) -> list[Completion]:
        said = self.says(text(request.prompt))
        texts = [said] * request.n if isinstance(said, str) else said
        assert len(texts) == request.n
        return [
            Completion(
                one.removesuffix("~"),
                list(range(len(one.split()) + 1)),
                "length" if one.endswith("~") else "stop",
                "base",
                request.seed + place,
            )
            for place, one in enumerate(texts)
        ]

    @property
    def prompts(self) -> list[list[str]]:
        return [[text(request.prompt) for request in turn] for turn in self.turns]


def text(prompt: Prompt) -> str:
    """All of a prompt in one text: "USER: ...", "ASSISTANT: ...", or plain text as it is."""
    if isinstance(prompt, str):
        return prompt
    return "\n".join(f"{turn['role'].upper()}: {turn['content']}" for turn in prompt)


def attempts(problem: Problem, teacher: Teacher, strategy: dict[str, Any], verifier: Any = "number") -> Attempts:
    judge = judge_by(verifier)
    try:
        [ended] = drive([(problem, begin(problem, recipe.chosen("strategies", strategy)))], teacher, judge)
    finally:
        judge.close()
    assert all(rollout.prompt == problem.prompt for rollout in ended.rollouts), "a help is in the trained prompt"
    assert len({rollout.id for rollout in ended.rollouts}) == len(ended.rollouts)
    return ended


def told(rollouts: list[Rollout]) -> list[tuple[str, str, bool]]:
    """(response, note, chosen) of each."""
    return [(rollout.response, rollout.note, rollout.chosen) for rollout in rollouts]
