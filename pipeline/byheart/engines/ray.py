"""Many engines as one: workers of a Ray cluster, each with an engine, a driver and verifiers of its own.

What travels is a problem to a worker and what came of it back, so a worker keeps its engine's batch full by itself and
many of them wait for nobody. Each is handed a few problems more than it is at, fewer as the end comes near. Where one
is lost, another takes its problems, and a new one is asked for in its place; a problem that was lost with two is done
last, with nothing beside it, so that what kills workers costs one problem. Workers that a cluster has no room for yet
begin when it has grown.

A policy's adapter travels with the work; the base model is what its name means on the worker's machine.
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
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil
from pydantic import Field

from byheart import engines, machine, models, recipe
from byheart.errors import ByheartError, EngineError, RecipeError
from byheart.progress import console
from byheart.recipe import Recipe
from byheart.types import Attempts, Engine, Policy, Problem, replace
from byheart.verifiers.tags import module

MOST, FEWEST = 512, 16
"""Problems that a worker is handed at once: half of its share of those that are left, within these bounds."""

Work = Callable[[Iterable[Problem | None], Engine], Iterator[Attempts]]
"""What a worker does with its problems, of which None says that there are none just now."""


class Options(recipe.Choice):
    """`each` is the engine of a worker, and `workers` how many there are at most: by default as many as the cluster has
    room for at the start. A worker takes so many `cpus` and `gpus` of its machine; where `gpus` is not said, those that
    its engine's tensor_parallel asks for, if the cluster has any. The cluster is the one at `address`; by default the
    one that RAY_ADDRESS names or that runs on this machine, else one that is started here."""

    each: recipe.choice("engines") = Field(default="vllm", validate_default=True)  # type: ignore[valid-type]
    workers: int | None = Field(default=None, ge=1)
    cpus: float = Field(default=1.0, ge=0)
    gpus: float | None = Field(default=None, ge=0)
    address: str | None = None


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the engine of a worker can't work with the rest of the recipe."""
    each = recipe.engine.each
    if each.name == "ray" or getattr(each, "data_parallel", None):
        raise RecipeError("engine.each: one engine is wanted; how many there are, engine.workers says")
    alone = each.model_copy(update={"tensor_parallel": None})  # what GPUs the workers have is not known here
    getattr(module(each), "check", lambda _: None)(recipe.model_copy(update={"engine": alone}))


@dataclass(eq=False)
class _Member:
    """A worker as we see it from here: what it is at, and whether it has ever answered."""

    worker: Any
    begun: bool = False
    alone: bool = False
    busy: dict[Any, Problem | None] = field(default_factory=dict)  # None: it is asked to begin


class Ray:
    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        """Join the cluster, or start one. Raises EngineError where that fails, or it has no room for a worker."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of all that a worker failed at, one is raised
        import ray

        self._ray, self._options, self._model = ray, options, model
        # Ray puts the working directory of the moment first on the import path of its workers: an empty one, then.
        self._empty = tempfile.TemporaryDirectory(prefix="byheart-ray-")
        try:
            with contextlib.chdir(self._empty.name):
                ray.init(options.address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except Exception as error:
            where = options.address or os.environ.get("RAY_ADDRESS") or "this machine"
            raise EngineError(f"no Ray cluster can be had at {where}: {' '.join(str(error).split())[:300]}") from None
        there = ray.cluster_resources()
        split = getattr(options.each, "tensor_parallel", None) or 1
        self._gpus = options.gpus if options.gpus is not None else split * (there.get("GPU", 0) > 0)
        room = (
            int(there.get("GPU", 0) / self._gpus + 1e-9)
            if self._gpus
            else int(there.get("CPU", 0) // max(options.cpus, 1))
        )
        self.num_workers = options.workers or room
        if not self.num_workers:
            ray.shutdown()
            raise EngineError(
                f"the Ray cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, which is no room "
                f"for a worker with {options.cpus:g} and {self._gpus:g}; if it grows, say engine.workers"
            )
        self._members: list[_Member] = []
        self._num_tasks = self._in_vain = 0
        self._said_waiting = False
        self._policy: Any = None
        self.load(Policy(str(base)))
        self.seconds = 0.0

    def load(self, policy: Policy) -> None:
        self._policy = self._ray.put(packed(policy))

    def submit(self, request: object) -> int:
        raise AssertionError("work is spread over the workers, who ask engines of their own")

    def poll(self) -> list[tuple[int, Any]]:
        return []

    def spread(self, problems: Sequence[Problem], work: Work) -> Iterator[Attempts]:
        """What the workers came to with each of `problems`, in the order in which they finish. Raises what an engine
        raises in a worker, and EngineError where no worker is left."""
        began = time.monotonic()
        self._num_tasks += 1
        task = self._ray.put(work)
        self._owed, self._last, self._times = deque(problems), deque[Problem](), Counter[str]()
        self._members += [self._worker() for _ in range(self.num_workers - len(self._members))]
        for member in self._members:
            self._begin(member, task)
        left = len(problems)
        try:
            while left:
                for member, answer in self._answered():
                    ended = self._lost(member, answer, task) if isinstance(answer, BaseException) else answer
                    left -= len(ended)
                    self.seconds += time.monotonic() - began
                    began = time.monotonic()
                    yield from ended
                    for one in self._members:
                        self._give(one)
        finally:
            self.seconds += time.monotonic() - began
            for member in self._members:
                member.busy.clear()
                member.worker.end.remote(self._num_tasks)

    def rest(self) -> str:
        """Each worker lets its engine rest."""
        said = set()
        for asked in [member.worker.rest.remote() for member in self._members if member.begun]:
            try:
                said.add(self._ray.get(asked))
            except self._ray.exceptions.RayTaskError as error:
                raise EngineError(f"the engine of a worker can't rest: {_why(error)}") from None
            except self._ray.exceptions.RayError:
                continue  # it rests for good
        return "; ".join(sorted(said - {""}))

    def close(self) -> None:
        left = [member.worker.leave.remote() for member in self._members if member.begun]
        self._ray.wait(left, num_returns=len(left), timeout=10) if left else None
        for member in self._members:
            self._ray.kill(member.worker)
        self._members.clear()
        self._ray.shutdown()
        self._empty.cleanup()

    def _worker(self) -> _Member:
        kind = self._ray.remote(Worker)
        takes = {"num_cpus": self._options.cpus, "num_gpus": self._gpus, "max_concurrency": 2 * MOST}
        return _Member(kind.options(**takes).remote(self._options.each, self._model, Path.cwd()))

    def _begin(self, member: _Member, task: Any) -> None:
        member.busy[member.worker.begin.remote(self._num_tasks, task, self._policy)] = None

    def _give(self, member: _Member) -> None:
        """Hand a worker as many problems as it should have."""
        if not member.begun or None in member.busy.values():
            return
        member.alone = member.alone and bool(member.busy)
        most = min(MOST, max(FEWEST, len(self._owed) // (2 * len(self._members))))
        while self._owed and len(member.busy) < most and not member.alone:
            problem = self._owed.popleft()
            member.busy[member.worker.solve.remote(problem)] = problem
        if self._last and not member.busy:
            problem, member.alone = self._last.popleft(), True
            member.busy[member.worker.solve.remote(problem)] = problem

    def _answered(self) -> Iterator[tuple[_Member, Any]]:
        """The workers of whom something came, each with what: problems come to their end, none where it has begun; or
        the error that it was lost with."""
        ray, asked = self._ray, {ref: member for member in self._members for ref in member.busy}
        some, _ = ray.wait(list(asked), num_returns=1, timeout=60)
        done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        if not (done or some or self._said_waiting or any(member.begun for member in self._members)):
            self._said_waiting = True
            takes = f"{self._options.cpus:g} CPUs and {self._gpus:g} GPUs on one machine"
            there = {name: count for name, count in ray.cluster_resources().items() if name in ("CPU", "GPU")}
            console.print(
                f"no worker has begun for a minute: each wants {takes}, the cluster has {there}", markup=False
            )
        for ref in done or some:
            member = asked[ref]
            if ref not in member.busy:
                continue  # it went with its worker
            try:
                answer = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, ByheartError):
                    raise error.cause from None
                raise EngineError(f"a worker failed: {_why(error)}") from None
            except ray.exceptions.RayError as error:  # it died, or its machine or memory went
                yield member, error
                continue
            member.begun = True
            problem = member.busy.pop(ref)
            self._in_vain = self._in_vain if problem is None else 0
            yield member, [] if problem is None else [answer]

    def _lost(self, member: _Member, error: BaseException, task: Any) -> list[Attempts]:
        """A worker is gone: give back what it was at, and ask for another. What is given up for good."""
        self._members.remove(member)
        self._ray.kill(member.worker)
        self._in_vain += 1
        given_up = []
        for problem in (problem for problem in member.busy.values() if problem):
            self._times[problem.id] += 1
            if member.alone:
                why = f"{self._times[problem.id]} workers died of it, the last with nothing else at hand"
                given_up.append(Attempts(problem.id, [], [], failure=why))
            else:
                (self._owed if self._times[problem.id] == 1 else self._last).append(problem)
        member.busy.clear()
        said = _why(error)
        if self._in_vain > max(10, 3 * self.num_workers):
            raise EngineError(f"{self._in_vain} workers died one after the other and none did anything: {said}")
        if member.begun:
            console.print(f"a worker was lost, others take its problems: {said}", markup=False)
            self._members.append(self._worker())
            self._begin(self._members[-1], task)
        elif not self._members:
            raise EngineError(f"no worker of the Ray cluster could begin: {said}")
        else:
            console.print(f"a worker could not begin, the others go on without it: {said}", markup=False)
        return given_up


class Worker:
    """In a process of its own, wherever Ray finds room. All that the engine does, it does in one thread."""

    def __init__(self, options: recipe.Choice, model: models.Options, folder: Path) -> None:
        """`folder` is where the command was started: relative paths mean the same here, where it exists."""
        machine.isolate()
        if folder.is_dir():
            os.chdir(folder)
        self._thread = ThreadPoolExecutor(1)
        self._folder = _own_folder()
        self._base = models.fetch(model)
        if getattr(options, "data_parallel", 1) is None:
            options = options.model_copy(update={"data_parallel": 1})  # though it may see more GPUs than it takes
        self._engine = engines.Lazy(options, model, self._folder / "engine.log")
        self._desk: _Desk | None = None
        self._ended = 0

    async def begin(self, number: int, work: Work, policy: _Packed) -> None:
        """From now on, until the `end` of this number, problems are for `work` and under `policy`. The two may come in
        any order, since one waits for what it was given to arrive."""
        if number > max(self._ended, self._desk.number if self._desk else 0):
            if self._desk:
                self._desk.problems.put(None)
            self._desk = _Desk(number, asyncio.get_running_loop())
            self._thread.submit(self._work, work, policy, self._desk)

    async def solve(self, problem: Problem) -> Attempts:
        assert self._desk, "it was told to begin"
        return await self._desk.answer(problem)

    async def end(self, number: int) -> None:
        self._ended = max(self._ended, number)
        if self._desk and self._desk.number == number:
            self._desk.problems.put(None)

    async def leave(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    async def rest(self) -> str:
        return await asyncio.wrap_future(self._thread.submit(self._engine.rest))

    def _work(self, work: Work, policy: _Packed, desk: _Desk) -> None:
        try:
            self._engine.load(_unpacked(policy, self._base, self._folder))
            for one in work(desk.coming(), self._engine):
                desk.loop.call_soon_threadsafe(desk.done, one)
        except BaseException as error:
            self._engine.close()  # it may have requests at work that nobody waits for
            desk.loop.call_soon_threadsafe(desk.fail, error)


class _Desk:
    """Where problems come in, in the thread of Ray, and are taken, in that of the engine."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number, self.loop = number, loop
        self.problems: SimpleQueue[Problem | None] = SimpleQueue()
        self._answers: dict[str, asyncio.Future[Attempts]] = {}
        self._failed: BaseException | None = None

    async def answer(self, problem: Problem) -> Attempts:
        if self._failed:
            raise self._failed
        answer: asyncio.Future[Attempts] = self.loop.create_future()
        self._answers[problem.id] = answer
        self.problems.put(problem)
        return await answer

    def done(self, one: Attempts) -> None:
        self._answers.pop(one.problem_id).set_result(one)

    def fail(self, error: BaseException) -> None:
        self._failed = error
        while self._answers:
            self._answers.popitem()[1].set_exception(error)

    def coming(self) -> Iterator[Problem | None]:
        """The problems, and None where there are none just now; it waits for them where none is under way."""
        while True:
            try:
                problem = self.problems.get(block=not self._answers)
            except Empty:
                yield None
                continue
            if problem is None:
                return
            yield problem


def _why(error: BaseException) -> str:
    """The end of what Ray says, where the reason is, without the colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())[-300:]


def _own_folder() -> Path:
    """A new folder for this process; those of workers that are gone go too."""
    ours = Path(tempfile.gettempdir())
    for left in ours.glob("byheart-worker-*"):
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    folder = ours / f"byheart-worker-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


_Packed = tuple[Policy, dict[str, dict[str, bytes]]]
"""A policy, and the files of its adapter and its scorer, by role and name."""


def packed(policy: Policy) -> _Packed:
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
    found = {role: folder / policy.id / role / "adapter" for role in files}
    for role, place in found.items():
        place.mkdir(parents=True, exist_ok=True)
        for name, content in files[role].items():
            (place / name).write_bytes(content)
    return replace(policy, base=str(base), adapter=found.get("policy"), scorer=found.get("scorer"))
