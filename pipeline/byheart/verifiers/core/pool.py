"""Verifications in processes that can be killed.

A verifier that some input could make slow never runs in the main process. It runs in one of a few workers, one response
at a time. The clock starts when the work starts. A worker that takes too long is killed, one that dies is replaced; in
either case only the response it worked on is unjudged. The workers are managed by pebble and come from a fork server,
so they start at once and share nothing with the threads of an engine.
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
from pydantic import ValidationError

from byheart.contracts import ProcessVerifier
from byheart.errors import VerifierError, described
from byheart.models import limits
from byheart.types import Judgement, Problem

GIB = 2**30
FAILED = "the verifier failed"
"""How the reason of a judgement begins where a verifier does what its contract does not allow."""


class Pool:
    """Workers that call the `verify` of a ProcessVerifier. They start with the first submission, with the modules
    `preload` in memory."""

    def __init__(self) -> None:
        """No worker starts before something is to be verified."""
        self.preload: set[str] = set()
        self._pools: dict[int, ProcessPool] = {}

    def submit(self, verifier: ProcessVerifier, problem: Problem, response: str) -> Future[Judgement]:
        """Queue one verification; returns at once. `ended` turns the future into a judgement, whatever came of it.

        Raises VerifierError where no worker can be started.
        """
        try:
            work = pickle.dumps((verifier, problem, response))
        except Exception as error:  # nested too deeply, say
            unsent: Future[Judgement] = Future()
            unsent.set_exception(error)
            return unsent
        workers = verifier.workers or limits.cores()
        if workers not in self._pools:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["__main__", *sorted(self.preload)])
            self._pools[workers] = ProcessPool(workers, initializer=_begin, context=context)
        try:
            future: Future[Judgement] = self._pools[workers].schedule(_work, args=(work,), timeout=verifier.time_limit)
        except RuntimeError as error:
            raise VerifierError(
                f"the processes that verify can't be started ({error}); a script of your own that uses byheart needs "
                'its `if __name__ == "__main__":`'
            ) from None
        return future

    def close(self) -> None:
        """Kill the workers, whatever they are doing. Closing twice is harmless."""
        for pool in self._pools.values():
            pool.stop()  # type: ignore[no-untyped-call]  # pebble has no types for it
        for pool in self._pools.values():
            pool.join()
        self._pools = {}

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Kill the workers."""
        self.close()


def ended(future: Future[Judgement], verifier: ProcessVerifier) -> Judgement:
    """The judgement of a finished verification; unjudged where it was killed, died or failed."""
    try:
        return future.result()
    except TimeoutError:
        return Judgement(
            None, None, f"the verification took more than {verifier.time_limit:g} s; its time_limit sets more"
        )
    except ProcessExpired as died:
        return Judgement(None, None, f"the process of the verification died (exit code {died.exitcode})")
    except Exception as error:
        return failed(error)


def failed(error: Exception) -> Judgement:
    """The judgement where a verifier raised `error`."""
    text = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        text = ": ".join([*filter(None, [".".join(map(str, first["loc"]))]), first["msg"]])
    return Judgement(None, None, f"{FAILED}: {type(error).__name__}: {text[:200]}")


def checked(judgement: object) -> Judgement:
    """What `verify` returned; unjudged, with the flaw as the reason, where that is no sound judgement."""
    if not isinstance(judgement, Judgement):
        return Judgement(None, None, f"{FAILED}: verify returned {described(judgement)}, not a Judgement")
    wrong = flaw(judgement)
    return Judgement(None, None, f"{FAILED}: verify returned {wrong}") if wrong else judgement


def flaw(judgement: Judgement) -> str | None:
    """What is wrong with the values in `judgement`; None where nothing is."""
    score, answer, reason, _ = judgement
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float) or score not in (0, 1)):
        return f"the score {repr(score)[:40]}; a score is 1.0, 0.0, or None for unjudged"
    if not isinstance(answer, str | None):
        return f"{described(answer)} as the answer; an answer is text, or None"
    if not isinstance(reason, str | None):
        return f"{described(reason)} as the reason; a reason is text"
    return None


def _begin() -> None:
    """Set up a worker: it uses the default SIGTERM action, so that C code cannot delay it, exits when its parent dies,
    and prints to standard error, so that a library's output is not taken for a result."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()  # the main process, not the fork server
    assert parent
    parent.join()
    os._exit(1)


def _work(packed: bytes) -> Judgement:
    """Verify one response in a worker. An error becomes a judgement, since not every exception can be pickled."""
    verifier, problem, response = pickle.loads(packed)
    _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + verifier.memory * GIB)
    _limit(resource.RLIMIT_CPU, time.process_time() + 2 * verifier.time_limit + 2)  # in case nothing is left to kill it
    try:
        return checked(verifier.verify(problem, response))
    except MemoryError:
        return Judgement(
            None, None, f"the verification took more than {verifier.memory:g} GiB; its option memory sets more"
        )
    except Exception as error:
        return failed(error)


def _limit(kind: int, soft: float) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = int(soft) if hard == resource.RLIM_INFINITY else min(int(soft), hard)
    resource.setrlimit(kind, (limit, hard))
