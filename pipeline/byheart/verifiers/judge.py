"""Verifiers as a service: whatever verifier a recipe names, the Judge asks it and answers Verify requests.

There are three kinds. One whose options derive from pool.Options is run in a process that can be killed. One that is a
generator (all, any, first, consensus, model_judge) asks for other verdicts or for a model's opinion, and the driver
runs it as it runs a strategy. Any other is bounded by construction, one pass over the text, and is run right here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from byheart import registry
from byheart.errors import RecipeError
from byheart.recipe import Choice
from byheart.types import Hearing, Judgement, Problem, Verdict, Verify
from byheart.verifiers.pool import Options, Pool, ended, failed
from byheart.verifiers.tags import module, parts, place, tag, tree


@dataclass(eq=False)
class _Open:
    """A request some of whose responses are still being judged; each that says the same is judged once."""

    request: Verify
    judgements: dict[str, Judgement | None]
    missing: int


class Judge:
    """Answers Verify requests by the verifier with the options `by`; its slow ones run in `workers`.

    `identity` names the verifier, its options and its code: where it changed, stages that judge are done again, without
    sampling.
    """

    def __init__(self, by: Choice, workers: Pool) -> None:
        self.by, self.identity = by, tag(by)
        self._workers = workers
        self._workers.preload |= {place(one).partition(":")[0] for one in tree(by) if isinstance(one, Options)}
        self._open: dict[int, _Open] = {}
        self._heard: SimpleQueue[tuple[int, str, Judgement]] = SimpleQueue()
        self._done: list[int] = []
        self._tickets = 0

    @property
    def asks(self) -> bool:
        """Whether the policy itself is asked for its opinion."""
        return asks(self.by)

    @property
    def together(self) -> bool:
        """Whether a verdict depends on the problem's other responses."""
        return together(self.by)

    @property
    def caveats(self) -> list[str]:
        """What must be said wherever these verdicts count: that they are no proof, or weakly guarded."""
        said = (getattr(module(one), "caveat", lambda _: None)(one) for one in tree(self.by))
        return [caveat for caveat in said if caveat]

    def hearing(self, request: Verify) -> Hearing | None:
        """The generator that answers `request`, where the verifier is one; else the request is for `submit`."""
        by = request.by or self.by
        verify = _function(by)
        return verify(request.problem, request.responses, by) if inspect.isgeneratorfunction(verify) else None

    def verdicts(self, request: Verify, judgements: Iterable[Judgement]) -> list[Verdict]:
        """The reply to `request` where these are the judgements of its responses, in order."""
        name = self.identity if request.by is None else tag(request.by)
        return [Verdict("", name, *one._replace(reason=_printable(one.reason))) for one in judgements]

    def submit(self, request: Verify) -> int:
        by = request.by or self.by
        self._tickets += 1
        judgements: dict[str, Judgement | None] = dict.fromkeys(request.responses)
        judging = self._open[self._tickets] = _Open(request, judgements, len(judgements))
        for response in judgements:
            if isinstance(by, Options):
                future = self._workers.submit(place(by), request.problem, response, by)
                future.add_done_callback(partial(self._ended, self._tickets, response, by))
            else:
                judgements[response] = _here(by, request.problem, response)
                judging.missing -= 1
        if judging.missing == 0:
            self._done.append(self._tickets)
        return self._tickets

    def poll(self) -> list[tuple[int, list[Verdict]]]:
        while not self._heard.empty():
            ticket, response, judgement = self._heard.get()
            judging = self._open[ticket]
            judging.judgements[response] = judgement
            judging.missing -= 1
            if judging.missing == 0:
                self._done.append(ticket)
        done, self._done = self._done, []
        return [(ticket, self._reply(self._open.pop(ticket))) for ticket in done]

    def _reply(self, judged: _Open) -> list[Verdict]:
        judgements = (judged.judgements[response] for response in judged.request.responses)
        return self.verdicts(judged.request, (one for one in judgements if one is not None))

    def close(self) -> None:
        """Kill the workers, whatever they are at."""
        self._workers.close()

    def _ended(self, ticket: int, response: str, by: Options, future: Future[Judgement]) -> None:
        """Called in a thread of the pool."""
        if not future.cancelled():
            self._heard.put((ticket, response, ended(future, by)))


def asks(by: Choice) -> bool:
    """Whether a verifier asks the policy itself for its opinion."""
    return any(getattr(one, "asks", False) for one in tree(by))


def together(by: Choice) -> bool:
    """Whether a verifier goes by the problem's other responses as well."""
    return any(getattr(one, "together", False) for one in tree(by))


def check(by: Choice, measures: bool = False) -> None:
    """Raises RecipeError where a model's opinion alone would decide and the recipe does not say so, or where a policy
    would mark what it is measured by; and whatever a verifier raises that can't work here. Loads no model."""
    if _opinion(by):
        raise RecipeError(
            "verifier: a model's opinion would be the only thing that lets a solution in; put `all` around it with a "
            "verifier that proves, or say alone: true beside its name if that is what you want"
        )
    if measures and asks(by):
        raise RecipeError(
            "task.verifier: a policy would mark its own answers; give model_judge as `verifier`, which lets solutions "
            "in and measures nothing, or have another model asked by remote_judge"
        )
    for one in tree(by):
        getattr(module(one), "check", lambda _: None)(one)


def _opinion(by: Choice) -> bool:
    """Whether a response can be let in by nothing but a model's opinion."""
    if by.name in ("any", "first", "all"):
        return (all if by.name == "all" else any)(_opinion(one) for one in parts(by))
    return not getattr(by, "alone", True)


def _here(by: Choice, problem: Problem, response: str) -> Judgement:
    try:
        judgement: Judgement = _function(by)(problem, response, by)
    except Exception as error:
        return failed(error)
    return judgement


def _printable(reason: str) -> str:
    """Reasons quote what models wrote: no control characters, and no half of a surrogate pair, which no file takes."""
    return _UNPRINTABLE.sub(lambda sign: f"\\u{ord(sign[0]):04x}", reason)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def _function(by: Choice) -> Any:
    return registry.load(place(by))
