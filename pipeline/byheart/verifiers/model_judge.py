"""A model's opinion: the policy itself is asked whether a solution is right, and the votes are counted.

Llama 3 (2407.21783, section 4.3.3) does so after filtering by the answer, to drop solutions whose reasoning does not
hold. An opinion is no proof, and a policy tends to approve its own mistakes: unless the recipe says `alone`, it never
decides by itself. Combine it by `all` with a verifier that proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from pydantic import Field, field_validator
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.types import Generate, Interaction, Judgement, Message, Problem, Prompt

_PROMPT = """Here is a problem, and somebody's solution.

Problem:
{problem}

Solution:
{solution}

Check the solution step by step. Then end with one line that says "Verdict: right" or "Verdict: wrong"."""


class Asked(Verifier):
    """Base of the verifiers that ask a model. A solution is right where more than half of the votes say so."""

    needs_gold: ClassVar[bool] = False

    votes: int = Field(default=5, ge=1, description="opinions asked for")
    temperature: float = Field(default=0.7, ge=0, description="sampling temperature of an opinion, 0 is greedy")
    max_tokens: int = Field(default=512, ge=1, description="most tokens of an opinion")
    prompt: str = Field(
        default=_PROMPT,
        description="question to the model, with {problem} and {solution}; it has to ask for a last line such as "
        "'Verdict: right'",
    )
    alone: bool = Field(default=False, description="let the opinion decide without another verifier")

    @field_validator("prompt")
    @classmethod
    def _sound(cls, prompt: str) -> str:
        try:
            filled = prompt.format(problem="<p>", solution="<s>")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"prompt may use {{problem}} and {{solution}} only ({error!r})") from None
        if "<p>" not in filled or "<s>" not in filled:
            raise ValueError("prompt has to show both {problem} and {solution}")
        return prompt

    @override
    def proves(self) -> bool:
        return self.alone

    @override
    def caveat(self) -> str:
        return f"A model was asked: `{self.name}` is an opinion of {self.votes} votes, " + (
            "and it alone let solutions in." if self.alone else "beside another verifier."
        )


class ModelJudge(Asked):
    """Asks the policy itself."""

    asks_policy: ClassVar[bool] = True

    @override
    def interact(self, problem: Problem, responses: Sequence[str]) -> Interaction:
        distinct = list(dict.fromkeys(responses))
        opinions = yield [
            Generate(
                question(problem, response, self),
                n=self.votes,
                temperature=self.temperature,
                max_tokens=self.max_tokens,
            )
            for response in distinct
        ]
        whole = [
            [completion.text for completion in completions if completion.finish_reason == "stop"]
            for completions in opinions
        ]
        judged = dict(zip(distinct, map(tally, whole), strict=True))
        return [judged[response] for response in responses]


def question(problem: Problem, response: str, options: Asked) -> Prompt:
    """The question to the model about one response; a chat where the problem is a chat."""
    if isinstance(problem.prompt, str):
        return options.prompt.format(problem=problem.prompt, solution=response)
    text = "\n\n".join(message["content"] for message in problem.prompt)
    return [Message(role="user", content=options.prompt.format(problem=text, solution=response))]


def tally(opinions: Iterable[str]) -> Judgement:
    """The judgement by majority of the opinions whose last line is a verdict; unjudged in a tie, or without any."""
    votes = [vote for vote in map(_vote, opinions) if vote is not None]
    if not votes:
        return Judgement(None, None, "no opinion ends in a verdict")
    right, margin = sum(votes), abs(2 * sum(votes) - len(votes)) / len(votes)
    reason = f"{right} of {len(votes)} votes say right"
    score = None if 2 * right == len(votes) else float(2 * right > len(votes))
    return Judgement(score, None, reason, margin)


def _vote(opinion: str) -> bool | None:
    last_line = opinion.rstrip().rpartition("\n")[2]
    verdict = re.fullmatch(r"(?:.*\W)?verdict\W{1,6}(?:is )?(right|wrong|correct|incorrect)\W*", last_line.casefold())
    return verdict[1] in ("right", "correct") if verdict else None
