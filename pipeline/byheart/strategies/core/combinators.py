"""Combinators for strategies that ask more than once: lists, rewrites, traces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from byheart.strategies.core.prompting import spaced
from byheart.types import Completion, Generate, Problem, Prompt, Rollout, Solver, Verify


def ask(prompt: Prompt, temperature: float, max_tokens: int) -> Generate:
    """A request for one completion. A base model knows no turns: its reply to plain text ends at the first blank
    line."""
    stop = ("\n\n",) if isinstance(prompt, str) else ()
    return Generate(prompt, temperature=temperature, max_tokens=max_tokens, stop=stop)


def listed(completion: Completion, most: int) -> list[str]:
    """At most `most` distinct items of the list that a model wrote, numbered or with dashes. A last line that was cut
    off is left out."""
    lines = completion.text.splitlines()
    whole = lines if completion.finish_reason == "stop" else lines[:-1]
    items = [match[1].strip("* ") for line in whole if (match := _ITEM.match(line))]
    return list(dict.fromkeys(filter(None, items)))[:most]


_ITEM = re.compile(r"\s*(?:\**(?:Q(?:uestion )?)?\(?\d+[.):]\**|[-*•])\s+(.+)")


def joined(parts: Sequence[Completion]) -> Completion:
    """`parts` one after the other, as one completion with all their tokens; cut off where any of them was."""
    text = "\n\n".join(part.text for part in parts)
    tokens = [token for part in parts for token in part.tokens]
    cut_off = any(part.finish_reason == "length" for part in parts)
    return Completion(text, tokens, "length" if cut_off else "stop", parts[-1].policy, parts[-1].seed)


def revised(problem: Problem, attempts: Sequence[Sequence[Completion]], strategy: str) -> Solver:
    """The rollouts of attempts that are each a draft and its rewrites, in order.

    Selected is the last right version of an attempt, or its last one where none is right. The note of the last version
    says what became of the draft: fixed, kept, broken, unsolved, or unjudged.
    """
    attempts = [
        [draft, *(rewrite.saying(spaced(problem.prompt, rewrite.text)) for rewrite in rewrites)]
        for draft, *rewrites in attempts
    ]
    texts = [version.text for versions in attempts for version in versions]
    [verdicts] = yield [Verify(problem, texts)]
    by_text = dict(zip(texts, verdicts, strict=True))
    rollouts = []
    for versions in attempts:
        right = [by_text[version.text].correct and version.finish_reason == "stop" for version in versions]
        best = max((index for index, is_right in enumerate(right) if is_right), default=len(versions) - 1)
        notes = ["draft"] * len(versions)
        if len(versions) > 1:
            judged = None not in (by_text[versions[0].text].score, by_text[versions[-1].text].score)
            notes[-1] = _NOTES[right[0], right[-1]] if judged else "unjudged"
        for index, (version, note) in enumerate(zip(versions, notes, strict=True)):
            selected = index == best and version.finish_reason == "stop"
            rollouts.append(Rollout.of(problem, version, strategy, selected=selected, note=note))
    return rollouts


_NOTES = {(False, True): "fixed", (True, True): "kept", (True, False): "broken", (False, False): "unsolved"}
"""(draft right, last version right) -> note."""
