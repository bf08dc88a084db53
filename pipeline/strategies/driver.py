"""Runs many solvers at once over one engine and one judge.

A solver is a generator (see strategies/direct.py): it yields a list of requests, gets as many replies, and in the end
returns its rollouts. The driver hands every request on the moment it is made and resumes a solver the moment its
replies are complete, so the engine's batch stays full and no problem waits for another: continuous batching across
problems, with neither threads nor async.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import PromptError
from pipeline.types import (
    Attempts,
    Completion,
    Generate,
    Problem,
    Request,
    Rollout,
    Service,
    Solver,
    Verdict,
    Verify,
    digest,
    replace,
)

MAX_ACTIVE = 512
"""Solvers alive at once: enough for any engine's batch, few enough to keep memory flat over millions of problems."""


@dataclass(eq=False)
class _Active:
    """One solver at work: what it asked for last, what it has been told, and how much is still missing."""

    problem: Problem
    solver: Solver
    requests: Sequence[Request] = ()
    replies: list[Any] | None = None
    missing: int = 0
    generated: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    ended: Attempts | None = None


class _Driver:
    def __init__(self, engine: Service[Generate, list[Completion]], judge: Service[Verify, Verdict], seed: str):
        self.engine, self.judge, self.seed = engine, judge, seed
        self.generating: dict[int, tuple[_Active, int]] = {}
        self.judging: dict[int, tuple[_Active, int]] = {}

    def resume(self, one: _Active) -> None:
        """Give a solver its replies and submit what it asks for next, until it waits or has ended."""
        while one.missing == 0 and one.ended is None:
            try:
                one.requests = one.solver.send(one.replies)
                one.replies, one.missing = [None] * len(one.requests), len(one.requests)
                for place, request in enumerate(one.requests):
                    if isinstance(request, Verify):
                        self.judging[self.judge.submit(request)] = (one, place)
                    else:
                        self.generating[self.engine.submit(self.seeded(one, request))] = (one, place)
            except StopIteration as end:
                one.ended = _attempts(one, end.value)
            except PromptError as refused:
                one.solver.close()
                one.ended = Attempts(one.problem.id, [], [], failure=str(refused))

    def seeded(self, one: _Active, request: Generate) -> Generate:
        one.generated += 1
        return replace(request, seed=int(digest(self.seed, one.problem.id, one.generated), 16) % 2**31)

    def step(self) -> Iterator[_Active]:
        """Let both services advance; the solvers that now have all their replies, resumed."""
        arrived: list[tuple[_Active, int, Any]] = []
        if self.judging:
            arrived += [(*self.judging.pop(ticket), verdict) for ticket, verdict in self.judge.poll()]
        if self.generating:
            arrived += [(*self.generating.pop(ticket), texts) for ticket, texts in self.engine.poll()]
        for one, place, reply in arrived:
            if one.ended:
                continue  # it was given up while this was under way
            assert one.replies is not None
            one.replies[place] = reply
            one.missing -= 1
            request = one.requests[place]
            if isinstance(request, Verify) and request.problem.id == one.problem.id:
                one.verdicts[request.response] = reply
            if one.missing == 0:
                self.resume(one)
                yield one


def drive(
    solvers: Iterable[tuple[Problem, Solver]],
    engine: Service[Generate, list[Completion]],
    judge: Service[Verify, Verdict],
    seed: str = "",
) -> Iterator[Attempts]:
    """Run all `solvers` to their ends; yields what each problem came to, in the order in which they finish.

    Every Generate gets a seed made of `seed`, the problem and its place among the problem's requests, so a problem
    that is done again alone asks for the same samples. A prompt that the engine refuses costs its own problem only.
    """
    driver = _Driver(engine, judge, seed)
    waiting = iter(solvers)
    active = 0
    while True:
        admitted = [_Active(problem, solver) for problem, solver in itertools.islice(waiting, MAX_ACTIVE - active)]
        for one in admitted:
            driver.resume(one)
            if one.ended:
                yield one.ended
            else:
                active += 1
        if not (admitted or active or driver.generating or driver.judging):
            return  # and nothing is left in either service
        for one in driver.step():
            if one.ended:
                active -= 1
                yield one.ended


def _attempts(one: _Active, rollouts: list[Rollout]) -> Attempts:
    """What a solver returned, each rollout with the verdict it was given on the way, if any."""
    verdicts = [
        replace(one.verdicts[rollout.response], rollout_id=rollout.id)
        for rollout in rollouts
        if rollout.response in one.verdicts
    ]
    return Attempts(one.problem.id, rollouts, verdicts)
