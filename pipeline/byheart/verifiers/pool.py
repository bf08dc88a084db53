"""Verifications in processes that can be killed.

A verifier that some input could make slow never runs in our own process. It runs in one of a few workers, each for one
response at a time. The clock starts when the work starts. A worker that takes too long is killed, one that dies is
replaced, and either costs the one verdict it was at: unjudged. What keeps the workers is pebble; they come from a fork
server, so they start at once and share nothing with the threads of an engine.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time
from concurrent.futures import Future, TimeoutError
from types import TracebackType
from typing import Self

import psutil
from pebble import ProcessExpired, ProcessPool
from pydantic import Field

from byheart import recipe, registry
from byheart.errors import VerifierError
from byheart.types import Judgement, Problem

GIB = 2**30


class Options(recipe.Choice):
    """Base of the options of every verifier that runs here: seconds of work and GiB of memory for one response, and how
    many workers (default: one for each core)."""

    time_limit: float = Field(default=10.0, gt=0)
    memory: float = Field(default=2.0, gt=0)
    workers: int | None = Field(default=None, ge=1)


class Pool:
    """Workers for functions (problem, response, options) -> Judgement, named by their place, "module:name".

    They start when the first is needed, with the modules `preload` in memory.
    """

    def __init__(self) -> None:
        self.preload: set[str] = set()
        self._pools: dict[int, ProcessPool] = {}

    def submit(self, place: str, problem: Problem, response: str, options: Options) -> Future[Judgement]:
        """Queue one verification; returns at once. `ended` makes of the future what came of it, whatever that was.

        Raises VerifierError where no worker can be started.
        """
        try:
            work = pickle.dumps((place, problem, response, options))
        except Exception as error:  # nested too deeply, say
            unsent: Future[Judgement] = Future()
            unsent.set_exception(error)
            return unsent
        workers = options.workers or len(os.sched_getaffinity(0))
        if workers not in self._pools:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["__main__", *sorted(self.preload)])
            self._pools[workers] = ProcessPool(workers, initializer=_begin, context=context)
        try:
            future: Future[Judgement] = self._pools[workers].schedule(_work, args=(work,), timeout=options.time_limit)
        except RuntimeError as error:
            raise VerifierError(
                f"the processes that verify can't be started ({error}); a script of your own that uses byheart needs "
                'its `if __name__ == "__main__":`'
            ) from None
        return future

    def close(self) -> None:
        """Kill the workers, whatever they are at. Closing twice is harmless."""
        for one in self._pools.values():
            one.stop()  # type: ignore[no-untyped-call]
        for one in self._pools.values():
            one.join()
        self._pools = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def ended(future: Future[Judgement], options: Options) -> Judgement:
    """What a verification came to; unjudged where it was killed, died or failed."""
    try:
        return future.result()
    except TimeoutError:
        return Judgement(None, None, f"the verification took more than {options.time_limit:g} s")
    except ProcessExpired as died:
        return Judgement(None, None, f"the process of the verification died (exit code {died.exitcode})")
    except Exception as error:
        return failed(error)


def failed(error: Exception) -> Judgement:
    """The judgement where a verifier raised `error`."""
    return Judgement(None, None, f"the verifier failed: {type(error).__name__}: {str(error)[:200]}")


def _begin() -> None:
    """A worker ends at the first signal, though it be at something in C that no handler in Python interrupts, and with
    us, however we end; and what a library prints is not taken for a result."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()  # us, and not the fork server
    assert parent
    parent.join()
    os._exit(1)


def _work(packed: bytes) -> Judgement:
    """What a worker does for one response. An error is told, not sent: not every one can be."""
    place, problem, response, options = pickle.loads(packed)
    _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + options.memory * GIB)
    _limit(resource.RLIMIT_CPU, time.process_time() + 2 * options.time_limit + 2)  # where nobody is left to kill it
    try:
        judgement: Judgement = registry.load(place)(problem, response, options)
    except MemoryError:
        return Judgement(None, None, f"the verification took more than {options.memory:g} GiB")
    except Exception as error:
        return failed(error)
    return judgement


def _limit(kind: int, soft: float) -> None:
    hard = resource.getrlimit(kind)[1]
    most = int(soft) if hard == resource.RLIM_INFINITY else min(int(soft), hard)
    resource.setrlimit(kind, (most, hard))
