"""A model's opinion: the policy itself is asked whether a solution is right, and the votes are counted.

Llama 3 (2407.21783, section 4.3.3) does so after the answers were filtered, to drop solutions whose reasoning does not
hold. An opinion is no proof, and a policy likes its own mistakes: unless the recipe says `alone`, this never decides by
itself. Put `all` around it, with a verifier that proves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from byheart import recipe
from byheart.types import Generate, Hearing, Judgement, Message, Problem, Prompt

_PROMPT = """Here is a problem, and somebody's solution.

Problem:
{problem}

Solution:
{solution}

Check the solution step by step. Then end with one line that says "Verdict: right" or "Verdict: wrong"."""


class Asked(recipe.Choice):
    """`votes` opinions are asked for; a solution is right by more than half of those that say right or wrong. `prompt`
    uses {problem} and {solution}. With `alone`, the opinion may decide by itself."""

    votes: int = Field(default=5, ge=1)
    temperature: float = Field(default=0.7, ge=0)
    max_tokens: int = Field(default=512, ge=1)
    prompt: str = _PROMPT
    alone: bool = False

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


class Options(Asked):
    asks: ClassVar[bool] = True


def caveat(options: Asked) -> str:
    return f"A model was asked: `{options.name}` is an opinion of {options.votes} votes, " + (
        "and it alone let solutions in." if options.alone else "beside another verifier."
    )


def solve(problem: Problem, responses: Sequence[str], options: Options) -> Hearing:
    distinct = list(dict.fromkeys(responses))
    opinions = yield [
        Generate(
            question(problem, response, options),
            n=options.votes,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
        )
        for response in distinct
    ]
    whole = [[one.text for one in completions if one.finish_reason == "stop"] for completions in opinions]
    judged = dict(zip(distinct, map(tally, whole), strict=True))
    return [judged[response] for response in responses]


def question(problem: Problem, response: str, options: Asked) -> Prompt:
    """What the model is asked about one response, as a chat where the problem is one."""
    if isinstance(problem.prompt, str):
        return options.prompt.format(problem=problem.prompt, solution=response)
    said = "\n\n".join(turn["content"] for turn in problem.prompt)
    return [Message(role="user", content=options.prompt.format(problem=said, solution=response))]


def tally(opinions: Iterable[str]) -> Judgement:
    """The judgement of the majority of those opinions whose last line ends in a verdict."""
    votes = [vote for vote in map(_vote, opinions) if vote is not None]
    if not votes:
        return Judgement(None, None, "no opinion ends in a verdict")
    right, margin = sum(votes), abs(2 * sum(votes) - len(votes)) / len(votes)
    said = f"{right} of {len(votes)} votes say right"
    score = None if 2 * right == len(votes) else float(2 * right > len(votes))
    return Judgement(score, None, said, margin)


def _vote(opinion: str) -> bool | None:
    last_line = opinion.rstrip().rpartition("\n")[2]
    said = re.fullmatch(r"(?:.*\W)?verdict\W{1,6}(?:is )?(right|wrong|correct|incorrect)\W*", last_line.casefold())
    return said[1] in ("right", "correct") if said else None
