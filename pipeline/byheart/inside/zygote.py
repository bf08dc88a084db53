"""The first process of the container. It stays warm, and forks a confined process for whatever is to be run."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib
import json
import math
import os
import resource
import signal
import site
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from byheart.inside.checker import run_checker
from byheart.inside.solution import run_program, run_solution

WARM = """abc array base64 bisect cmath contextlib copy dataclasses enum functools hashlib heapq io operator random re
statistics string textwrap typing"""
"""Imported before the first fork, beside what this package needs, so that a solution has them for nothing."""

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38


def main() -> None:
    """The control socket is file 0. The settings come first; then a message a check, with its files."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(_PR_SET_DUMPABLE, 0)  # no other process may look into this one or its forks
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    control = socket.socket(fileno=0)
    settings = json.loads(control.recv(2**16))
    sys.path += settings["packages"]
    site.setquit()
    for name in WARM.split():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    zygote = Zygote(control, settings)
    control.send(b"ready")
    zygote.serve()
    os._exit(0)


class Zygote:
    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control, self._settings = control, settings
        self._scratch = Path.cwd()
        self._untouched = self._looks()
        self._children: list[int] = []

    def serve(self) -> None:
        """Answers requests until the other side is gone, or a solution has touched the directory for scratch files: the
        container is then replaced, which is surer than any cleaning up."""
        untouched = True
        while untouched:
            message, fds, _, _ = socket.recv_fds(self._control, 1024, 8)
            if not message:
                return
            kind, seconds = json.loads(message)
            status = (self._program if kind == "program" else self._asserts)(fds, seconds)
            self._end_all()
            for fd in fds:
                os.close(fd)
            untouched = self._looks() == self._untouched
            self._control.send(json.dumps([status, untouched]).encode())

    def _program(self, fds: list[int], seconds: float) -> int | None:
        return self._wait(self._fork(run_program, fds, seconds), seconds)

    def _asserts(self, fds: list[int], seconds: float) -> int | None:
        code, tests, results = fds
        theirs, ours = socket.socketpair()
        with theirs, ours:
            with Path(os.devnull).open("r+b", buffering=0) as nothing:  # a file of its own each, or its flags pass on
                self._fork(run_solution, [*[nothing.fileno()] * 3, code, theirs.fileno()], seconds)
            with Path(os.devnull).open("r+b", buffering=0) as nothing:
                standard = [nothing.fileno()] * 3
                checker = self._fork(run_checker, [*standard, tests, results, ours.fileno()], seconds)
        return self._wait(checker, seconds)

    def _fork(self, work: Callable[[], object], fds: list[int], seconds: float) -> int:
        """A process that is confined, does `work` and ends; `fds` are its files 0, 1, 2... and it has no others."""
        pid = os.fork()
        if pid:
            self._children.append(pid)
            return pid
        try:
            for number, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD, 32) for fd in fds]):
                os.dup2(fd, number)
            os.closerange(len(fds), 128)
            confine(self._settings, seconds)
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)

    def _wait(self, pid: int, seconds: float) -> int | None:
        """How the process ended, as os.wait says it; None where it had not after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._children.remove(pid)
                return status
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            signal.sigtimedwait({signal.SIGCHLD}, left)

    def _end_all(self) -> None:
        """Nothing that was started is left. The filter lets a solution start no process; as the first process of a
        container, where all others are a solution's, this one need not rely on that."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children.clear()
        while os.getpid() == 1:
            try:
                os.kill(-1, signal.SIGKILL)
                os.waitpid(-1, 0)
            except (ProcessLookupError, ChildProcessError):
                return

    def _looks(self) -> tuple[object, ...]:
        """Another value after any change in the directory for scratch files, even one that was undone."""
        try:
            about = self._scratch.stat()
            names = sorted(path.name for path in self._scratch.iterdir())
        except OSError as error:
            return (str(error),)
        return about.st_mode, about.st_mtime_ns, about.st_ctime_ns, names


def confine(settings: dict[str, Any], seconds: float) -> None:
    """Limits, no capabilities, and the filter of system calls, for this process and for good."""
    limits = {
        "AS": settings["memory"],
        "CPU": math.ceil(seconds) + 1,
        "FSIZE": settings["output"],
        "NPROC": settings["threads"],
        "NOFILE": 64,
        "STACK": 64 * 2**20,
        "CORE": 0,
        "MEMLOCK": 0,
    }
    for name, limit in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        highest = resource.getrlimit(kind)[1]
        if limit is not None:
            limit = limit if highest == resource.RLIM_INFINITY else min(limit, highest)
            resource.setrlimit(kind, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    version, this_process, nothing = 0x20080522, 0, (ctypes.c_uint32 * 6)()
    if _libc.capset((ctypes.c_uint32 * 2)(version, this_process), nothing):
        raise OSError(ctypes.get_errno(), "capset")
    load_filter(bytes.fromhex(settings["filter"]))


def load_filter(program: bytes) -> None:
    class Program(ctypes.Structure):  # struct sock_fprog
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    prctl(_PR_SET_SECCOMP, 2, ctypes.byref(Program(len(program) // 8, program)))


def prctl(option: int, *values: Any) -> None:
    words = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in values]
    if _libc.prctl(option, *words, *[ctypes.c_ulong(0)] * (4 - len(words))):
        raise OSError(ctypes.get_errno(), "prctl")
