"""What strategies that ask more than once have in common: samples side by side, lists, rewrites, traces."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

from byheart.errors import PromptError
from byheart.strategies.asking import spaced
from byheart.strategies.driver import Refused, resumed
from byheart.types import Completion, Generate, Problem, Prompt, Request, Rollout, Solver, Verify, replace

Result = TypeVar("Result")
Work = Generator[Sequence[Request], Any, Result]
"""A part of what a strategy does for one problem."""


def together(works: Iterable[Work[Result]]) -> Work[list[Result]]:
    """Several parts side by side: what they ask for goes out in one yield, turn by turn. Returns what each came to, but
    for those that the engine refused a prompt of; raises PromptError where that are all of them."""
    working = dict(enumerate(works))
    replies: dict[int, Any] = dict.fromkeys(working)
    ended: dict[int, Result] = {}
    refused: PromptError | None = None
    while working:
        asked: dict[int, Sequence[Request]] = {}
        for place, work in list(working.items()):
            try:
                asked[place] = resumed(work, replies[place])
            except StopIteration as end:
                ended[place] = end.value
                del working[place]
            except PromptError as error:
                refused = error
                del working[place]
        if asked:
            try:
                every = yield [request for requests in asked.values() for request in requests]
            except Refused as some:
                every = some.replies
            given = iter(every)
            replies = {place: list(islice(given, len(requests))) for place, requests in asked.items()}
    if refused and not ended:
        raise refused
    return [ended[place] for place in sorted(ended)]


def ask(prompt: Prompt, temperature: float, max_tokens: int) -> Generate:
    """For one completion. A base model knows no turns: what it says to plain text goes up to the first blank line."""
    stop = ("\n\n",) if isinstance(prompt, str) else ()
    return Generate(prompt, temperature=temperature, max_tokens=max_tokens, stop=stop)


def listed(completion: Completion, most: int) -> list[str]:
    """At most so many items of the list that a model wrote, numbered or with dashes, each once; a last line that was
    cut off is none of them."""
    lines = completion.text.splitlines()
    whole = lines if completion.finish_reason == "stop" else lines[:-1]
    items = [found[1].strip("* ") for line in whole if (found := _ITEM.match(line))]
    return list(dict.fromkeys(filter(None, items)))[:most]


_ITEM = re.compile(r"\s*(?:\**(?:Q(?:uestion )?)?\(?\d+[.):]\**|[-*•])\s+(.+)")


def joined(parts: Sequence[Completion]) -> Completion:
    """All of `parts`, one after the other, as one completion: its tokens are theirs, and where one of them was cut off,
    so was the whole."""
    text = "\n\n".join(part.text for part in parts)
    tokens = [token for part in parts for token in part.tokens]
    cut_off = any(part.finish_reason == "length" for part in parts)
    return Completion(text, tokens, "length" if cut_off else "stop", parts[-1].policy, parts[-1].seed)


def revised(problem: Problem, attempts: Sequence[Sequence[Completion]], strategy: str) -> Solver:
    """The rollouts of attempts that are each a draft and its rewrites, in order.

    A rewrite is worth keeping only if it is right: chosen is the last right version of an attempt, or its last one
    where none is. The note of the last says what became of the draft: mended, kept, broken, stuck, or unjudged.
    """
    attempts = [
        [draft, *(replace(one, text=spaced(problem.prompt, one.text)) for one in rewrites)]
        for draft, *rewrites in attempts
    ]
    texts = [version.text for versions in attempts for version in versions]
    [verdicts] = yield [Verify(problem, texts)]
    said = dict(zip(texts, verdicts, strict=True))
    rollouts = []
    for versions in attempts:
        right = [said[version.text].correct and version.finish_reason == "stop" for version in versions]
        best = max((place for place, is_right in enumerate(right) if is_right), default=len(versions) - 1)
        notes = ["draft"] * len(versions)
        if len(versions) > 1:
            judged = None not in (said[versions[0].text].score, said[versions[-1].text].score)
            notes[-1] = _NOTES[right[0], right[-1]] if judged else "unjudged"
        for place, (version, note) in enumerate(zip(versions, notes, strict=True)):
            chosen = place == best and version.finish_reason == "stop"
            rollouts.append(Rollout.of(problem, version, strategy, chosen=chosen, note=note))
    return rollouts


_NOTES = {(False, True): "mended", (True, True): "kept", (True, False): "broken", (False, False): "stuck"}
