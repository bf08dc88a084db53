"""Runs many solvers at once over one engine and one verifier.

A solver is a generator (see strategies/direct.py): it yields a list of requests, is sent as many replies, and finally
returns its rollouts. The driver submits every request as soon as it is made and resumes a generator as soon as its own
replies are complete, so the engine's batch stays full: no problem waits for another, and no branch of a problem
(Parallel) for the others. That is continuous batching without threads or async. A verifier that makes requests itself
(verifiers/all.py) is run in the same way.
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
    Parallel,
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


@dataclass(eq=False)
class _Task:
    """A generator at work: a solver, a branch of it, or a verifier that it waits for.

    `path` says what it is among those of its problem; the seed of a sample is made of it and the request's number.
    `parent` is the task that waits for it, with the index of the request that it answers, or takes part in
    answering; `verify` what the verifier answers whose generator, or branch, this is. `priority` is the number of
    solvers started before. `requests` are the last ones, `replies` what was received, `outstanding` how many are not.
    `branches` are the tasks of each Parallel among the requests, by its index, and `num_open` how many of them have not
    ended.
    """

    problem: Problem
    generator: Generator[Sequence[Request], Any, Any]
    priority: int
    path: str = ""
    parent: tuple[_Task, int] | None = None
    verify: Verify | None = None
    requests: Sequence[Request] = ()
    replies: list[Any] | None = None
    outstanding: int = 0
    branches: dict[int, list[_Task]] = field(default_factory=dict)
    num_open: dict[int, int] = field(default_factory=dict)
    num_requests: int = 0
    num_tokens: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    tree: list[Branch] = field(default_factory=list)
    ended: bool = False
    result: Any = None

    def __post_init__(self) -> None:
        if wrong := no_generator(self.generator):
            raise PluginError(f"solve (problem {self.problem.id}) {wrong}")

    def __str__(self) -> str:
        """The generator and its problem, for the message of an error."""
        return f"{qualified(self.generator)} (problem {self.problem.id})"

    def record(self, tree: Sequence[Branch]) -> None:
        """Put `tree` after what was recorded before, as by another part of the strategy."""
        before = len(self.tree)
        self.tree += [replace(step, parent=step.parent + before if step.parent >= 0 else -1) for step in tree]


class _Driver:
    """The requests that are open in the engine and in the verifier, by ticket: each with its task and its index."""

    def __init__(
        self,
        engine: Service[Generate | Score, Any] | None,
        verifier: VerifierService,
        seed: str,
        retrieve: Retriever | None,
    ):
        self.engine, self.verifier, self.seed, self.retrieve = engine, verifier, seed, retrieve
        self.generating: dict[int, tuple[_Task, int]] = {}
        self.verifying: dict[int, tuple[_Task, int]] = {}

    def resume(self, task: _Task) -> None:
        """Send a generator its replies and submit what it asks for next, until it waits or has ended."""
        while task.outstanding == 0 and not task.ended:
            try:
                requests = advance(task.generator, task.replies)
            except StopIteration as end:
                self.end(task, end.value)
                return
            except PromptError as refused:
                self.end(task, refused)
                return
            except ByheartError:
                raise
            except Exception as error:
                error.add_note(f"raised in {task}")
                raise
            if wrong := wrong_requests(requests):
                raise PluginError(f"{task} yielded {wrong}")
            task.requests = requests
            task.replies, task.outstanding = [None] * len(requests), len(requests)
            for index, request in enumerate(requests):
                task.num_requests += 1
                path = f"{task.path}.{task.num_requests}"
                try:
                    self.submit(task, index, request, path)
                except PromptError as refused:
                    self.reply(task, index, refused)

    def submit(self, task: _Task, index: int, request: Request, path: str) -> None:
        """Pass on a request, or answer it where it needs no service. Raises PromptError where its prompt is refused."""
        if isinstance(request, Generate | Score):
            self.ask(task, index, request, path)
        elif isinstance(request, Parallel):
            self.branch(task, index, request, path)
        elif isinstance(request, RecordTree):
            task.record(request.tree)
            self.reply(task, index, [])
        elif isinstance(request, Retrieve):
            self.reply(task, index, self.retrieve(request) if self.retrieve else [])
        elif self.known(task, request):
            self.reply(task, index, [task.verdicts[response] for response in request.responses])
        elif (interaction := self.verifier.interaction(request)) is None:
            self.verifying[self.verifier.submit(request)] = (task, index)
        else:
            self.resume(_Task(task.problem, interaction, task.priority, path, (task, index), verify=request))

    def ask(self, task: _Task, index: int, request: Generate | Score, path: str) -> None:
        """Pass on a request for the policy, a Generate with the seed of its `path`."""
        if task.verify and not asks_policy(task.verify.by or self.verifier.verifier):
            raise PluginError(
                f"{task} yielded {described(request)}, which asks the policy: its class has to declare "
                "asks_policy: ClassVar[bool] = True"
            )
        assert self.engine, "this run has no engine"
        request = replace(request, priority=task.priority)
        if isinstance(request, Generate):
            request = replace(request, seed=int(digest(self.seed, task.problem.id, path), 16) % 2**31)
        self.generating[self.engine.submit(request)] = (task, index)

    def branch(self, task: _Task, index: int, request: Parallel, path: str) -> None:
        """Start the branches of a task. Each knows the verdicts that were given before, and its own."""
        task.branches[index] = [
            _Task(
                task.problem,
                generator,
                task.priority,
                f"{path}/{number}",
                (task, index),
                task.verify,
                verdicts=dict(task.verdicts),
            )
            for number, generator in enumerate(request.branches)
        ]
        task.num_open[index] = len(request.branches)
        for branch in list(task.branches[index]):
            self.resume(branch)
        if not request.branches:
            self.join(task, index)

    def join(self, task: _Task, index: int) -> None:
        """Answer a Parallel whose branches have all ended: with the results of those whose prompts were all accepted,
        or with the PromptError of the first if there are none."""
        branches = task.branches.pop(index)
        for branch in branches:
            task.num_tokens += branch.num_tokens
            task.verdicts = branch.verdicts | task.verdicts  # the first one stands
            task.record(branch.tree)
        results = [branch.result for branch in branches if not isinstance(branch.result, PromptError)]
        self.reply(task, index, results if results or not branches else branches[0].result)

    def known(self, task: _Task, request: Verify) -> bool:
        """Whether all responses were judged before for this problem, and no other response could change that."""
        own = request.by is None and request.problem.id == task.problem.id and not self.verifier.by_agreement
        judged = {response for response, verdict in task.verdicts.items() if verdict.score is not None}
        return own and judged.issuperset(request.responses)

    def reply(self, task: _Task, index: int, reply: Any) -> None:
        """Store one reply without resuming the generator; a PromptError where the prompt was refused."""
        assert task.replies is not None
        task.replies[index] = reply
        task.outstanding -= 1
        request = task.requests[index]
        if isinstance(reply, PromptError):
            return
        if isinstance(request, Generate):
            task.num_tokens += sum(len(completion.tokens) for completion in reply)
        elif isinstance(request, Verify) and request.by is None and request.problem.id == task.problem.id:
            task.verdicts = dict(zip(request.responses, reply, strict=True)) | task.verdicts  # the first one stands

    def end(self, task: _Task, result: Any) -> None:
        """A generator returned `result`, or it is the PromptError of a refused prompt that the generator needed: then a
        problem has no rollouts, a verifier leaves the responses unjudged, and a branch is left out."""
        task.ended, task.result = True, result
        if task.parent is None:
            task.result = _group(task, result)
            return
        parent, index = task.parent
        request = parent.requests[index]
        if isinstance(request, Verify):
            parent.num_tokens += task.num_tokens
            self.reply(parent, index, self.verifier.verdicts(request, _judgements(task, request, result)))
            return
        parent.num_open[index] -= 1
        if not parent.num_open[index]:
            self.join(parent, index)

    def step(self) -> Iterator[RolloutGroup]:
        """Let both services advance and resume the tasks whose replies are complete; yields finished problems."""
        arrived: list[tuple[_Task, int, Any]] = []
        if self.verifying:
            for ticket, verdicts in self.verifier.poll():
                if ticket in self.verifying:  # and not of a work that was given up
                    arrived.append((*self.verifying.pop(ticket), verdicts))
        if self.engine and self.generating:
            for ticket, reply in self.engine.poll():
                if ticket not in self.generating:
                    raise PluginError(f"the engine's poll returned the ticket {ticket!r}, which is not open")
                task, index = self.generating.pop(ticket)
                if wrong := wrong_reply(task.requests[index], reply):
                    raise PluginError(f"the engine's poll returned {wrong}")
                arrived.append((task, index, reply))
        elif not arrived:
            time.sleep(0.001)  # there is nothing to do but wait for the verifier
        for task, index, reply in arrived:
            self.reply(task, index, reply)
            while task.outstanding == 0 and not task.ended:
                self.resume(task)
                if task.ended and task.parent:
                    task = task.parent[0]  # its end may have been the last reply to its parent
                elif task.ended:
                    yield task.result


def drive(
    solvers: Iterable[tuple[Problem, Solver] | None],
    engine: Service[Generate | Score, Any] | None,
    verifier: VerifierService,
    seed: str = "",
    retrieve: Retriever | None = None,
) -> Iterator[RolloutGroup]:
    """Run all `solvers` to their ends; yields the rollouts of each problem in the order in which they finish.

    Every Generate gets a seed made of `seed`, the problem, the branch that asks, and the number of requests that this
    branch made before, so a problem that is run again, whatever runs beside it, asks for the same samples. Problems
    started earlier are served first, so that long searches end one after the other. A refused prompt is raised in the
    generator that asked, as PromptError, once its other requests are answered; a solver that does not catch it fails
    for its own problem only, a branch of it is left out. A None among `solvers` means that there are none just now, and
    more may come. `engine` is None where no solver asks for completions; without `retrieve` a Retrieve is answered with
    no examples.

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
            task = _Task(*solver, next(numbers))
            driver.resume(task)
            if task.ended:
                yield task.result
            else:
                num_active += 1
        for finished in driver.step():
            num_active -= 1
            yield finished


def advance(generator: Generator[Sequence[Request], Any, Any], replies: Sequence[Any] | None) -> Sequence[Request]:
    """The next requests of a generator, after all `replies` to its last ones; None to start it.

    Raises StopIteration where it has returned, and in the generator the first PromptError among `replies`.
    """
    refused = next((reply for reply in replies or () if isinstance(reply, PromptError)), None)
    return generator.throw(refused) if refused else generator.send(replies)


def _group(task: _Task, rollouts: list[Rollout] | PromptError) -> RolloutGroup:
    """What a solver returned, with the verdict that each rollout was given on the way, if any."""
    if isinstance(rollouts, PromptError):
        return RolloutGroup(task.problem.id, [], [], failure=str(rollouts), num_tokens=task.num_tokens)
    if wrong := wrong_rollouts(rollouts, task.problem):
        raise PluginError(f"{task} returned {wrong}")
    verdicts = [
        replace(task.verdicts[rollout.response], rollout_id=rollout.id)
        for rollout in rollouts
        if rollout.response in task.verdicts
    ]
    return RolloutGroup(task.problem.id, rollouts, verdicts, num_tokens=task.num_tokens, tree=task.tree)


def _judgements(task: _Task, request: Verify, result: list[Judgement] | PromptError) -> list[Judgement]:
    """What a verifier returned: a judgement of each response of `request`."""
    if isinstance(result, PromptError):
        return [Judgement(None, None, str(result))] * len(request.responses)
    if wrong := wrong_judgements(result, request.responses):
        raise PluginError(f"{task} returned {wrong}")
    return result
