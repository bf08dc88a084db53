"""The first process of the container. It stays warm, and forks a confined process for everything that is run."""

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

from .checker import run_checker
from .solution import run_program, run_solution

WARM = """abc array base64 bisect cmath contextlib copy dataclasses enum functools hashlib heapq io operator random re
statistics string textwrap typing"""
"""Imported before the first fork, besides what this package needs, so that solutions import them in no time."""

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38


def main() -> None:
    """Serve the control socket, file 0. The settings come first; then a message for each check, with its files."""
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
    """Forks processes for the checks that come from `control`."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        """`control` leads to the host; `settings` are its limits."""
        self._control, self._settings = control, settings
        self._scratch = Path.cwd()
        self._untouched = self._snapshot()
        self._children: list[int] = []

    def serve(self) -> None:
        """Serve requests until the other side is gone, or a solution has touched the scratch directory: the container
        is then replaced, which is safer than cleaning up."""
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
            untouched = self._snapshot() == self._untouched
            self._control.send(json.dumps([status, untouched]).encode())

    def _program(self, fds: list[int], seconds: float) -> int | None:
        return self._wait(self._fork(run_program, fds, seconds), seconds)

    def _asserts(self, fds: list[int], seconds: float) -> int | None:
        code, tests, results = fds
        theirs, ours = socket.socketpair()
        with theirs, ours:
            with Path(os.devnull).open(
                "r+b", buffering=0
            ) as nothing:  # one file for each, as forks would share its flags
                self._fork(run_solution, [*[nothing.fileno()] * 3, code, theirs.fileno()], seconds)
            with Path(os.devnull).open("r+b", buffering=0) as nothing:
                standard = [nothing.fileno()] * 3
                checker = self._fork(run_checker, [*standard, tests, results, ours.fileno()], seconds)
        return self._wait(checker, seconds)

    def _fork(self, work: Callable[[], object], fds: list[int], seconds: float) -> int:
        """Fork a confined process that does `work` and ends. `fds` are its files 0, 1, 2, ...; it has no others."""
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
        """The status of the process, as from os.wait; None if it has not ended after `seconds`."""
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
        """Kill everything that was started. The filter keeps a solution from starting processes; as the first process
        of a container, in which all others belong to a solution, this one does not rely on it."""
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

    def _snapshot(self) -> tuple[object, ...]:
        """A value that differs after any change in the scratch directory, even one that was undone."""
        try:
            status = self._scratch.stat()
            names = sorted(path.name for path in self._scratch.iterdir())
        except OSError as error:
            return (str(error),)
        return status.st_mode, status.st_mtime_ns, status.st_ctime_ns, names


def confine(settings: dict[str, Any], seconds: float) -> None:
    """Set limits, drop capabilities and load the filter of system calls, for this process and for good."""
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
    """Load a BPF program as this process's filter of system calls."""

    class Program(ctypes.Structure):  # struct sock_fprog
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    prctl(_PR_SET_SECCOMP, 2, ctypes.byref(Program(len(program) // 8, program)))


def prctl(option: int, *values: Any) -> None:
    """The system call of this name. Raises OSError where it fails."""
    arguments = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in values]
    if _libc.prctl(option, *arguments, *[ctypes.c_ulong(0)] * (4 - len(arguments))):
        raise OSError(ctypes.get_errno(), "prctl")
