"""Verifiers as a service: the VerifierService answers Verify requests by the verifier that a recipe names.

There are three kinds of verifiers. A ProcessVerifier runs in a process that can be killed. One that has `interact`
(all, any, first, consensus, model_judge) asks for other verdicts or for a model's opinion, and the driver runs it as it
runs a strategy. Any other has bounded work by construction, a few passes over the text, and runs in the main process.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from queue import SimpleQueue
from typing import Any

from byheart.contracts import ProcessVerifier, Verifier
from byheart.errors import PluginError, RecipeError, described
from byheart.types import Interaction, Judgement, Problem, Verdict, Verify
from byheart.verifiers.core.identity import identity
from byheart.verifiers.core.pool import Pool, checked, ended, failed
from byheart.verifiers.core.thinking import answer_part


@dataclass(eq=False)
class _Open:
    """A request that is being answered: the judgement of each distinct response, None while it is missing."""

    request: Verify
    judgements: dict[str, Judgement | None]
    missing: int


class VerifierService:
    """Answers Verify requests by `verifier`; process verifiers run in `workers`.

    `identity` names the verifier, its options and its version: where it changed, the stages that judge are run
    again, without sampling.
    """

    def __init__(self, verifier: Verifier, workers: Pool) -> None:
        """`workers` run the parts of `verifier` that need a process."""
        self.verifier, self.identity = verifier, identity(verifier)
        self._workers = workers
        self._workers.preload |= {
            type(part).__module__ for part in _parts(verifier) if isinstance(part, ProcessVerifier)
        }
        self._open: dict[int, _Open] = {}
        self._judged: SimpleQueue[tuple[int, str, Judgement]] = SimpleQueue()
        self._done: list[int] = []
        self._tickets = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """A service that is sent to another process is one for the same verifier there, with workers of its own."""
        return _elsewhere, (self.verifier,)

    def beside(self, verifier: Verifier) -> VerifierService:
        """A service for another `verifier`, in the same workers."""
        return VerifierService(verifier, self._workers)

    @property
    def asks_policy(self) -> bool:
        """Whether the policy itself is asked for its opinion."""
        return asks_policy(self.verifier)

    @property
    def by_agreement(self) -> bool:
        """Whether a verdict depends on the problem's other responses."""
        return by_agreement(self.verifier)

    @property
    def reads_answers(self) -> bool:
        """Whether a verdict without an answer says that there is none in the response."""
        return all(part.reads_answers for part in _parts(self.verifier))

    @property
    def caveats(self) -> list[str]:
        """What has to be said wherever these verdicts count: that they are no proof, or weakly isolated."""
        caveats = (part.caveat() for part in _parts(self.verifier))
        return [caveat for caveat in caveats if caveat]

    def interaction(self, request: Verify) -> Interaction | None:
        """The generator that answers `request`; None where the verifier has none and the request is for `submit`.

        Raises PluginError where `interact` returned anything else.
        """
        verifier: Verifier = request.by or self.verifier
        finished = [answer_part(response) for response in request.responses]
        if request.responses and not any(text is not None for text in finished):
            return None  # for `submit`
        interaction = verifier.interact(request.problem, [text for text in finished if text is not None])
        if interaction is not None and not isinstance(interaction, Generator):
            raise PluginError(
                f"{verifier.interact.__qualname__} (problem {request.problem.id}) has no yield: it returned "
                f"{described(interaction)}, neither a generator that yields lists of requests nor None"
            )
        if interaction is None or None not in finished:
            return interaction
        of_all = _of_all(interaction, finished, _unfinished(verifier, request.problem))
        of_all.__qualname__ = interaction.__qualname__  # type: ignore[attr-defined]  # by which errors name it
        return of_all

    def verdicts(self, request: Verify, judgements: Iterable[Judgement]) -> list[Verdict]:
        """The reply to `request`, made of the judgements of its responses, in order."""
        name = self.identity if request.by is None else identity(request.by)
        return [
            Verdict("", name, *judgement._replace(reason=_printable(judgement.reason or "")))
            for judgement in judgements
        ]

    def submit(self, request: Verify) -> int:
        """Take `request` and return at once with a ticket. Raises VerifierError where no worker can be started."""
        verifier = request.by or self.verifier
        self._tickets += 1
        judgements: dict[str, Judgement | None] = dict.fromkeys(request.responses)
        opened = self._open[self._tickets] = _Open(request, judgements, len(judgements))
        for response in judgements:
            text = answer_part(response)
            if text is not None and isinstance(verifier, ProcessVerifier):
                future = self._workers.submit(verifier, request.problem, text)
                future.add_done_callback(partial(self._ended, self._tickets, response, verifier))
            else:
                judgements[response] = (
                    _unfinished(verifier, request.problem) if text is None else _here(verifier, request.problem, text)
                )
                opened.missing -= 1
        if opened.missing == 0:
            self._done.append(self._tickets)
        return self._tickets

    def poll(self) -> list[tuple[int, list[Verdict]]]:
        """The tickets that are now answered, each with the verdicts on its responses, in order."""
        while not self._judged.empty():
            ticket, response, judgement = self._judged.get()
            opened = self._open[ticket]
            opened.judgements[response] = judgement
            opened.missing -= 1
            if opened.missing == 0:
                self._done.append(ticket)
        done, self._done = self._done, []
        return [(ticket, self._reply(self._open.pop(ticket))) for ticket in done]

    def _reply(self, opened: _Open) -> list[Verdict]:
        judgements = (opened.judgements[response] for response in opened.request.responses)
        return self.verdicts(opened.request, (judgement for judgement in judgements if judgement is not None))

    def close(self) -> None:
        """Kill the workers, whatever they are doing. Closing twice is harmless."""
        self._workers.close()

    def _ended(self, ticket: int, response: str, verifier: ProcessVerifier, future: Future[Judgement]) -> None:
        """Store a judgement by a worker. Called in a thread of the pool."""
        if not future.cancelled():
            self._judged.put((ticket, response, ended(future, verifier)))


UNFINISHED = Judgement(None, None, "the response ends within a thought; let it be longer, by max_tokens")
"""What is said of a response that came to no answer."""


def _unfinished(verifier: Verifier, problem: Problem) -> Judgement:
    """What is said of it, or that no response to `problem` can be judged."""
    reason = verifier.unreadable(problem)
    return Judgement(None, None, reason) if reason else UNFINISHED


def _of_all(interaction: Interaction, finished: Sequence[str | None], unfinished: Judgement) -> Interaction:
    """The judgements of all responses, where `interaction` judges those that are `finished`."""
    judgements = yield from interaction
    if not isinstance(judgements, list) or len(judgements) != len(finished) - finished.count(None):
        return judgements  # and so an error
    left = iter(judgements)
    return [unfinished if text is None else next(left) for text in finished]


def _elsewhere(verifier: Verifier) -> VerifierService:
    return VerifierService(verifier, _own_workers())


@cache
def _own_workers() -> Pool:
    """The workers of all services that were sent to this process; they end with it."""
    return Pool()


def check(verifier: Verifier, measures: bool = False) -> None:
    """Raises RecipeError where a model's opinion alone would decide and the recipe does not say so, or where `measures`
    and the policy would judge itself; and what a part's own `check` raises. Loads no model."""
    parts = _parts(verifier)
    if not verifier.proves():
        unproven = [part for part in parts if not part.proves()]
        if any("alone" in type(part).model_fields for part in unproven):
            raise RecipeError(
                "verifier: a model's opinion would be the only thing that lets a solution in; combine it by `all` with "
                "a verifier that proves, or say alone: true beside its name if that is what you want"
            )
        raise RecipeError(
            f"verifier: {unproven[-1].name} proves nothing, and it can't stand alone; combine it by `all` with a "
            "verifier that proves"
        )
    asking = next((part.name for part in parts if part.asks_policy), None)
    if measures and asking:
        raise RecipeError(
            f"task.verifier: a policy would judge its own answers; give {asking} as `verifier`, which selects "
            "training data and measures nothing, or ask another model by remote_judge"
        )
    for part in parts:
        part.check()


def asks_policy(verifier: Verifier) -> bool:
    """Whether the verifier, or one that it is made of, asks the policy itself for its opinion."""
    return any(part.asks_policy for part in _parts(verifier))


def by_agreement(verifier: Verifier) -> bool:
    """Whether a verdict of the verifier depends on the problem's other responses."""
    return any(part.by_agreement for part in _parts(verifier))


def _parts(verifier: Verifier) -> list[Verifier]:
    return [part for part in verifier.walk() if isinstance(part, Verifier)]


def _here(verifier: Verifier, problem: Problem, response: str) -> Judgement:
    try:
        return checked(verifier.verify(problem, response))
    except Exception as error:
        return failed(error)


def _printable(reason: str) -> str:
    """`reason` with control characters and lone surrogates escaped: it may quote what a model wrote, and files take no
    lone surrogates."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", reason)


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
