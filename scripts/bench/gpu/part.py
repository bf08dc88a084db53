"""One part of the comparison: here, or in a process of its own.

usage: python -m scripts.bench.gpu.part PART FOLDER SHAPE [KEY=VALUE ...]      leaves FOLDER/PART.json
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from byheart.models import machine

from scripts.bench.gpu import sampling, training, workload
from scripts.bench.gpu.workload import Workload

PARTS = {
    "make": workload.make,
    "sampling.vllm": sampling.plain,
    "sampling.byheart": sampling.ours,
    "training.trl": training.trl,
    "training.byheart": training.ours,
    "training.bare": training.bare,
}


def run(name: str, work: Workload) -> dict[str, Any]:
    """The figures of one part. On a GPU it has a process of its own, whose end gives the memory back: one that Python's
    multiprocessing starts would wait at its end for vLLM's own process, which is told to stop only after that. Raises
    subprocess.CalledProcessError where that process fails, which says why itself."""
    print(f"{time.strftime('%H:%M:%S')}  {name}", flush=True)
    if not machine.gpus():
        return PARTS[name](work)
    command = [sys.executable, "-m", "scripts.bench.gpu.part", name, str(work.folder), work.shape, *work.overrides]
    subprocess.run(command, check=True)
    figures: dict[str, Any] = json.loads((work.folder / f"{name}.json").read_text())
    return figures


if __name__ == "__main__":
    name, folder, shape, *overrides = sys.argv[1:]
    work = Workload(shape, Path(folder), overrides)
    (work.folder / f"{name}.json").write_text(json.dumps(PARTS[name](work)))
