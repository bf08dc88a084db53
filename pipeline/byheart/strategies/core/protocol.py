"""What a solver may yield and return, and an engine reply: each function says what is wrong with it, or None."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from inspect import GEN_CREATED, getgeneratorstate, isgenerator
from typing import Any, get_args

from byheart.errors import PromptError, described
from byheart.text import wrong_prompt
from byheart.types import (
    Completion,
    FinishReason,
    Generate,
    Judgement,
    Parallel,
    Problem,
    Request,
    Retrieve,
    Rollout,
    Score,
    Verify,
)
from byheart.verifiers.core.pool import flaw

_FINISH_REASONS = get_args(FinishReason)


def qualified(generator: Generator[Any, Any, Any]) -> str:
    """The name of the function that made `generator`, such as "Direct.solve"."""
    return str(getattr(generator, "__qualname__", type(generator).__qualname__))


def no_generator(generator: object) -> str | None:
    """What a function without a yield returned instead of a generator."""
    if isinstance(generator, Generator):
        return None
    return f"has no yield: it returned {described(generator)}, not a generator that yields lists of requests"


def wrong_requests(requests: object) -> str | None:
    """What a generator yielded instead of a list of sound requests."""
    if not isinstance(requests, list | tuple):
        request = type(requests).__name__ if isinstance(requests, Request) else "Generate"
        return f"{described(requests)}; it yields lists: yield [{request}(...)]"
    for request in requests:
        if not isinstance(request, Request):
            return (
                f"{described(requests)} with {described(request)}; the requests are Generate, Score, Verify, Retrieve, "
                "RecordTree and Parallel"
            )
        if wrong := _wrong_request(request):
            return f"a {type(request).__name__} {wrong}"
    branches = [branch for request in requests if isinstance(request, Parallel) for branch in request.branches]
    if len(set(map(id, branches))) < len(branches):
        return "the same generator as two branches; make a generator for each"
    return None


def _wrong_request(request: Any) -> str | None:
    if isinstance(request, Parallel):
        return _wrong_branches(request.branches)
    if isinstance(request, Generate | Score) and (wrong := wrong_prompt(request.prompt)):
        return f"whose prompt is {wrong}"
    if isinstance(request, Verify | Score) and not _texts(request.responses):
        return f"whose responses are {request.responses!r:.80}; they are a list of texts, such as [completion.text]"
    if isinstance(request, Verify | Retrieve) and not isinstance(request.problem, Problem):
        return f"whose problem is {described(request.problem)}, not a Problem"
    if isinstance(request, Generate | Retrieve) and not (_number(request.n, int) and request.n > 0):
        return f"with n={request.n!r}; n is a whole number above 0"
    if not isinstance(request, Generate):
        return None
    if not (_number(request.temperature, int | float) and request.temperature >= 0):
        return f"with temperature={request.temperature!r}; it is a number, 0 for greedy or above"
    if not (_number(request.top_p, int | float) and 0 < request.top_p <= 1):
        return f"with top_p={request.top_p!r}; it is a number above 0, and 1 at most"
    if not (_number(request.max_tokens, int) and request.max_tokens > 0):
        return f"with max_tokens={request.max_tokens!r}; it is a whole number above 0"
    if not isinstance(request.prefill, str):
        return f"whose prefill is {described(request.prefill)}, not a text"
    for name, texts in (("stop", request.stop), ("step_stop", request.step_stop), ("bad_words", request.bad_words)):
        if not _texts(texts):
            return f"with {name}={texts!r:.80}; it is a tuple of texts"
    return None


def _wrong_branches(branches: object) -> str | None:
    if not isinstance(branches, list | tuple):
        return f"whose branches are {described(branches)}; they are a list of generators"
    for branch in branches:
        if not isinstance(branch, Generator):
            return f"with {described(branch)} as a branch, which is no generator"
        if isgenerator(branch) and getgeneratorstate(branch) != GEN_CREATED:
            return f"with {qualified(branch)} as a branch, which was started before; make a generator for each"
    return None


def wrong_reply(request: Request, reply: Any) -> str | None:
    """What an engine replied to a Generate or a Score instead of a list of what was asked for, or a PromptError."""
    if isinstance(reply, PromptError):
        return None
    wanted = request.n if isinstance(request, Generate) else len(request.responses) if isinstance(request, Score) else 0
    if not isinstance(reply, list) or len(reply) != wanted:
        shown = f"a list of {len(reply)}" if isinstance(reply, list) else described(reply)
        return f"{shown} for a {type(request).__name__} that asks for {wanted}; the reply is a list of as many"
    for item in reply:
        if isinstance(request, Score) and item is not None and not _number(item, int | float):
            return f"a list with {described(item)} for a Score; its items are numbers or None"
        if isinstance(request, Generate) and not isinstance(item, Completion):
            return f"a list with {described(item)} for a Generate; its items are Completions"
        if isinstance(item, Completion) and item.finish_reason not in _FINISH_REASONS:
            return f"a Completion with finish_reason {item.finish_reason!r}; it is one of {', '.join(_FINISH_REASONS)}"
    return None


def wrong_rollouts(result: Any, problem: Problem) -> str | None:
    """What a solver of `problem` returned instead of a list of distinct rollouts of it."""
    if wrong := _wrong_list(result, Rollout):
        return wrong
    for rollout in result:
        if rollout.problem_id != problem.id:
            return f"a rollout of the problem {rollout.problem_id}; make each of the problem that solve was given"
        if not (isinstance(rollout.selected, bool) and isinstance(rollout.hinted, bool)):
            return f"a rollout with selected={rollout.selected!r} and hinted={rollout.hinted!r}; both are True or False"
        if not (isinstance(rollout.response, str) and isinstance(rollout.note, str)):
            return "a rollout whose response or note is no text"
    repeated = [rollout_id for rollout_id, count in Counter(rollout.id for rollout in result).items() if count > 1]
    return f"two rollouts with the id {repeated[0]}; each completion makes one rollout" if repeated else None


def wrong_judgements(result: Any, responses: Sequence[str]) -> str | None:
    """What a verifier returned instead of a list of a sound judgement for each of `responses`."""
    if wrong := _wrong_list(result, Judgement):
        return wrong
    if len(result) != len(responses):
        return f"{_counted(result, 'judgement')} for {_counted(responses, 'response')}"
    return next(filter(None, map(flaw, result)), None)


def _wrong_list(result: object, kind: type) -> str | None:
    if not isinstance(result, list):
        return f"{described(result)}; it returns a list of {kind.__name__}s"
    for item in result:
        if not isinstance(item, kind):
            return f"a list with {described(item)}; it returns a list of {kind.__name__}s"
    return None


def _texts(values: object) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(value, str) for value in values)


def _number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _counted(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"
