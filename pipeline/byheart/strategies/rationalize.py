"""Rationalization: problems that were not solved are sampled once more with the answer as a hint (STaR, 2203.14465).

A rationale that leads to the right answer is trained on as though no hint had been given. The hint is never in the
training prompt, and a rationale that mentions or repeats it is not selected. The hint is the gold answer alone, unless
`prompt` or `examples` say more; for its word problems STaR showed the whole reference solution.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field
from typing_extensions import override

from byheart.contracts import AnswerTokens, Strategy
from byheart.errors import PromptError
from byheart.plugins.plugin import Member, named
from byheart.strategies.core.prompting import put, template
from byheart.strategies.few_shot import Example, in_chat, in_text, with_space
from byheart.text import normalised
from byheart.types import Generate, Problem, Prompt, Rollout, Solver, Verify, WorkedExample, replace


class Rationalize(Strategy):
    """Another strategy first, and hinted samples where nothing that it selected is right. Notes: "rationalized" where a
    hinted sample is right, "leaked" where it mentions the hint."""

    of: Member[Strategy] = named("direct", "the strategy without a hint, which comes first")
    prompt: Annotated[str, template("problem", "answer")] = Field(
        default=(
            "(The answer is {answer}. Reason as if you did not know it, and do not mention this line.)\n{problem}"
        ),
        description="prompt with the hint, the gold answer {answer}; never trained on",
    )
    examples: list[Example] = Field(
        default_factory=list,
        description="worked examples before the hinted prompt, their problems with hints as `prompt` would write them",
    )
    samples: int = Field(default=4, ge=1, description="samples with the hint")
    temperature: float = Field(default=1.0, ge=0, description="sampling temperature, 0 is greedy")
    max_tokens: AnswerTokens = Field(default=256, ge=1, description="most tokens of a sample with the hint")

    @override
    def solve(self, problem: Problem) -> Solver:
        rollouts = yield from self.of.solve(problem)
        if problem.answer is None:
            return rollouts
        if rollouts:
            [verdicts] = yield [Verify(problem, [rollout.response for rollout in rollouts])]
            whole = [rollout.selected and rollout.finish_reason == "stop" for rollout in rollouts]
            if any(verdict.correct and taught for verdict, taught in zip(verdicts, whole, strict=True)):
                return rollouts
        hinted = _hinted(problem.prompt, problem.answer, self)
        request = Generate(
            hinted,
            n=self.samples,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            stop=("\n\n",) if isinstance(hinted, str) else (),
        )
        try:
            [completions] = yield [request]
        except PromptError:  # the hint makes it longer than the context
            if not rollouts:
                raise
            return rollouts
        [verdicts] = yield [Verify(problem, [completion.text for completion in completions])]
        for completion, verdict in zip(completions, verdicts, strict=True):
            rollout = Rollout.of(problem, completion, self.name, hinted=True)
            if leaks(completion.text, problem.answer) or repeats(completion.text, problem, self.prompt):
                rollout = replace(rollout, selected=False, note="leaked")
            elif verdict.correct and completion.finish_reason == "stop":
                rollout = replace(rollout, note="rationalized")
            rollouts.append(rollout)
        return rollouts


def _hinted(prompt: Prompt, answer: str, options: Rationalize) -> Prompt:
    """The teacher's prompt with the hint, after the worked examples."""
    examples = [WorkedExample(example.prompt, example.response) for example in options.examples]
    hinted = put(prompt, options.prompt, answer=answer)
    return in_text(map(with_space, examples), hinted) if isinstance(hinted, str) else in_chat(examples, hinted)


def leaks(text: str, answer: str) -> bool:
    """Whether a solution reveals that its writer was given the answer, in words or by the `answer` itself.

    "We are told that Tom has 5 apples" only restates the problem, and "the answer is given by 2 + 3" derives it.
    """
    itself = re.compile(rf"(?<![\w.,]){re.escape(answer.strip())}(?!\w|[.,]\d)") if answer.strip() else None
    stated = (match[1] for match in _TOLD.finditer(text))
    return _LEAK.search(text) is not None or any(itself is not None and itself.search(clause) for clause in stated)


def repeats(text: str, problem: Problem, template: str) -> bool:
    """Whether a solution repeats the hint in the words of `template`: from the bracket before the answer up to it, or
    if the answer is in no bracket, the sentence around it. That sentence may end a solution: "The answer is 50."
    """
    bracket = _BRACKET.search(template)
    hint = bracket[0] if bracket else "".join(_SENTENCE.findall(template)[:1])
    if not re.search(r"[^\W\d_]", hint.replace("{answer}", "").replace("{problem}", "")):
        return False
    worded = re.escape(normalised(_worded(hint, problem)).rstrip(" ,;:"))
    more = "" if bracket else r".*\w"
    return re.search(rf"{worded}(?!\w|[.,]\d){more}", normalised(text)) is not None


def _worded(hint: str, problem: Problem) -> str:
    """The hint as the teacher read it."""
    prompt = put(problem.prompt, hint, answer=problem.answer or "")
    return prompt if isinstance(prompt, str) else prompt[-1]["content"]


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
