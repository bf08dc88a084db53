"""Runs many solvers at once over one engine and one verifier.

A solver is a generator (see strategies/direct.py): it yields a list of requests, is sent as many replies, and finally
returns its rollouts. The driver submits every request as soon as it is made and resumes a solver as soon as its replies
are complete, so the engine's batch stays full and no problem waits for another: continuous batching across problems,
without threads or async. A verifier that makes requests itself (verifiers/all.py) is run in the same way.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from byheart.errors import ByheartError, PluginError, PromptError, described
from byheart.strategies.core.protocol import (
    no_generator,
    qualified,
    wrong_judgements,
    wrong_reply,
    wrong_requests,
    wrong_rollouts,
)
from byheart.types import (
    Branch,
    Generate,
    Judgement,
    Problem,
    RecordTree,
    Request,
    Retrieve,
    Rollout,
    RolloutGroup,
    Score,
    Service,
    Solver,
    Verdict,
    Verify,
    WorkedExample,
    digest,
    replace,
)
from byheart.verifiers.core.service import VerifierService, asks_policy

MAX_ACTIVE = 512
"""Solvers alive at once: enough for any engine's batch, few enough to keep memory flat over millions of problems."""


Retriever = Callable[[Retrieve], list[WorkedExample]]
"""Answers a Retrieve, at once: strategies/core/example_store.py."""


class Refused(PromptError):
    """Raised in a solver at its yield where the engine refused some of its prompts. `replies` are those to all its
    requests, with a PromptError in place of each refused one."""

    def __init__(self, replies: Sequence[Any]) -> None:
        """`replies` are those to all requests, with a PromptError for each that was refused."""
        super().__init__(next(str(reply) for reply in replies if isinstance(reply, PromptError)))
        self.replies = replies


class Branched(list[Request]):
    """What the branches of a solver ask for at once, each request with its `step` in its branch; `first` where they
    begin. The seed of a sample comes from its problem, branch and step, whatever runs beside it."""

    def __init__(self, requests: Iterable[Request], steps: Sequence[str], first: bool) -> None:
        """`steps` are as many as `requests`."""
        super().__init__(requests)
        self.steps, self.first = steps, first


@dataclass(eq=False)
class _Active:
    """A solver at work, or a verifier that a solver waits for: its last requests, the replies received and the number
    outstanding. `parent` is, for a verifier, what waits for it, with the index of the request it answers; `priority`
    the number of solvers started before."""

    problem: Problem
    generator: Generator[Sequence[Request], Any, Any]
    priority: int
    path: str = ""
    parent: tuple[_Active, int] | None = None
    requests: Sequence[Request] = ()
    replies: list[Any] | None = None
    outstanding: int = 0
    num_requests: int = 0
    num_tokens: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    tree: list[Branch] = field(default_factory=list)
    result: RolloutGroup | None = None

    def __post_init__(self) -> None:
        if wrong := no_generator(self.generator):
            raise PluginError(f"solve (problem {self.problem.id}) {wrong}")

    def __str__(self) -> str:
        """The generator and its problem, for the message of an error."""
        return f"{qualified(self.generator)} (problem {self.problem.id})"

    @property
    def answers(self) -> Verify | None:
        """For a verifier, the request that it answers."""
        request = self.parent[0].requests[self.parent[1]] if self.parent else None
        assert request is None or isinstance(request, Verify)
        return request


class _Driver:
    """The requests that are open in the engine and in the verifier, by ticket: each with its solver and its index."""

    def __init__(
        self,
        engine: Service[Generate | Score, Any] | None,
        verifier: VerifierService,
        seed: str,
        retrieve: Retriever | None,
    ):
        self.engine, self.verifier, self.seed, self.retrieve = engine, verifier, seed, retrieve
        self.generating: dict[int, tuple[_Active, int]] = {}
        self.verifying: dict[int, tuple[_Active, int]] = {}

    def resume(self, active: _Active) -> None:
        """Send a solver its replies and submit what it asks for next, until it waits or has ended."""
        while active.outstanding == 0 and active.result is None:
            try:
                requests = advance(active.generator, active.replies)
            except StopIteration as end:
                asked = active.answers
                wrong = (
                    wrong_judgements(end.value, asked.responses) if asked else wrong_rollouts(end.value, active.problem)
                )
                if wrong:
                    raise PluginError(f"{active} returned {wrong}") from None
                if active.parent is None:
                    active.result = _group(active, end.value)
                else:
                    self.close(active, end.value)
                return
            except PromptError as refused:
                self.give_up(active, str(refused))
                return
            except ByheartError:
                raise
            except Exception as error:
                error.add_note(f"raised in {active}")
                raise
            if wrong := wrong_requests(requests):
                raise PluginError(f"{active} yielded {wrong}")
            active.requests = requests
            if isinstance(requests, Branched) and requests.first:
                active.num_requests += 1
            active.replies, active.outstanding = [None] * len(active.requests), len(active.requests)
            for index, request in enumerate(active.requests):
                try:
                    self.submit(active, index, request)
                except PromptError as refused:
                    self.reply(active, index, refused)

    def submit(self, active: _Active, index: int, request: Request) -> None:
        """Pass on a request, or answer it where it needs no service. Raises PromptError where its prompt is refused."""
        if isinstance(active.requests, Branched):
            path = f"{active.path}.{active.num_requests}/{active.requests.steps[index]}"
        else:
            active.num_requests += 1
            path = f"{active.path}.{active.num_requests}"
        if isinstance(request, Generate | Score):
            if active.answers and not asks_policy(active.answers.by or self.verifier.verifier):
                raise PluginError(
                    f"{active} yielded {described(request)}, which asks the policy: its class has to declare "
                    "asks_policy: ClassVar[bool] = True"
                )
            assert self.engine, "this run has no engine"
            request = replace(request, priority=active.priority)
            if isinstance(request, Generate):
                request = replace(request, seed=int(digest(self.seed, active.problem.id, path), 16) % 2**31)
            self.generating[self.engine.submit(request)] = (active, index)
        elif isinstance(request, RecordTree):
            before = len(active.tree)  # of another strategy, where this one is made of several
            active.tree += [
                replace(step, parent=step.parent + before if step.parent >= 0 else -1) for step in request.tree
            ]
            self.reply(active, index, [])
        elif isinstance(request, Retrieve):
            self.reply(active, index, self.retrieve(request) if self.retrieve else [])
        elif self.known(active, request):
            self.reply(active, index, [active.verdicts[response] for response in request.responses])
        elif (interaction := self.verifier.interaction(request)) is None:
            self.verifying[self.verifier.submit(request)] = (active, index)
        else:
            self.resume(_Active(active.problem, interaction, active.priority, path, (active, index)))

    def known(self, active: _Active, request: Verify) -> bool:
        """Whether all responses were judged before for this problem, and no other response could change that."""
        own = request.by is None and request.problem.id == active.problem.id and not self.verifier.by_agreement
        judged = {response for response, verdict in active.verdicts.items() if verdict.score is not None}
        return own and judged.issuperset(request.responses)

    def reply(self, active: _Active, index: int, reply: Any) -> None:
        """Store one reply without resuming the solver; a PromptError where the prompt was refused."""
        assert active.replies is not None
        active.replies[index] = reply
        active.outstanding -= 1
        request = active.requests[index]
        if isinstance(reply, PromptError):
            return
        if isinstance(request, Generate):
            active.num_tokens += sum(len(completion.tokens) for completion in reply)
        elif isinstance(request, Verify) and request.by is None and request.problem.id == active.problem.id:
            active.verdicts = dict(zip(request.responses, reply, strict=True)) | active.verdicts  # the first one stands

    def close(self, active: _Active, judgements: list[Judgement] | None, failure: str = "") -> None:
        """A verifier has ended, or failed: its judgements are the reply to its parent."""
        request = active.answers
        assert active.parent and request
        active.result = RolloutGroup(active.problem.id, [], [])
        parent, index = active.parent
        parent.num_tokens += active.num_tokens
        unjudged = [Judgement(None, None, failure)] * len(request.responses)
        self.reply(parent, index, self.verifier.verdicts(request, judgements or unjudged))

    def give_up(self, active: _Active, reason: str) -> None:
        """The engine refused a prompt that the solver needs: the problem has no rollouts, or for a verifier, the
        responses it was asked about are unjudged."""
        if active.parent:
            self.close(active, None, reason)
        else:
            active.result = RolloutGroup(active.problem.id, [], [], failure=reason, num_tokens=active.num_tokens)

    def step(self) -> Iterator[RolloutGroup]:
        """Let both services advance and resume the solvers whose replies are complete; yields finished problems."""
        arrived: list[tuple[_Active, int, Any]] = []
        if self.verifying:
            arrived += [(*self.verifying.pop(ticket), verdicts) for ticket, verdicts in self.verifier.poll()]
        if self.engine and self.generating:
            for ticket, reply in self.engine.poll():
                active, index = self.generating.pop(ticket)
                if wrong := wrong_reply(active.requests[index], reply):
                    raise PluginError(f"the engine's poll returned {wrong}")
                arrived.append((active, index, reply))
        elif not arrived:
            time.sleep(0.001)  # there is nothing to do but wait for the verifier
        for active, index, reply in arrived:
            self.reply(active, index, reply)
            while active.outstanding == 0 and not active.result:
                self.resume(active)
                if active.result and active.parent:
                    active = active.parent[0]  # its end was a reply to its parent
                elif active.result:
                    yield active.result


def drive(
    solvers: Iterable[tuple[Problem, Solver] | None],
    engine: Service[Generate | Score, Any] | None,
    verifier: VerifierService,
    seed: str = "",
    retrieve: Retriever | None = None,
) -> Iterator[RolloutGroup]:
    """Run all `solvers` to their ends; yields the rollouts of each problem in the order in which they finish.

    Every Generate gets a seed made of `seed`, the problem and the request's position among the problem's requests, so a
    problem that is run again alone asks for the same samples. Problems started earlier are served first, so that long
    searches end one after the other. A refused prompt is raised in the solver that asked, as Refused, once its other
    requests are answered; a solver that does not catch it fails for its own problem only. A None among `solvers` means
    that there are none just now, and more may come. `engine` is None where no solver asks for completions; without
    `retrieve` a Retrieve is answered with no examples.

    Raises PluginError where a solver, or a verifier's generator, does what its contract does not allow.
    """
    driver = _Driver(engine, verifier, seed, retrieve)
    waiting, numbers = iter(solvers), itertools.count()
    num_active, more = 0, True
    while more or num_active or driver.generating or driver.verifying:  # until nothing is left in either service
        while more and num_active < MAX_ACTIVE:
            try:
                solver = next(waiting)
            except StopIteration:
                more = False
                break
            if solver is None:
                break
            active = _Active(*solver, next(numbers))
            driver.resume(active)
            if active.result:
                yield active.result
            else:
                num_active += 1
        for finished in driver.step():
            num_active -= 1
            yield finished


def advance(generator: Generator[Sequence[Request], Any, Any], replies: Sequence[Any] | None) -> Sequence[Request]:
    """The next requests of a solver, or of a part of one, after all `replies` to its last ones; None to start it.

    Raises StopIteration where it has returned, and in the generator Refused where a reply is a PromptError.
    """
    if any(isinstance(reply, PromptError) for reply in replies or ()):
        assert replies
        return generator.throw(Refused(replies))
    return generator.send(replies)


def _group(active: _Active, rollouts: list[Rollout]) -> RolloutGroup:
    """What a solver returned, with the verdict that each rollout was given on the way, if any."""
    verdicts = [
        replace(active.verdicts[rollout.response], rollout_id=rollout.id)
        for rollout in rollouts
        if rollout.response in active.verdicts
    ]
    return RolloutGroup(active.problem.id, rollouts, verdicts, num_tokens=active.num_tokens, tree=active.tree)
