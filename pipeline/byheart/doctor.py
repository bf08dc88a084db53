"""`byheart doctor`: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from byheart import machine, models, sandbox
from byheart.errors import ModelError, SandboxError

GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing looked for. `mend` is the command that gets it, empty where nothing is missing; `needed` says whether
    the default recipe needs it."""

    what: str
    found: str
    mend: str = ""
    needed: bool = True


def examine() -> list[Finding]:
    """Everything looked for, in the order in which a run would need it."""
    machine: list[Callable[[], Finding]] = [_python, _cores, _memory, _disk, _gpu]
    return [check() for check in [*machine, *map(_package, _PACKAGES), _model, _sandbox]]


_PACKAGES = ("vllm", "torch", "transformers", "peft", "trl", "accelerate", "datasets")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "python", found, "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer, then: make setup"
    )


def _cores() -> Finding:
    return Finding("cores", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} may be used")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    return Finding(
        "memory", found, "" if memory.available > 6 * GIB else "the default recipe takes up to 6 GiB: close something"
    )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding(
        "disk",
        f"{free / GIB:.0f} GiB free here",
        "" if free > 5 * GIB else "a run and its models want 5 GiB: make room",
    )


def _gpu() -> Finding:
    if found := machine.gpus():
        return Finding("gpu", "; ".join(f"{one.name}, {one.memory / GIB:.0f} GiB" for one in found))
    return Finding(
        "gpu", "none; the CPU serves, with small models", "a machine with an NVIDIA GPU, then: make clean setup", False
    )


def _package(name: str) -> Callable[[], Finding]:
    def check() -> Finding:
        for distribution in (f"{name}-cpu", name):
            try:
                return Finding(name, f"{distribution} {version(distribution)}")
            except PackageNotFoundError:
                continue
        if find_spec(name):
            return Finding(name, "present, not from a package")
        return Finding(name, "missing", "make setup" + ("; or engine.name=transformers" if name == "vllm" else ""))

    return check


def _model() -> Finding:
    name = "smollm2-135m"
    try:
        path = models.find(models.Options(name=name))
    except ModelError as error:
        return Finding("model", str(error), "make setup")
    return Finding("model", f"{name} in {path}") if path else Finding("model", f"{name} not made yet", "make setup")


def _sandbox() -> Finding:
    try:
        sandbox.check("bubblewrap")
    except SandboxError as error:
        return Finding("sandbox", "does not start, so code that models write can't run", str(error), False)
    return Finding("sandbox", "bubblewrap starts; code that models write can run")
