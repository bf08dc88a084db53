"""How a round's own work grows with its problems, everything but the model: real runs of 1,000 to 8,000 problems with
the scripted engine, which answers at once, a process for each stage. A line is fitted to the seconds and the peak
memory of each stage and to the disk that the run took, and drawn out to ten million problems. Ends with 1 if `curate`
takes over a tenth more memory for the most problems than for the fewest.

usage: make bench, of which it is the last
       scripts/bench/scaling.py [PROBLEMS]...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import yaml
from rich.console import Console
from rich.table import Table

SIZES = (1000, 2000, 4000, 8000)
STAGES = ("load", "baseline", "sample", "verify", "curate")
SAMPLES = 4
FAR = 10_000_000
MAX_GROWTH = 1.1
ROOT = Path(__file__).parent.parent.parent


def recipe(problems: int) -> dict[str, object]:
    return {
        "name": "scaling",
        "model": {"name": "smollm2-135m"},
        "task": {
            "name": "file",
            "path": "problems.jsonl",
            "verifier": "number",
            "num_train": problems,
            "num_dev": 20,
            "num_held_out": 20,
        },
        "engine": {"name": "scripted", "script": "script.json"},
        "strategy": {"name": "direct", "samples": SAMPLES, "enough": SAMPLES, "max_samples": SAMPLES},
        "objective": {"name": "none"},
        "evaluation": {"num_slow": 0, "num_train": 0},
    }


def prepare(folder: Path, problems: int) -> None:
    """Write problems, the engine's answers and the recipe."""
    asked = [(f"What is {a} + 7?", a + 7) for a in range(problems + 40)]
    rows = [json.dumps({"prompt": prompt, "answer": str(answer)}) for prompt, answer in asked]
    (folder / "problems.jsonl").write_text("\n".join(rows))
    steps = "First the ones, then the tens, then the hundreds. " * 6  # a solution of about 60 tokens
    answers = {prompt: [f"{steps}Way {n}: it is {answer}" for n in range(5)] for prompt, answer in asked}
    (folder / "script.json").write_text(json.dumps(answers))
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe(problems)))


def memory(folder: Path, stage: str) -> float:
    """Do one stage in a process of its own: MiB that it took at most."""
    child = subprocess.Popen(
        [sys.executable, "-m", "byheart.cli", stage, "r.yaml"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=(folder / "stderr").open("w"),
    )
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, (folder / "stderr").read_text()
    return used.ru_maxrss / 1024


def measured(problems: int) -> dict[str, float]:
    """Seconds and MiB of memory of each stage of one round, and MiB of disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, problems)
        peaks = {f"{stage}, MiB": memory(folder, stage) for stage in STAGES}
        records = json.loads((folder / "runs/scaling/round-001/stages.json").read_text())
        seconds = {name: records[name]["seconds"] - records[name]["engine_start_seconds"] for name in STAGES}
        files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
        return seconds | peaks | {"disk, MiB": sum(path.stat().st_size for path in files) / 2**20}


def main(sizes: list[int]) -> int:
    figures = {size: measured(size) for size in sizes}
    table = Table(title=f"{SAMPLES} samples a problem")
    for heading in ("", *(f"{size:,}" for size in sizes), "fitted: for each problem", "at ten million"):
        table.add_column(heading, justify="right")
    for name in figures[sizes[0]]:
        values = [figures[size][name] for size in sizes]
        slope, start = numpy.polyfit(sizes, values, 1)
        if "MiB" in name:
            each, far = f"{slope * 1024:.1f} KiB", f"{(start + slope * FAR) / 1024:,.0f} GiB"
        else:
            each, far = f"{slope * 1000:.3f} ms", f"{(start + slope * FAR) / 3600:.1f} h"
        table.add_row(name, *(f"{value:.1f}" for value in values), each, far)
    Console(width=120).print(table)
    growth = figures[sizes[-1]]["curate, MiB"] / figures[sizes[0]]["curate, MiB"]
    print(f"curate takes {growth:.3f} times the memory for {sizes[-1]:,} problems that it takes for {sizes[0]:,}")
    return int(growth > MAX_GROWTH)


if __name__ == "__main__":
    sys.exit(main([int(size) for size in sys.argv[1:]] or list(SIZES)))
