"""Verifiers as a service: whatever verifier a recipe names, the Judge asks it and answers Verify requests.

There are three kinds. One whose options derive from pool.Options is run in a process that can be killed. One that is a
generator (all, any, first, consensus, model_judge) asks for other verdicts or for a model's opinion, and the driver
runs it as it runs a strategy. Any other is bounded by construction, one pass over the text, and is run right here.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pipeline import registry
from pipeline.errors import RecipeError
from pipeline.recipe import Choice
from pipeline.types import Hearing, Judgement, Problem, Verdict, Verify, digest
from pipeline.verifiers import pool


@dataclass(eq=False)
class _Open:
    """A request some of whose responses are still being judged."""

    request: Verify
    judgements: list[Judgement | None]
    missing: int


class Judge:
    """Answers Verify requests by the verifier with the options `by`; its slow ones run in `workers`.

    `identity` names the verifier, its options and its code: where it changed, stages that judge are done again, without
    sampling.
    """

    def __init__(self, by: Choice, workers: pool.Pool) -> None:
        self.by, self.identity = by, tag(by)
        self._workers = workers
        self._open: dict[int, _Open] = {}
        self._heard: SimpleQueue[tuple[int, int, Judgement]] = SimpleQueue()
        self._done: list[int] = []
        self._tickets = 0

    @property
    def asks(self) -> bool:
        """Whether the policy itself is asked for its opinion."""
        return any(getattr(one, "asks", False) for one in tree(self.by))

    @property
    def together(self) -> bool:
        """Whether a verdict depends on the problem's other responses."""
        return any(getattr(one, "together", False) for one in tree(self.by))

    @property
    def caveats(self) -> list[str]:
        """What must be said wherever these verdicts count: that they are no proof, or weakly guarded."""
        said = (getattr(_module(one), "caveat", lambda _: None)(one) for one in tree(self.by))
        return [caveat for caveat in said if caveat]

    def hearing(self, request: Verify) -> Hearing | None:
        """The generator that answers `request`, where the verifier is one; else the request is for `submit`."""
        by = request.by or self.by
        verify = _function(by)
        return verify(request.problem, request.responses, by) if inspect.isgeneratorfunction(verify) else None

    def verdicts(self, request: Verify, judgements: Iterable[Judgement | None]) -> list[Verdict]:
        name = self.identity if request.by is None else tag(request.by)
        return [Verdict("", name, *judgement) for judgement in judgements if judgement]

    def submit(self, request: Verify) -> int:
        by = request.by or self.by
        self._tickets += 1
        judging = _Open(request, [None] * len(request.responses), len(request.responses))
        self._open[self._tickets] = judging
        for place, response in enumerate(request.responses):
            if isinstance(by, pool.Options):
                future = self._workers.submit(_place(by), request.problem, response, by)
                future.add_done_callback(partial(self._ended, self._tickets, place, by))
            else:
                judging.judgements[place] = _here(by, request.problem, response)
                judging.missing -= 1
        if judging.missing == 0:
            self._done.append(self._tickets)
        return self._tickets

    def poll(self) -> list[tuple[int, list[Verdict]]]:
        while not self._heard.empty():
            ticket, place, judgement = self._heard.get()
            judging = self._open[ticket]
            judging.judgements[place] = judgement
            judging.missing -= 1
            if judging.missing == 0:
                self._done.append(ticket)
        done, self._done = self._done, []
        closed = [(ticket, self._open.pop(ticket)) for ticket in done]
        return [(ticket, self.verdicts(one.request, one.judgements)) for ticket, one in closed]

    def close(self) -> None:
        """Kill the workers, whatever they are at."""
        self._workers.close()

    def _ended(self, ticket: int, place: int, by: pool.Options, future: Future[Judgement]) -> None:
        """Called in a thread of the pool."""
        if not future.cancelled():
            self._heard.put((ticket, place, pool.ended(future, by)))


def check(by: Choice) -> None:
    """Raises RecipeError where a model's opinion alone would decide and the recipe does not say so, and whatever a
    verifier raises that can't work on this machine. Loads no model."""
    if _opinion(by):
        raise RecipeError(
            "verifier: a model's opinion would be the only thing that lets a solution in; put `all` around it with a "
            "verifier that proves, or say model_judge.alone=true if that is what you want"
        )
    for one in tree(by):
        getattr(_module(one), "check", lambda _: None)(one)


def tree(by: Choice) -> Iterator[Choice]:
    """A verifier's options and those of all the verifiers it is made of."""
    yield by
    for one in _parts(by):
        yield from tree(one)


def tag(by: Choice) -> str:
    """A verifier's key with a fingerprint of its options and of its source, which is not imported for it."""
    sources = [_source(_place(one).partition(":")[0]) for one in tree(by)]
    return f"{by.name}@{digest(by.model_dump(mode='json'), sources)[:8]}"


def _parts(by: Choice) -> list[Choice]:
    """The verifiers that `by` is made of: those of its options that are themselves a choice, or a list of them."""
    values = [value for _, value in by]
    return [
        one for value in values for one in (value if isinstance(value, list) else [value]) if isinstance(one, Choice)
    ]


def _opinion(by: Choice) -> bool:
    """Whether a response can be let in by nothing but a model's opinion."""
    if by.name in ("any", "first", "all"):
        return (all if by.name == "all" else any)(_opinion(one) for one in _parts(by))
    return not getattr(by, "alone", True)


def _here(by: Choice, problem: Problem, response: str) -> Judgement:
    try:
        judgement: Judgement = _function(by)(problem, response, by)
    except Exception as error:
        return pool.failed(error)
    return judgement


def _place(by: Choice) -> str:
    return registry.known("verifiers")[by.name]


def _module(by: Choice) -> Any:
    return sys.modules[type(by).__module__]


def _function(by: Choice) -> Any:
    return _load(_place(by))


_load = cache(registry.load)


@cache
def _source(module: str) -> list[str]:
    """Digests of the source of `module` and of those modules of ours that it is built on, the nouns left out."""
    spec = find_spec(module)
    if not (spec and spec.origin):
        return [module]
    text = Path(spec.origin).read_text("utf-8")
    imports = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.ImportFrom)]
    names = {f"{one.module}.{alias.name}" for one in imports for alias in one.names} | {one.module for one in imports}
    built_on = sorted(name for name in names if name and name.startswith(_BUILT_ON) and _is_module(name))
    return [digest(text), *(mark for name in built_on for mark in _source(name))]


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


_BUILT_ON = ("pipeline.verifiers.", "pipeline.mathematics.", "pipeline.sandbox", "pipeline.inside.")
