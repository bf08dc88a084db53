"""The sandbox in which code that a model wrote runs, and nowhere else.

A `Sandbox` is a container made by bubblewrap with a warm interpreter in it, which forks a process for every check
(inside/). It belongs to one process and is used by one thread. It starts with the first check, is restarted
after it died, and is destroyed with its owner, even on SIGKILL.

    with Sandbox() as box:
        box.run_program("print(int(input()) + 1)", "41")                  # Ran(stdout="42\\n", ended="exited", ...)
        box.run_asserts("def f(x): return x + 1", ["assert f(1) == 2"])   # [Outcome(passed=True, ...)]

What it stops. The container has its own namespaces of users, processes, network, mounts, IPC and host name: no network,
no view of other processes, and of the file system only Python and the system's libraries, read-only, a /tmp of bounded
size and four harmless devices. There is no /proc, no environment, no capability. After a solution touched /tmp, even if
it deleted what it wrote, the container is replaced, so nothing passes from one solution to the next. A filter of system
calls (libseccomp) forbids new processes and programs, sockets, signals, access to other processes, and parts of the
kernel that no solution needs. Wall and CPU time, memory, threads, file size and output are limited. Nothing that a
solution is compared with is within its reach: the expected output stays outside, and assert statements run in a
separate process, where the solution's functions are stand-ins that return plain data. A solution may override `__eq__`,
patch builtins, print anything, exit early or search all its memory: all it can do is answer.

What it does not stop. A defect of the kernel, the processor or bubblewrap; what the time of an answer reveals; reading
what is installed beside Python, such as a package with test data. Guessing: a solution that returns the right values
for the inputs of its tests passes. A test that trusts the solution: `assert valid(x)`, or one that calls a method,
class or helper of the solution; only a comparison of values proves more. Wasting its resources: a core until its time
is up, its memory, and some of the kernel's memory for threads, pipes and empty files. For root, and before Linux 5.14,
the number of threads is bounded by memory alone.

`isolation="rlimits"`, used only if asked for by this name, is for machines on which bubblewrap can't run: the same
without the container. The filter, the limits and the checker remain, so there are still no new processes, programs,
sockets or signals. But a solution may read and write whatever its user may, the tests included: on disk or, for users
other than root, in the memory of the process that checks.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

from byheart.errors import SandboxError
from byheart.verifiers.sandbox.inside import zygote

Isolation = Literal["bubblewrap", "rlimits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` of wall time for a program, for loading a solution and for each assert statement; bytes of `memory` of
    a process, of one `output` or file, and of `scratch`, /tmp."""

    seconds: float = 5.0
    memory: int = 2**29
    output: int = 2**23
    scratch: int = 2**26


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of a program. `ended`: it exited, exceeded a limit, or was killed by another signal; "lost" means that
    its container failed, which says nothing about the program. `stderr` is the last 4 KiB."""

    stdout: str
    stderr: str
    exit_code: int | None
    ended: Literal["exited", "timeout", "memory", "output", "killed", "lost"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one test. `passed` is None if it could not be determined.

    `ended`: "not loaded" is a solution that fails before any test, "malformed" a test that is not Python, "not run" a
    test after one that exceeded its time, "lost" a test whose container failed.
    """

    passed: bool | None
    reason: str = ""
    ended: Literal["judged", "not loaded", "timeout", "not run", "malformed", "lost"] = "judged"


class Sandbox:
    """A container for model-written code. Its first check raises SandboxError where the isolation is not available."""

    def __init__(self, limits: Limits | None = None, isolation: Isolation = "bubblewrap") -> None:
        """Nothing starts before something is to be run."""
        self.limits, self.isolation = limits or Limits(), isolation
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._scratch: str | None = None

    def __enter__(self) -> Sandbox:
        """The sandbox itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sandbox."""
        self.close()

    def run_program(self, code: str, stdin: str = "") -> Ran:
        """Run `code` as a program with this standard input."""
        with _file(code) as source, _file(stdin) as given, _file() as stdout, _file() as stderr:
            try:
                status = self._check("program", self.limits.seconds, [given, stdout, stderr, source])
            except _LostError:
                return Ran("", "", None, "lost")
            output, errors = _text(stdout), _text(stderr)[-4096:]
        if status is None or os.WIFSIGNALED(status):
            return Ran(
                output, errors, None, "timeout" if status is None else _KILLED.get(os.WTERMSIG(status), "killed")
            )
        exit_code = os.WEXITSTATUS(status)
        out_of_memory = exit_code and errors.rstrip().rpartition("\n")[2].startswith("MemoryError")
        return Ran(output, errors, exit_code, "memory" if out_of_memory else "exited")

    def run_asserts(self, code: str, tests: Sequence[str], entry_point: str | None = None) -> list[Outcome]:
        """The result of each of `tests`, which are statements in one namespace with what `code` defines. A name of a
        built-in means the solution's only if it is the `entry_point`."""
        job = json.dumps({"tests": list(tests), "entry_point": entry_point, "seconds": self.limits.seconds})
        seconds = self.limits.seconds * (len(tests) + 1) + 1
        with _file(code) as source, _file(job) as given, _file() as results:
            try:
                status = self._check("asserts", seconds, [source, given, results])
            except _LostError:
                return [Outcome(None, "the sandbox failed", "lost")] * len(tests)
            try:
                first, *rest = [json.loads(line) for line in _text(results).splitlines()] or [[None, ""]]
            except ValueError:
                return [Outcome(None, "the results were tampered with", "lost")] * len(tests)
        if first[1]:
            return [Outcome(first[0], first[1], "malformed" if first[0] is None else "not loaded")] * len(tests)
        outcomes = [Outcome(passed, reason) for passed, reason in rest]
        left = len(tests) - len(outcomes)
        if left and (status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _TIMES)):
            where = "" if first[0] else "loading the solution"
            return [*outcomes, Outcome(False, where, "timeout"), *[Outcome(None, "", "not run")] * (left - 1)]
        return outcomes + [Outcome(None, "the checker ended before it was done", "lost")] * left

    def close(self) -> None:
        """End the container. Closing twice is harmless, and a further check starts another."""
        if self._control:
            self._control.close()
        if self._process:
            try:
                self._process.wait(timeout=1)  # it ends when the control socket is closed
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._scratch:
            path = {"PATH": os.defpath}
            subprocess.run(["chmod", "-R", "u+rwX", self._scratch], env=path, check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["rm", "-rf", self._scratch], env=path, check=False)
        self._control = self._process = self._scratch = None

    def _check(self, kind: str, seconds: float, files: Sequence[BinaryIO]) -> int | None:
        """The status, as from os.wait, of the process that decides; None if it exceeded its time."""
        message, fds = json.dumps([kind, seconds]).encode(), [file.fileno() for file in files]
        try:
            control = self._control or self._start()
            socket.send_fds(control, [message], fds)
        except OSError:  # it died since the last check
            self.close()
            control = self._start()
            socket.send_fds(control, [message], fds)
        control.settimeout(seconds + 5)
        try:
            answer = control.recv(1024)
        except OSError:
            answer = b""
        if not answer:
            self.close()
            raise _LostError
        status, untouched = json.loads(answer)
        if not untouched:
            self.close()
        return status if status is None else int(status)

    def _start(self) -> socket.socket:
        _require(self.isolation)
        settings = {
            "packages": sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}),
            "memory": self.limits.memory,
            "output": self.limits.output,
            "threads": 64 if self.isolation == "bubblewrap" and _linux() >= (5, 14) else None,
            "filter": syscall_filter().hex(),
        }
        if self.isolation == "bubblewrap":
            container, home = _bubblewrap(self.limits), _MOUNTED
        else:
            container, home = [], Path(zygote.__file__).parent.parent
            self._scratch = tempfile.mkdtemp(prefix="byheart-")
        scratch = self._scratch or _scratch_folder()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as errors:
            with theirs:
                self._process = subprocess.Popen(
                    [*container, os.path.realpath(sys.executable), *_OPTIONS, "-c", _MAIN.format(home)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    cwd=self._scratch or "/",
                    env=_ENVIRONMENT | {"HOME": scratch, "TMPDIR": scratch},
                    start_new_session=True,
                )
            self._control.settimeout(30)
            with contextlib.suppress(OSError):
                self._control.send(json.dumps(settings).encode())
                if self._control.recv(16) == b"ready":
                    return self._control
            self.close()
            errors.seek(0)
            why = errors.read().decode(errors="replace").strip()[-500:] or "no message"
        raise SandboxError(f"the sandbox for model-written code does not start: {why}\n{_HINT}")


class _LostError(Exception):
    """The container failed during a check."""


_TIMES = (signal.SIGALRM, signal.SIGXCPU)
_KILLED: dict[int, Literal["timeout", "output"]] = {signal.SIGXCPU: "timeout", signal.SIGXFSZ: "output"}
_HINT = (
    "It needs bubblewrap 0.7 or newer and a kernel that lets users create namespaces: in Docker's containers with "
    "--security-opt seccomp=unconfined, on Ubuntu 24 with an AppArmor profile for bwrap. isolation: rlimits is weaker, "
    "and works without."
)
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # the same verdict every time
    "MALLOC_ARENA_MAX": "1",  # else every thread reserves address space, which is limited
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_MOUNTED = Path("/byheart")
_OPTIONS = ["-s", "-S", "-P", "-B", "-X", "utf8"]  # as little of the environment as possible
_MAIN = """import sys, types
sys.modules["byheart"] = types.ModuleType("byheart")  # a package that contains only what runs inside
sys.modules["byheart"].__path__ = ["{}"]
from byheart.inside import zygote
zygote.main()"""


@cache
def check(isolation: Isolation) -> None:
    """Start a sandbox once. Raises SandboxError, with advice, where that does not work."""
    with Sandbox(isolation=isolation) as box:
        box._start()


def _require(isolation: Isolation) -> None:
    if sys.platform != "linux":
        raise SandboxError("model-written code runs on Linux only: the sandbox needs its kernel")
    if isolation == "bubblewrap" and shutil.which("bwrap") is None:
        raise SandboxError(
            "model-written code runs in a sandbox, and bubblewrap, which makes it, is not installed: apt-get install "
            "bubblewrap, or dnf install bubblewrap. isolation: rlimits is weaker, and works without."
        )


def _pythons() -> list[str]:
    """The folders of Python and its packages, which have the same names in the container."""
    return sorted({sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)})


def _scratch_folder() -> str:
    """The folder in which a solution may write: /tmp, unless Python is installed there, which would appear among its
    files."""
    return "/scratch" if any(Path(prefix).is_relative_to("/tmp") for prefix in _pythons()) else "/tmp"


def _bubblewrap(limits: Limits) -> list[str]:
    """The command line of bwrap, up to the command to run."""
    mounts = ["--size", str(limits.scratch), "--tmpfs", _scratch_folder()]
    for name in ("/usr", "/lib", "/lib32", "/lib64", "/libx32"):
        if (path := Path(name)).is_symlink():
            mounts += ["--symlink", str(path.readlink()), name]
        elif path.exists():
            mounts += ["--ro-bind", name, name]
    for prefix in _pythons():
        if not Path(prefix).is_relative_to("/usr"):
            mounts += ["--ro-bind", prefix, prefix]
    mounts += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    mounts += ["--ro-bind", str(Path(zygote.__file__).parent), str(_MOUNTED / "inside")]
    for device in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
        mounts += ["--dev-bind", device, device]
    return [
        *[
            shutil.which("bwrap") or "bwrap",
            "--unshare-all",
            "--unshare-user",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--hostname",
            "sandbox",
        ],
        *["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"],
        *mounts,
        *["--remount-ro", "/", "--chdir", _scratch_folder(), "--"],
    ]


_FORBIDDEN = """
    fork vfork execve execveat kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo setpgid
    pidfd_open pidfd_getfd pidfd_send_signal ptrace process_vm_readv process_vm_writev process_madvise process_mrelease
    kcmp socket connect bind listen accept accept4
    shmget shmat shmdt shmctl msgget msgsnd msgrcv msgctl semget semop semtimedop semctl
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr memfd_create memfd_secret
    setpriority ioprio_set sched_setparam sched_setscheduler sched_setattr sched_setaffinity
    mbind set_mempolicy set_mempolicy_home_node migrate_pages move_pages
    add_key request_key keyctl bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register io_setup
    mount umount2 move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr pivot_root chroot unshare setns
    name_to_handle_at open_by_handle_at fanotify_init quotactl quotactl_fd acct swapon swapoff syslog lookup_dcookie
    init_module finit_module delete_module kexec_load kexec_file_load reboot
    chmod fchmod fchmodat fchmodat2 chown lchown fchown fchownat utime utimes futimesat utimensat file_setattr
    setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat
    sync syncfs statmount listmount inotify_init inotify_init1 inotify_add_watch
    sethostname setdomainname settimeofday clock_settime clock_adjtime adjtimex iopl ioperm modify_ldt vhangup uselib
"""


@cache
def syscall_filter() -> bytes:
    """The BPF program that refuses, with EPERM, system calls that no solution needs. All others are allowed."""
    try:
        import pyseccomp as seccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise SandboxError(
            f"model-written code runs behind a filter of system calls, and libseccomp can't be used: {error}. "
            "pip install pyseccomp, and apt-get install libseccomp2, or dnf install libseccomp."
        ) from None
    refuse = seccomp.ERRNO(1)  # EPERM
    filter_ = seccomp.SyscallFilter(seccomp.ALLOW)

    def low(argument: int, value: int, mask: int = 0xFFFFFFFF) -> seccomp.Arg:
        """The kernel reads 32 bits of these arguments, so only those are compared."""
        return seccomp.Arg(argument, seccomp.MASKED_EQ, mask, value)

    for name in _FORBIDDEN.split():
        if (number := seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)) != -1:  # known to libseccomp
            filter_.add_rule(refuse, number)
    filter_.add_rule(seccomp.ERRNO(38), "clone3")  # ENOSYS: the C library then uses clone for threads
    filter_.add_rule(refuse, "clone", low(0, 0, 0x10000))  # without CLONE_THREAD: a process
    filter_.add_rule(refuse, "prlimit64", seccomp.Arg(0, seccomp.NE, 0))  # of another process
    filter_.add_rule(refuse, "prctl", low(0, 1))  # PR_SET_PDEATHSIG, by which it ends with its parent
    for command in (8, 10, 15, 1024):  # F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE: signals through a file
        filter_.add_rule(refuse, "fcntl", low(1, command))
    for command in (0x8901, 0x8902, 0x5412):  # FIOSETOWN, SIOCSPGRP, TIOCSTI
        filter_.add_rule(refuse, "ioctl", low(1, command))
    filter_.add_rule(refuse, "socketpair", seccomp.Arg(0, seccomp.NE, socket.AF_UNIX))
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):  # datagrams can go to other addresses
        filter_.add_rule(refuse, "socketpair", low(1, kind, 0xF))
    with tempfile.TemporaryFile() as file:
        filter_.export_bpf(file)
        file.seek(0)
        return file.read()


def _linux() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


@contextlib.contextmanager
def _file(content: str = "") -> Iterator[BinaryIO]:
    """An anonymous file in memory."""
    with os.fdopen(os.memfd_create("byheart"), "w+b") as file:
        file.write(content.encode(errors="replace"))
        file.seek(0)
        yield file


def _text(file: BinaryIO) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
