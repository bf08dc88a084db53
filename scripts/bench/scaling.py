"""How a round's own work grows with its problems, everything but the model: real runs of 1,000 to 8,000 problems with
the scripted engine, which answers at once. A line is fitted to the seconds of each stage and to the memory and the disk
that the run took, and drawn out to ten million problems.

usage: make bench, of which it is the last
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
SAMPLES = 4
FAR = 10_000_000
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


def measured(problems: int) -> dict[str, float]:
    """Seconds of each stage, and MiB of memory of the command and of disk, of one round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = [(f"What is {a} + 7?", a + 7) for a in range(problems + 40)]
        rows = [json.dumps({"prompt": prompt, "answer": str(answer)}) for prompt, answer in asked]
        (folder / "problems.jsonl").write_text("\n".join(rows))
        steps = "First the ones, then the tens, then the hundreds. " * 6  # a solution of about 60 tokens
        answers = {prompt: [f"{steps}Way {n}: it is {answer}" for n in range(5)] for prompt, answer in asked}
        (folder / "script.json").write_text(json.dumps(answers))
        (folder / "r.yaml").write_text(yaml.safe_dump(recipe(problems)))
        child = subprocess.Popen(
            [sys.executable, "-m", "byheart.cli", "run", "r.yaml"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=(folder / "stderr").open("w"),
        )
        _, status, used = os.wait4(child.pid, 0)
        assert status == 0, (folder / "stderr").read_text()
        stages = json.loads((folder / "runs/scaling/round-001/stages.json").read_text())
        seconds = {
            name: stages[name]["seconds"] - stages[name]["engine_start_seconds"]
            for name in ("load", "sample", "verify", "curate")
        }
        files = [path for path in (folder / "runs").rglob("*") if path.is_file()]
        return seconds | {
            "memory, MiB": used.ru_maxrss / 1024,
            "disk, MiB": sum(path.stat().st_size for path in files) / 2**20,
        }


def main() -> None:
    figures = {size: measured(size) for size in SIZES}
    table = Table(title=f"{SAMPLES} samples a problem")
    for heading in ("", *(f"{size:,}" for size in SIZES), "fitted: for each problem", "at ten million"):
        table.add_column(heading, justify="right")
    for name in figures[SIZES[0]]:
        values = [figures[size][name] for size in SIZES]
        slope, start = numpy.polyfit(SIZES, values, 1)
        if "MiB" in name:
            each, far = f"{slope * 1024:.1f} KiB", f"{(start + slope * FAR) / 1024:,.0f} GiB"
        else:
            each, far = f"{slope * 1000:.3f} ms", f"{(start + slope * FAR) / 3600:.1f} h"
        table.add_row(name, *(f"{value:.1f}" for value in values), each, far)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
