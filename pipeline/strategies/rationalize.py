"""Rationalization: problems that could not be solved are tried once more with the answer as a hint (STaR, 2203.14465).

A reason that leads to the right answer is kept, as though it had been found without. The hint is never in the trained
prompt, and a reason that speaks of it is not taught. The hint is the gold answer alone, unless `prompt` or `examples`
say more; for its word problems STaR's own showed the whole reference solution.
"""

from __future__ import annotations

import re

from pydantic import Field

from pipeline import recipe
from pipeline.strategies.asking import begin, put, template
from pipeline.strategies.few_shot import Example, in_chat, in_text, spaced
from pipeline.types import Generate, Problem, Prompt, Rollout, Solver, Verify, WorkedExample, replace


class Options(recipe.Choice):
    """`of` is the strategy that tries first; where nothing it finds is right, `samples` are asked for with the hint,
    {answer}. `examples`, hinted as `prompt` would hint them, are shown before it: as turns of a chat, or as blocks of
    plain text with a blank line after each, at which an answer to plain text ends."""

    of: recipe.choice("strategies") = Field(default="direct", validate_default=True)  # type: ignore[valid-type]
    prompt: template("problem", "answer") = (  # type: ignore[valid-type]
        "(The answer is {answer}. Reason as if you did not know it, and do not mention this line.)\n{problem}"
    )
    examples: list[Example] = Field(default_factory=list)
    samples: int = Field(default=4, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=256, ge=1)


def solve(problem: Problem, options: Options) -> Solver:
    rollouts = yield from begin(problem, options.of)
    if problem.answer is None:
        return rollouts
    if rollouts:
        [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
        ended = [rollout.finish_reason == "stop" for rollout in rollouts]
        if any(verdict.correct and whole for verdict, whole in zip(verdicts, ended, strict=True)):
            return rollouts
    hinted = _hinted(problem.prompt, problem.answer, options)
    [completions] = yield [
        Generate(
            hinted,
            n=options.samples,
            temperature=options.temperature,
            max_tokens=options.max_tokens,
            stop=("\n\n",) if isinstance(hinted, str) else (),
        )
    ]
    [verdicts] = yield [Verify(problem, [completion.text for completion in completions])]
    for completion, verdict in zip(completions, verdicts, strict=True):
        rollout = Rollout.of(problem, completion, options.name, hinted=True)
        if leaks(completion.text, problem.answer):
            rollout = replace(rollout, chosen=False, note="leaked")
        elif verdict.correct and completion.finish_reason == "stop":
            rollout = replace(rollout, note="rationalized")
        rollouts.append(rollout)
    return rollouts


def _hinted(prompt: Prompt, answer: str, options: Options) -> Prompt:
    shown = [WorkedExample(one.prompt, one.response) for one in options.examples]
    asked = put(prompt, options.prompt, answer=answer)
    return in_text(map(spaced, shown), asked) if isinstance(asked, str) else in_chat(shown, asked)


def leaks(text: str, answer: str) -> bool:
    """Whether a solution tells that its writer was given the answer, in words or by the `answer` itself.

    "We are told that Tom has 5 apples" only says the problem again, and "the answer is given by 2 + 3" leads there.
    """
    itself = re.compile(rf"(?<![\w.,]){re.escape(answer.strip())}(?!\w|[.,]\d)") if answer.strip() else None
    told = (said[1] for said in _TOLD.finditer(text))
    return _LEAK.search(text) is not None or any(itself is not None and itself.search(said) for said in told)


_ANSWER = r"(?:(?:correct|right|final|true|exact)\ )*(?:answer|solution|result)(?!\ choice|\ option)\b"
_GIVEN = r"(?:given|told|provided|supplied|stated|revealed|hinted)(?!\ (?:above|below|before|earlier|by|in\ terms)\b)\b"
_LEAK = re.compile(
    rf"""\b(?:
        (?:the|this|that|your|our|a|given|provided)\ hint\b | hint\ (?:says|said|tells|states|gives|is)\b | hinted\b
      | (?:as|was|were|is|are|been|like)\ (?:already\ )?{_GIVEN}
        (?:\ to)?(?:\ us|\ me)?[\s,:]*(?:in\ the\ \w+[\s,:]*)?(?:that\ )?(?:the|our|your|its)\ {_ANSWER}
      | (?:given|knowing|already\ know|(?:since|because|as)\ (?:we|I|you)\ know)
        \ (?:that\ )?(?:the|our|your)\ {_ANSWER}(?!\ of\b)
      | {_ANSWER}\ (?:(?:that|which|we|I|you)\ )*
        (?:(?:is|was|are|were|has\ been|had\ been|being|already)\ )*(?:{_GIVEN}|known\b(?!\ as\b))
      | {_GIVEN}\ {_ANSWER} | expected\ answer\b
      | as\ if\ (?:I|we|you)\ (?:did|do|had|was|were)(?:\ not|n't|n’t)\b | pretend
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_TOLD = re.compile(
    rf"\b(?:told|informed|as\ (?:was\ )?{_GIVEN})\b((?:[^.!?\n]|\.(?=\d))*)",
    re.IGNORECASE,
)
