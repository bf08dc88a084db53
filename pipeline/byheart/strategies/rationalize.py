"""Rationalization: problems that could not be solved are tried once more with the answer as a hint (STaR, 2203.14465).

A reason that leads to the right answer is kept, as though it had been found without. The hint is never in the trained
prompt, and a reason that speaks of it, or repeats it, is not taught. The hint is the gold answer alone, unless `prompt`
or `examples` say more; for its word problems STaR's own showed the whole reference solution.
"""

from __future__ import annotations

import re

from pydantic import Field

from byheart import recipe
from byheart.errors import PromptError
from byheart.strategies.asking import begin, put, template
from byheart.strategies.few_shot import Example, apart, in_chat, in_text
from byheart.types import Generate, Problem, Prompt, Rollout, Solver, Verify, WorkedExample, replace
from byheart.wording import normalised


class Options(recipe.Choice):
    """`of` is the strategy that tries first; where nothing that it chose is right, `samples` are asked for with the
    hint, {answer}. `examples`, hinted as `prompt` would hint them, are shown before it: as turns of a chat, or as
    blocks of plain text with a blank line after each, at which an answer to plain text ends."""

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
        whole = [rollout.chosen and rollout.finish_reason == "stop" for rollout in rollouts]
        if any(verdict.correct and taught for verdict, taught in zip(verdicts, whole, strict=True)):
            return rollouts
    hinted = _hinted(problem.prompt, problem.answer, options)
    asked = Generate(
        hinted,
        n=options.samples,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        stop=("\n\n",) if isinstance(hinted, str) else (),
    )
    try:
        [completions] = yield [asked]
    except PromptError:  # the hint makes it longer than the context
        if not rollouts:
            raise
        return rollouts
    [verdicts] = yield [Verify(problem, [completion.text for completion in completions])]
    for completion, verdict in zip(completions, verdicts, strict=True):
        rollout = Rollout.of(problem, completion, options.name, hinted=True)
        if leaks(completion.text, problem.answer) or repeats(completion.text, problem, options.prompt):
            rollout = replace(rollout, chosen=False, note="leaked")
        elif verdict.correct and completion.finish_reason == "stop":
            rollout = replace(rollout, note="rationalized")
        rollouts.append(rollout)
    return rollouts


def _hinted(prompt: Prompt, answer: str, options: Options) -> Prompt:
    shown = [WorkedExample(one.prompt, one.response) for one in options.examples]
    asked = put(prompt, options.prompt, answer=answer)
    return in_text(map(apart, shown), asked) if isinstance(asked, str) else in_chat(shown, asked)


def leaks(text: str, answer: str) -> bool:
    """Whether a solution tells that its writer was given the answer, in words or by the `answer` itself.

    "We are told that Tom has 5 apples" only says the problem again, and "the answer is given by 2 + 3" leads there.
    """
    itself = re.compile(rf"(?<![\w.,]){re.escape(answer.strip())}(?!\w|[.,]\d)") if answer.strip() else None
    told = (said[1] for said in _TOLD.finditer(text))
    return _LEAK.search(text) is not None or any(itself is not None and itself.search(said) for said in told)


def repeats(text: str, problem: Problem, template: str) -> bool:
    """Whether a solution says the hint again in the words of `template`: from the bracket before the answer up to it,
    or if it is in none, the sentence around it. That one may end a solution, as "The answer is 50." may well do."""
    bracket = _BRACKET.search(template)
    hint = bracket[0] if bracket else "".join(_SENTENCE.findall(template)[:1])
    if not re.search(r"[^\W\d_]", hint.replace("{answer}", "").replace("{problem}", "")):
        return False
    worded = re.escape(normalised(_worded(hint, problem)).rstrip(" ,;:"))
    more = "" if bracket else r".*\w"
    return re.search(rf"{worded}(?!\w|[.,]\d){more}", normalised(text)) is not None


def _worded(hint: str, problem: Problem) -> str:
    said = put(problem.prompt, hint, answer=problem.answer or "")
    return said if isinstance(said, str) else said[-1]["content"]


_BRACKET = re.compile(r"[(\[][^()\[\]]*\{answer\}")
_SENTENCE = re.compile(r"\s*(?:\{problem\}\s*)?([^.!?\n]*\{answer\}[^.!?\n{]*)")

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
      | \b(?:states?|stated|says?)\b(?!\ (?:above|below|before|earlier)\b)[^.!?\n]{{0,40}}\bthe\ (?:\w+\ )?answer\ is\b
      | (?:since|because|as)\ the\ (?:\w+\ )?answer\ is\b(?!\ (?:the|a|an|not|what|how)\b)
      | \bwe\ (?:already\ )?know\ (?:that\ )?the\ (?:\w+\ )?answer\ is\b | as\ (?:was\ )?(?:given|stated)\)
      | as\ if\ (?:I|we|you)\ (?:did|do|had|was|were)(?:\ not|n't|n’t)\b | pretend
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_TOLD = re.compile(
    rf"\b(?:told|informed|as\ (?:was\ )?{_GIVEN})\b((?:[^.!?\n]|\.(?=\d))*)",
    re.IGNORECASE,
)
