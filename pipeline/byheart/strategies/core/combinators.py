"""Combinators for strategies that ask more than once: samples side by side, lists, rewrites, traces."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from byheart.errors import PromptError
from byheart.strategies.core.driver import Branched, Refused, advance
from byheart.strategies.core.prompting import spaced
from byheart.types import Completion, Generate, Problem, Prompt, Request, Rollout, Solver, Verify, replace

Result = TypeVar("Result")
Work = Generator[Sequence[Request], Any, Result]
"""A part of a strategy at work on one problem: like a Solver, but it returns a `Result`."""


def together(works: Iterable[Work[Result]]) -> Work[list[Result]]:
    """Run several parts side by side: the requests of all go out in one yield, step by step. Returns their results in
    order, without those that had a prompt refused; raises PromptError where every part had."""
    working = dict(enumerate(works))
    replies: dict[int, Any] = dict.fromkeys(working)
    results: dict[int, Result] = {}
    counts: Counter[int] = Counter()
    refused: PromptError | None = None
    first = True
    while working or first:
        requests: dict[int, Sequence[Request]] = {}
        for index, work in list(working.items()):
            try:
                requests[index] = advance(work, replies[index])
            except StopIteration as end:
                results[index] = end.value
                del working[index]
            except PromptError as error:
                refused = error
                del working[index]
        if requests or first:
            steps = [step for index, part in requests.items() for step in _steps(index, part, counts)]
            try:
                flat = yield Branched([request for part in requests.values() for request in part], steps, first)
            except Refused as error:
                flat = error.replies
            remaining = iter(flat)
            replies = {index: list(islice(remaining, len(part))) for index, part in requests.items()}
            first = False
    if refused and not results:
        raise refused
    return [results[index] for index in sorted(results)]


def _steps(index: int, part: Sequence[Request], counts: Counter[int]) -> Iterator[str]:
    """The step of each request of a branch: the branch, and how many it made until then."""
    if isinstance(part, Branched):
        counts[index] += part.first
        yield from (f"{index}.{counts[index]}/{step}" for step in part.steps)
    else:
        for _ in part:
            counts[index] += 1
            yield f"{index}.{counts[index]}"


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
        [draft, *(replace(rewrite, text=spaced(problem.prompt, rewrite.text)) for rewrite in rewrites)]
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
