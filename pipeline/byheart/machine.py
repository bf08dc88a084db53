"""What this machine has to compute with."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache


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
