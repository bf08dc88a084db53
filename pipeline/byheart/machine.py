"""What this machine has to compute with, and what the processes started on it may import."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache


def isolate() -> None:
    """Keep the working directory off the import path of all Python processes that this one starts from now on.

    `python -m` and `python -c` put it first, so that a user's `json.py` would be imported instead of the standard
    library's. It is set in the environment because libraries (multiprocessing, vLLM, Ray) start processes as well.
    """
    os.environ["PYTHONSAFEPATH"] = "1"


@dataclass(frozen=True)
class Gpu:
    """One GPU as nvidia-smi lists it; `memory` in bytes."""

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
    found = {index: Gpu(name, int(mib) * 2**20) for index, _, name, mib in rows if mib.isdigit()}  # not "[N/A]"
    if "CUDA_VISIBLE_DEVICES" not in os.environ:
        return list(found.values())
    visible = [one.strip() for one in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if one.strip() not in ("", "-1")]
    indices = {uuid: index for index, uuid, *_ in rows}
    named = (next((n for uuid, n in indices.items() if uuid.startswith(one)), one) for one in visible)
    return [found[index] for index in named if index in found]
