"""How the training process is started: by `accelerate launch`, on what this machine has, or as a config file says.

A config for several machines (num_machines above 1) says neither which nor how many. Whatever starts byheart does, in
the environment: BYHEART_NODES, their names, and BYHEART_ON_EACH_NODE, the words that start a command on each of them,
such as srun. What is started so hands on what they print, and the end of its own standard input to each.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import yaml

from byheart import machine
from byheart.errors import RecipeError
from byheart.recipe import SHIPPED, Recipe

CONFIGS = SHIPPED / "accelerate"


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the config of accelerate is not there or is none, asks for what is not installed or for
    machines that nobody named, or its processes can't share a batch alike."""
    options = recipe.objective
    if options.name != "none" and options.quantized and not (gpus() and find_spec("bitsandbytes")):
        raise RecipeError("objective.quantized: 4 bits want an NVIDIA GPU and bitsandbytes (pip install bitsandbytes)")
    if options.name == "none":
        return
    config = configured(recipe)
    if config is None:
        return
    found, wanted = _config(config), processes(config)
    if found["distributed_type"] == "DEEPSPEED" and find_spec("deepspeed") is None:
        raise RecipeError(f"accelerate: {recipe.accelerate} wants deepspeed, which is not here: pip install deepspeed")
    if found["distributed_type"] == "DEEPSPEED" and options.quantized:
        raise RecipeError(
            "objective.quantized: ZeRO-3 can't shard a base model of 4 bits; say accelerate: fsdp2, or ddp"
        )
    if _several(config) and (len(nodes()) < 2 or "BYHEART_ON_EACH_NODE" not in os.environ):
        raise RecipeError(
            f"accelerate: {recipe.accelerate} is for several machines, and none are named: start the run by "
            'scripts/slurm or scripts/nodes, or say BYHEART_NODES="host1 host2" and BYHEART_ON_EACH_NODE=... in the '
            "environment"
        )
    if not found.get("use_cpu") and _each(config) > gpus():
        raise RecipeError(
            f"accelerate: {recipe.accelerate} wants {_each(config)} GPU(s), and there are {gpus()}; without "
            "it, training takes what there is"
        )
    parts = wanted * options.accumulation
    if options.batch_size % parts:
        raise RecipeError(
            f"objective.batch_size: {options.batch_size} rows a step can't be shared alike by {wanted} processes "
            f"(accelerate: {recipe.accelerate}) in {options.accumulation} turns; take a multiple of {parts}"
        )


def configured(recipe: Recipe) -> str | None:
    """The config of accelerate that `recipe` names, if any: the path of a file, or the name of a shipped one. Raises
    RecipeError where there is neither."""
    name = recipe.accelerate
    if name is None:
        return None
    path = recipe.locate(name)
    if path and path.is_file():
        return str(path.absolute())
    if name not in _shipped():
        raise RecipeError(
            f"accelerate: {name} is no file, and not one of {', '.join(_shipped())} (`accelerate config` writes one); "
            f"looked for {recipe.places(name)}"
        )
    return name


def command(config: str | None, options: Any) -> list[str]:
    """The words that start a module under accelerate; its name and arguments are to follow."""
    python = [sys.executable, "-P", "-m"]  # said here, since another machine may not have our environment
    launch = [*python, "accelerate.commands.launch"]
    if config:
        launch += ["--config_file", str(_file(config)), "--num_processes", str(processes(config))]
        if _several(config):
            launch = [*shlex.split(os.environ["BYHEART_ON_EACH_NODE"]), *launch, *_meeting()]
    else:
        launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        several = shared(options, gpus())
        launch += ["--num_processes", str(several), *(["--multi_gpu"] if several > 1 else [])]
    if not gpus():
        cores = min(max(1, psutil.cpu_count(logical=False) or 1), len(os.sched_getaffinity(0)))
        each = max(1, cores // (_each(config) if config else 1))
        launch += ["--cpu"] * (config is None) + ["--num_cpu_threads_per_process", str(each)]
    return [*launch, "--no_python", *python]


def shared(options: Any, num_gpus: int) -> int:
    """Processes that training takes by itself: one on a GPU, as many as can share a batch alike."""
    rows = options.batch_size // options.accumulation
    return max(n for n in range(1, max(1, num_gpus) + 1) if rows % n == 0)


def processes(config: str) -> int:
    """How many processes a config of accelerate's starts, on all machines together; by default one on each GPU."""
    return _each(config) * (len(nodes()) if _several(config) else 1)


def nodes() -> list[str]:
    """The machines to train on: what BYHEART_NODES says. The first is the one where the others meet it, and all run the
    same command."""
    return os.environ.get("BYHEART_NODES", "").split()


def _several(config: str) -> bool:
    return bool(_config(config).get("num_machines", 1) > 1)


def _each(config: str) -> int:
    """Processes on each machine; a config says how many there are on all of its machines."""
    found = _config(config)
    return int(found.get("num_processes", 0) // max(1, found.get("num_machines", 1)) or max(1, gpus()))


def _meeting() -> list[str]:
    """Where the machines find each other. c10d hands the ranks out; that of a machine is said only because accelerate
    takes it for 0 otherwise and then wants the port free on every machine. accelerate reads no rdzv_backend from its
    config, since its own option has a default."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    where = ["--main_process_ip", nodes()[0], "--main_process_port", str(port)]
    return ["--num_machines", str(len(nodes())), "--machine_rank", "1", "--rdzv_backend", "c10d", *where]


def gpus() -> int:
    """GPUs that a process started here would see."""
    return len(machine.gpus())


def _shipped() -> list[str]:
    return sorted(one.stem for one in CONFIGS.glob("*.yaml"))


def _file(config: str) -> Path:
    return CONFIGS / f"{config}.yaml" if config in _shipped() else Path(config).absolute()


def _config(config: str) -> dict[str, Any]:
    file = _file(config)
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"accelerate: {file} can't be read: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(found, dict) or "distributed_type" not in found:
        raise RecipeError(f"accelerate: {file} is no config of accelerate's: it has no distributed_type")
    for key in ("num_processes", "num_machines"):
        if not isinstance(found.get(key, 1), int):
            raise RecipeError(f"accelerate: {file}: {key}: {found[key]!r} is no number")
    return found
