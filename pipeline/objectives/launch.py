"""How the training process is started: by `accelerate launch`, on what this machine has, or as a config file says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipeline.errors import RecipeError
from pipeline.recipe import Recipe

CONFIGS = Path(__file__).parent.parent.parent / "recipes/accelerate"


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the config of accelerate is not there or is none, asks for what is not installed, or its
    processes can't share a batch alike."""
    options = recipe.objective
    if options.name != "none" and options.quantized and not (gpus() and find_spec("bitsandbytes")):
        raise RecipeError("objective.quantized: 4 bits want an NVIDIA GPU and bitsandbytes (pip install bitsandbytes)")
    if options.name == "none" or recipe.accelerate is None:
        return
    found, wanted = _config(recipe.accelerate), processes(recipe.accelerate)
    if found["distributed_type"] == "DEEPSPEED" and find_spec("deepspeed") is None:
        raise RecipeError(f"accelerate: {recipe.accelerate} wants deepspeed, which is not here: pip install deepspeed")
    if found["distributed_type"] == "DEEPSPEED" and options.quantized:
        raise RecipeError(
            "objective.quantized: ZeRO-3 can't shard a base model of 4 bits; say accelerate: fsdp2, or ddp"
        )
    if not found.get("use_cpu") and wanted > gpus():
        raise RecipeError(
            f"accelerate: {recipe.accelerate} wants {wanted} GPU(s), and there are {gpus()}; without it, training "
            "takes what there is"
        )
    parts = wanted * options.accumulation
    if options.batch_size % parts:
        raise RecipeError(
            f"objective.batch_size: {options.batch_size} rows a step can't be shared alike by {wanted} processes "
            f"(accelerate: {recipe.accelerate}) in {options.accumulation} turns; take a multiple of {parts}"
        )


def command(config: str | None, options: Any) -> list[str]:
    """The words that start a module under accelerate; its name and arguments are to follow."""
    launch = [sys.executable, "-m", "accelerate.commands.launch"]
    if config:
        launch += ["--config_file", str(_file(config)), "--num_processes", str(processes(config))]
    else:
        launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        share = options.batch_size // options.accumulation
        several = max(n for n in range(1, max(1, gpus()) + 1) if share % n == 0)
        launch += ["--num_processes", str(several), *(["--multi_gpu"] if several > 1 else [])]
    if not gpus():
        cores = min(max(1, psutil.cpu_count(logical=False) or 1), len(os.sched_getaffinity(0)))
        each = max(1, cores // (processes(config) if config else 1))
        launch += ["--cpu"] * (config is None) + ["--num_cpu_threads_per_process", str(each)]
    return [*launch, "-m"]


def processes(config: str) -> int:
    """How many processes a config of accelerate's starts; by default one on each GPU."""
    return int(_config(config).get("num_processes") or max(1, gpus()))


@cache
def gpus() -> int:
    """GPUs that a process started here would see."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return len([one for one in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if one.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return 0 if listed.returncode else sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def _file(config: str) -> Path:
    for path in (Path(config), CONFIGS / f"{config}.yaml"):
        if path.is_file():
            return path.resolve()
    known = ", ".join(sorted(one.stem for one in CONFIGS.glob("*.yaml")))
    raise RecipeError(f"accelerate: {config} is no file, and not one of {known}; `accelerate config` writes one")


def _config(config: str) -> dict[str, Any]:
    file = _file(config)
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"accelerate: {file} can't be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, dict) or "distributed_type" not in found:
        raise RecipeError(f"accelerate: {file} is no config of accelerate's: it has no distributed_type")
    if not isinstance(found.get("num_processes", 1), int):
        raise RecipeError(f"accelerate: {file}: num_processes: {found['num_processes']!r} is no number")
    return found
