"""Runs many solvers at once over one engine and one judge.

A solver is a generator (see strategies/direct.py): it yields a list of requests, gets as many replies, and in the end
returns its rollouts. The driver hands every request on the moment it is made and resumes a solver the moment its
replies are complete, so the engine's batch stays full and no problem waits for another: continuous batching across
problems, with neither threads nor async. A verifier that asks in its turn (verifiers/all.py) is run in the same way.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from byheart.errors import PromptError
from byheart.types import (
    Attempts,
    Branch,
    Generate,
    Judgement,
    Keep,
    Problem,
    Recall,
    Request,
    Rollout,
    Score,
    Service,
    Solver,
    Verdict,
    Verify,
    WorkedExample,
    digest,
    replace,
)
from byheart.verifiers.judge import Judge

MAX_ACTIVE = 512
"""Solvers alive at once: enough for any engine's batch, few enough to keep memory flat over millions of problems."""


Remembering = Callable[[Recall], list[WorkedExample]]
"""What answers a Recall, at once: strategies/memory.py."""


class Refused(PromptError):
    """Raised in a solver at its yield where the engine refused prompts that it asked for. `replies` are those to all
    its requests, with a PromptError in the place of each that was refused."""

    def __init__(self, replies: Sequence[Any]) -> None:
        super().__init__(next(str(reply) for reply in replies if isinstance(reply, PromptError)))
        self.replies = replies


@dataclass(eq=False)
class _Active:
    """One solver at work, or a verifier that one of them waits for: what it asked for last, what it has been told, and
    how much is still missing. `waits` is who waits for a verifier's end, and at which place of its requests; `turn`
    the number of those begun before."""

    problem: Problem
    asking: Generator[Sequence[Request], Any, Any]
    turn: int
    path: str = ""
    waits: tuple[_Active, int] | None = None
    requests: Sequence[Request] = ()
    replies: list[Any] | None = None
    missing: int = 0
    asked: int = 0
    num_tokens: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    tree: list[Branch] = field(default_factory=list)
    ended: Attempts | None = None


class _Driver:
    def __init__(
        self, engine: Service[Generate | Score, Any] | None, judge: Judge, seed: str, recall: Remembering | None
    ):
        self.engine, self.judge, self.seed, self.recall = engine, judge, seed, recall
        self.generating: dict[int, tuple[_Active, int]] = {}
        self.judging: dict[int, tuple[_Active, int]] = {}

    def resume(self, one: _Active) -> None:
        """Give a solver its replies and submit what it asks for next, until it waits or has ended."""
        while one.missing == 0 and one.ended is None:
            try:
                one.requests = resumed(one.asking, one.replies)
            except StopIteration as end:
                if one.waits is None:
                    one.ended = _attempts(one, end.value)
                else:
                    self.close(one, end.value)
                return
            except PromptError as refused:
                self.give_up(one, str(refused))
                return
            one.replies, one.missing = [None] * len(one.requests), len(one.requests)
            for place, request in enumerate(one.requests):
                try:
                    self.submit(one, place, request)
                except PromptError as refused:
                    self.reply(one, place, refused)

    def submit(self, one: _Active, place: int, request: Request) -> None:
        one.asked += 1
        path = f"{one.path}.{one.asked}"
        if isinstance(request, Generate | Score):
            assert self.engine, "nobody is there to ask"
            request = replace(request, turn=one.turn)
            if isinstance(request, Generate):
                request = replace(request, seed=int(digest(self.seed, one.problem.id, path), 16) % 2**31)
            self.generating[self.engine.submit(request)] = (one, place)
        elif isinstance(request, Keep):
            before = len(one.tree)  # of another strategy, where one is made of several
            one.tree += [
                replace(step, parent=step.parent + before if step.parent >= 0 else -1) for step in request.tree
            ]
            self.reply(one, place, [])
        elif isinstance(request, Recall):
            self.reply(one, place, self.recall(request) if self.recall else [])
        elif self.known(one, request):
            self.reply(one, place, [one.verdicts[response] for response in request.responses])
        elif (hearing := self.judge.hearing(request)) is None:
            self.judging[self.judge.submit(request)] = (one, place)
        else:
            self.resume(_Active(one.problem, hearing, one.turn, path, (one, place)))

    def known(self, one: _Active, request: Verify) -> bool:
        """Whether all that is asked was judged before for this problem, and no other response could change it."""
        own = request.by is None and request.problem.id == one.problem.id and not self.judge.together
        judged = {response for response, verdict in one.verdicts.items() if verdict.score is not None}
        return own and judged.issuperset(request.responses)

    def reply(self, one: _Active, place: int, reply: Any) -> None:
        """Note one reply to `one`, which is not resumed for it; a PromptError where what it asked was refused."""
        assert one.replies is not None
        one.replies[place] = reply
        one.missing -= 1
        request = one.requests[place]
        if isinstance(reply, PromptError):
            return
        if isinstance(request, Generate):
            one.num_tokens += sum(len(completion.tokens) for completion in reply)
        elif isinstance(request, Verify) and request.by is None and request.problem.id == one.problem.id:
            one.verdicts = dict(zip(request.responses, reply, strict=True)) | one.verdicts  # the first word stands

    def close(self, one: _Active, judgements: list[Judgement] | None, failure: str = "") -> None:
        """A verifier came to its end, or failed: that is the reply to who waits for it."""
        assert one.waits
        one.ended = Attempts(one.problem.id, [], [])
        waiting, place = one.waits
        waiting.num_tokens += one.num_tokens
        request = waiting.requests[place]
        assert isinstance(request, Verify)
        unjudged = [Judgement(None, None, failure)] * len(request.responses)
        self.reply(waiting, place, self.judge.verdicts(request, judgements or unjudged))

    def give_up(self, one: _Active, why: str) -> None:
        """The engine refused a prompt that the solver can't do without: that costs the problem, or where a judge wanted
        an opinion, these verdicts."""
        if one.waits:
            self.close(one, None, why)
        else:
            one.ended = Attempts(one.problem.id, [], [], failure=why, num_tokens=one.num_tokens)

    def step(self) -> Iterator[Attempts]:
        """Let both services advance and resume who now has all replies; the problems that came to their end."""
        arrived: list[tuple[_Active, int, Any]] = []
        if self.judging:
            arrived += [(*self.judging.pop(ticket), verdicts) for ticket, verdicts in self.judge.poll()]
        if self.engine and self.generating:
            arrived += [(*self.generating.pop(ticket), texts) for ticket, texts in self.engine.poll()]
        elif not arrived:
            time.sleep(0.001)  # there is nothing to do but to wait for the judge
        for one, place, reply in arrived:
            self.reply(one, place, reply)
            while one.missing == 0 and not one.ended:
                self.resume(one)
                if one.ended and one.waits:
                    one = one.waits[0]  # its end was a reply to who waited for it
                elif one.ended:
                    yield one.ended


def drive(
    solvers: Iterable[tuple[Problem, Solver] | None],
    engine: Service[Generate | Score, Any] | None,
    judge: Judge,
    seed: str = "",
    recall: Remembering | None = None,
) -> Iterator[Attempts]:
    """Run all `solvers` to their ends; yields what each problem came to, in the order in which they finish.

    Every Generate gets a seed made of `seed`, the problem and its place among what the problem asked for, so a problem
    that is done again alone asks for the same samples. The problems begun first are served first, so that long searches
    end one after the other, and not all of them at last. A prompt that the engine refuses is raised in the solver that
    asked, as Refused, once its other requests are answered; if it can't do without, that costs its own problem only.
    Where there is a None among `solvers`, there are none just now, and more may come. `engine` is None where no solver
    asks for completions; without `recall` there is nothing to remember.
    """
    driver = _Driver(engine, judge, seed, recall)
    waiting, turns = iter(solvers), itertools.count()
    active, more = 0, True
    while more or active or driver.generating or driver.judging:  # until nothing is left in either service
        while more and active < MAX_ACTIVE:
            try:
                solver = next(waiting)
            except StopIteration:
                more = False
                break
            if solver is None:
                break
            one = _Active(*solver, next(turns))
            driver.resume(one)
            if one.ended:
                yield one.ended
            else:
                active += 1
        for ended in driver.step():
            active -= 1
            yield ended


def resumed(asking: Generator[Sequence[Request], Any, Any], replies: Sequence[Any] | None) -> Sequence[Request]:
    """What a solver, or a part of one, asks for next, now that all its replies are there; None to begin."""
    if any(isinstance(reply, PromptError) for reply in replies or ()):
        assert replies
        return asking.throw(Refused(replies))
    return asking.send(replies)


def _attempts(one: _Active, rollouts: list[Rollout]) -> Attempts:
    """What a solver returned, each rollout with the verdict it was given on the way, if any."""
    verdicts = [
        replace(one.verdicts[rollout.response], rollout_id=rollout.id)
        for rollout in rollouts
        if rollout.response in one.verdicts
    ]
    return Attempts(one.problem.id, rollouts, verdicts, num_tokens=one.num_tokens, tree=one.tree)
