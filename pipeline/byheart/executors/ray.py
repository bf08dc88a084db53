"""Workers of a Ray cluster, each with an engine, a driver and verifiers of its own.

Problems are sent to workers and rollout groups come back, so each worker keeps its engine's batch full without waiting
for the others. A worker is assigned more problems than it works on, fewer towards the end. Ray starts a lost worker
again where there is room; meanwhile the others take its problems. A problem that was lost with two workers is done last
and alone, so that a problem that crashes workers costs only itself. Workers that the cluster has no room for start when
it grows.

A policy's adapter is sent with the work; the base model is resolved by its name on the worker's machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar

import psutil
from pydantic import Field
from typing_extensions import override

from byheart.contracts import Engine, Executor, Work, Workers
from byheart.errors import ByheartError, EngineError
from byheart.executors.core.lazy import Lazy
from byheart.executors.local import Local
from byheart.models import checkpoint, machine
from byheart.progress import console
from byheart.types import Policy, Problem, RolloutGroup, replace

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe

MAX_ASSIGNED, MIN_ASSIGNED = 512, 16
"""Problems assigned to a worker at a time: half of its share of those left, within these bounds."""


class Ray(Executor):
    """Spreads work over the workers of a Ray cluster, each with an engine of its own."""

    remote: ClassVar[bool] = True

    num_workers: int | None = Field(
        default=None, ge=1, description="most workers; by default as many as the cluster has room for at the start"
    )
    cpus: float = Field(default=1.0, ge=0, description="CPUs that a worker reserves")
    gpus: float | None = Field(
        default=None,
        ge=0,
        description="GPUs that a worker reserves; by default its engine's tensor_parallel_size, if the cluster has any",
    )
    address: str | None = Field(
        default=None,
        description="address of the cluster; by default RAY_ADDRESS or one on this machine, which is started if needed",
    )

    @override
    def start(self, engine: Engine, base: Path, model: checkpoint.ModelOptions, log: Path) -> RayWorkers:
        return RayWorkers(self, engine, base, model)

    @override
    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the engine asks for several copies in a worker. The workers' GPUs are not known
        here."""
        recipe.engine.single()

    @override
    def layout(self, engine: Engine) -> str:
        copies = f"{self.num_workers} workers" if self.num_workers else "workers"
        return f"{copies}, each {over}" if (over := engine.layout()) else copies


@dataclass(eq=False)
class _Member:
    """A worker, with the problem that each of its open calls is about; None for the one that says that it started.
    `alone` is whether it works on one problem only."""

    worker: Any
    busy: dict[Any, Problem | None] = field(default_factory=dict)
    started: bool = False
    alone: bool = False


class RayWorkers(Workers):
    """The workers of a Ray cluster. Raises EngineError where the cluster can't be reached, or has no room for a
    worker."""

    def __init__(self, options: Ray, engine: Engine, base: Path, model: checkpoint.ModelOptions) -> None:
        """Join the cluster at `options.address`, or start one."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of a worker's errors, one is raised here
        import ray

        self._ray, self._options, self._engine, self._model = ray, options, engine, model
        # Ray puts the current working directory first on the import path of its workers: make it an empty one.
        self._empty = tempfile.TemporaryDirectory(prefix="byheart-ray-")
        try:
            with contextlib.chdir(self._empty.name):
                ray.init(options.address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except Exception as error:
            where = options.address or os.environ.get("RAY_ADDRESS") or "this machine"
            raise EngineError(
                f"no Ray cluster can be reached or started at {where}: {' '.join(str(error).split())[:300]}"
            ) from None
        num_cpus, num_gpus = (ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU"))
        self._gpus = options.gpus if options.gpus is not None else engine.num_gpus() * (num_gpus > 0)
        room = int(num_gpus / self._gpus + 1e-9) if self._gpus else int(num_cpus // max(options.cpus, 1))
        self.num_workers = options.num_workers or room
        if not self.num_workers:
            ray.shutdown()
            raise EngineError(
                f"the Ray cluster has {num_cpus:g} CPUs and {num_gpus:g} GPUs: no room for a worker with "
                f"{options.cpus:g} and {self._gpus:g}; if it will grow, set executor.num_workers"
            )
        self._members: list[_Member] = []
        lost = ray.exceptions
        self._losses = (lost.RayActorError, lost.NodeDiedError, lost.OutOfMemoryError, lost.WorkerCrashedError)
        self._num_works = self._num_futile = 0
        self._any_finished = False
        self._reported_waiting = False
        self._policy: Any = None
        self.load(Policy(str(base)))
        self.seconds = 0.0

    @override
    def load(self, policy: Policy) -> None:
        self._policy = self._ray.put(packed(policy))

    @override
    def map(self, problems: Iterable[Problem | None], work: Work) -> Iterator[RolloutGroup]:
        began = time.monotonic()
        self._num_works += 1
        self._any_finished = False
        job = Job(self._num_works, self._ray.put(work), self._policy)
        self._queue, self._suspects = deque(problem for problem in problems if problem), deque[Problem]()
        self._num_lost, left = Counter[str](), len(self._queue)
        self._members += [self._member() for _ in range(self.num_workers - len(self._members))]
        try:
            for member in self._members:
                self._assign(member, job)
            while left:
                for member, answer in self._answered():
                    groups = self._lost(member, answer) if isinstance(answer, BaseException) else answer
                    left -= len(groups)
                    self.seconds += time.monotonic() - began
                    began = time.monotonic()
                    yield from groups
                    for other in self._members:
                        self._assign(other, job)
        finally:
            self.seconds += time.monotonic() - began
            for member in self._members:
                member.busy = {call: problem for call, problem in member.busy.items() if problem is None}
                member.alone = False

    @override
    def sleep(self) -> str:
        lines = set()
        for call in [member.worker.sleep.remote() for member in self._members if member.started]:
            try:
                lines.add(self._ray.get(call))
            except self._ray.exceptions.RayTaskError as error:
                raise EngineError(f"the engine of a worker can't sleep: {_why(error)}") from None
            except self._ray.exceptions.RayError:
                continue  # the worker is gone, and its memory is free
        return "; ".join(sorted(lines - {""}))

    @override
    def close(self) -> None:
        if calls := [member.worker.leave.remote() for member in self._members if member.started]:
            self._ray.wait(calls, num_returns=len(calls), timeout=10)
        for member in self._members:
            self._ray.kill(member.worker)
        self._members.clear()
        self._ray.shutdown()
        self._empty.cleanup()

    def _member(self) -> _Member:
        """A worker that Ray starts now, or when there is room, and again where its process or its machine is lost."""
        resources = {"num_cpus": self._options.cpus, "num_gpus": self._gpus, "max_concurrency": 2 * MAX_ASSIGNED}
        kind = self._ray.remote(Worker).options(max_restarts=-1, **resources)
        return self._awaited(_Member(kind.remote(self._engine, self._model, Path.cwd())))

    def _awaited(self, member: _Member) -> _Member:
        """The member, which has no problems until it says that it started."""
        call = member.worker.start.options(max_task_retries=-1).remote()
        member.busy, member.started, member.alone = {call: None}, False, False
        return member

    def _assign(self, member: _Member, job: Job) -> None:
        """Send a worker as many problems as it should have."""
        if not member.started:
            return
        member.alone = member.alone and bool(member.busy)
        limit = min(MAX_ASSIGNED, max(MIN_ASSIGNED, len(self._queue) // (2 * self._num_started())))
        while self._queue and len(member.busy) < limit and not member.alone:
            problem = self._queue.popleft()
            member.busy[member.worker.solve.remote(problem, job)] = problem
        if self._suspects and not member.busy:
            problem, member.alone = self._suspects.popleft(), True
            member.busy[member.worker.solve.remote(problem, job)] = problem

    def _num_started(self) -> int:
        return sum(member.started for member in self._members)

    def _answered(self) -> Iterator[tuple[_Member, Any]]:
        """Workers that answered, each with its finished rollout groups (none for one that started), or with the error
        by which it was lost."""
        ray, calls = self._ray, {ref: member for member in self._members for ref in member.busy}
        first, _ = ray.wait(list(calls), num_returns=1, timeout=60)
        done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        if not (done or first or self._reported_waiting or self._num_started()):
            self._reported_waiting = True
            wanted = f"{self._options.cpus:g} CPUs and {self._gpus:g} GPUs on one machine"
            there = {name: count for name, count in ray.cluster_resources().items() if name in ("CPU", "GPU")}
            console.print(f"no worker started in 60 s: each needs {wanted}; the cluster has {there}")
        for ref in done or first:
            member = calls[ref]
            if ref not in member.busy:
                continue  # its worker was lost
            try:
                answer = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, ByheartError):
                    raise error.cause from None
                raise EngineError(f"a worker failed: {_why(error)}") from None
            except self._losses as error:  # its process died, or its machine or memory was lost
                yield member, error
                continue
            member.started = True
            problem = member.busy.pop(ref)
            if problem is not None:
                self._num_futile, self._any_finished = 0, True
            yield member, [] if problem is None else [answer]

    def _lost(self, member: _Member, error: BaseException) -> list[RolloutGroup]:
        """Put back the problems of a lost worker, which Ray starts again; the groups of problems that are given up. One
        that could not even start is left out."""
        given_up, why = self._put_back(member), _why(error)
        self._num_futile = 0 if given_up and self._any_finished else self._num_futile + 1
        if self._num_futile > max(10, 3 * self.num_workers):
            raise EngineError(f"{self._num_futile} workers died in a row without finishing a problem: {why}")
        if member.started:
            console.print(f"a worker was lost, others take its problems: {why}")
            self._ray.kill(member.worker, no_restart=False)  # also where it only can't be reached
            self._awaited(member)
            return given_up
        self._members.remove(member)
        if not self._members:
            raise EngineError(f"no worker of the Ray cluster could start: {why}")
        console.print(f"a worker could not start, the others go on without it: {why}")
        return given_up

    def _put_back(self, member: _Member) -> list[RolloutGroup]:
        """Queue the problems of a lost worker again, those that were lost before as suspects; the groups of those that
        crashed a worker while running alone, which are given up."""
        given_up = []
        for problem in (problem for problem in member.busy.values() if problem):
            self._num_lost[problem.id] += 1
            if member.alone:
                why = f"crashed {self._num_lost[problem.id]} workers, the last while running alone"
                given_up.append(RolloutGroup(problem.id, [], [], failure=why))
            else:
                (self._queue if self._num_lost[problem.id] == 1 else self._suspects).append(problem)
        member.busy.clear()
        return given_up


@dataclass(frozen=True)
class Job:
    """What workers are to do: the `number` of the work, and where in the cluster work and policy are."""

    number: int
    work: Any
    policy: Any


class Worker:
    """A worker process, on any machine of the cluster, whose engine runs in one thread."""

    def __init__(self, engine: Engine, model: checkpoint.ModelOptions, folder: Path) -> None:
        """`folder` is the working directory of the command; where it exists, relative paths mean the same here."""
        machine.isolate()
        if folder.is_dir():
            os.chdir(folder)
        self._thread = ThreadPoolExecutor(1)
        self._folder = _own_folder()
        self._base = checkpoint.fetch(model)
        self._workers = Lazy(Local(), engine.single(), model, self._folder / "engine.log")
        self._desk: _Desk | None = None
        self._beginning = asyncio.Lock()

    async def start(self) -> None:
        """Says that this worker has started."""

    async def solve(self, problem: Problem, job: Job) -> RolloutGroup:
        """The rollout group of `problem`. A job of a higher number than the last ends that one. Raises what the engine
        raises, and EngineError where the job has ended."""
        async with self._beginning:
            if self._desk is None or self._desk.number < job.number:
                await self._begin(job)
        if self._desk is None or self._desk.number > job.number:
            raise EngineError("this work was given up")
        return await self._desk.answer(problem)

    async def sleep(self) -> str:
        """End the job and let the engine sleep."""
        async with self._beginning:
            self._end()
        return await asyncio.wrap_future(self._thread.submit(self._workers.sleep))

    async def leave(self) -> None:
        """Remove this worker's files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _begin(self, job: Job) -> None:
        work, policy = await asyncio.gather(job.work, job.policy)
        self._end()
        self._desk = _Desk(job.number, asyncio.get_running_loop())
        self._thread.submit(self._do, work, policy, self._desk)

    def _end(self) -> None:
        if self._desk:
            self._desk.problems.put(None)

    def _do(self, work: Work, policy: _Packed, desk: _Desk) -> None:
        why: BaseException = EngineError("the work ended without an answer to this problem")
        try:
            self._workers.load(_unpacked(policy, self._base, self._folder))
            for group in self._workers.map(desk, work):
                desk.loop.call_soon_threadsafe(desk.done, group)
        except BaseException as error:
            why = error
        desk.loop.call_soon_threadsafe(desk.end, why)


class _Desk:
    """Passes problems from Ray's thread to the engine's thread, and rollout groups back."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number, self.loop = number, loop
        self.problems: SimpleQueue[Problem | None] = SimpleQueue()
        self._answers: dict[str, asyncio.Future[RolloutGroup]] = {}
        self._ended: BaseException | None = None

    async def answer(self, problem: Problem) -> RolloutGroup:
        if self._ended:
            raise _portable(self._ended)
        if problem.id not in self._answers:
            self._answers[problem.id] = self.loop.create_future()
            self.problems.put(problem)
        return await asyncio.shield(self._answers[problem.id])

    def done(self, group: RolloutGroup) -> None:
        self._answers.pop(group.problem_id).set_result(group)

    def end(self, why: BaseException) -> None:
        """No more answers come, to problems that are open or still to come; `why` is what they are told."""
        self._ended = why
        while self._answers:
            self._answers.popitem()[1].set_exception(_portable(why))

    def __iter__(self) -> Iterator[Problem | None]:
        """The problems, and None while none is available; it blocks if none is in progress."""
        while True:
            try:
                problem = self.problems.get(block=not self._answers)
            except Empty:
                yield None
                continue
            if problem is None:
                return
            yield problem


def _portable(error: BaseException) -> ByheartError:
    """An error that can be sent to another process, whatever `error` is made of; a new one for each call that it ends,
    since Ray takes a minute to send one for hundreds of calls."""
    if type(error).__module__ == ByheartError.__module__ and isinstance(error, ByheartError):
        return type(error)(str(error))
    return EngineError(f"a worker failed: {''.join(traceback.format_exception(error))[-2000:]}")


def _why(error: BaseException) -> str:
    """The end of Ray's message, where the reason is, without colour codes."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[-300:]


def _own_folder() -> Path:
    """A new folder for this process. Folders of workers that are gone are removed."""
    parent = Path(tempfile.gettempdir())
    for other in parent.glob("byheart-worker-*"):
        pid = other.name.rpartition("-")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(other, ignore_errors=True)
    folder = parent / f"byheart-worker-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


_Packed = tuple[Policy, dict[str, dict[str, bytes]]]
"""A policy, and the files of its adapter and its scorer, by role and name."""


def packed(policy: Policy) -> _Packed:
    """`policy` with the content of its files, to be sent to workers."""
    folders = {"policy": policy.adapter, "scorer": policy.scorer}
    files = {
        role: {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        for role, folder in folders.items()
        if folder
    }
    return policy, files


def _unpacked(packed: _Packed, base: Path, folder: Path) -> Policy:
    """The same policy with its files under `folder`."""
    policy, files = packed
    folders = {role: folder / policy.id / role / "adapter" for role in files}
    for role, adapter in folders.items():
        adapter.mkdir(parents=True, exist_ok=True)
        for name, content in files[role].items():
            (adapter / name).write_bytes(content)
    return replace(policy, base=str(base), adapter=folders.get("policy"), scorer=folders.get("scorer"))
