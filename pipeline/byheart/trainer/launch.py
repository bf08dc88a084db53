"""How the training process is started: by `accelerate launch`, on the GPUs of this machine, or as a config file says.
Such a file is read here and not by accelerate, whose reader imports torch, where a recipe is only checked.

A config for several machines (num_machines above 1) does not name them. The environment does: BYHEART_NODES, their
names, and BYHEART_ON_EACH_NODE, the command that runs another one on each of them, such as srun. It must forward their
output, and the end of its own standard input to each.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml
from pydantic import BaseModel, ValidationError

from byheart.contracts import Objective
from byheart.errors import RecipeError
from byheart.models import limits, machine
from byheart.plugins.plugin import SHIPPED
from byheart.types import Undeciding

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe

CONFIGS = SHIPPED / "accelerate"


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the config of accelerate is missing or invalid, needs a package that is not installed or
    machines that are not named, or its processes do not divide a batch."""
    if not recipe.objective.trains:
        return
    config = configured(recipe)
    if config is None:
        return
    settings, num_processes = _config(config), processes(config)
    if settings.distributed_type == "DEEPSPEED" and find_spec("deepspeed") is None:
        raise RecipeError(
            f"accelerate: {recipe.accelerate} needs deepspeed, which is not installed: pip install deepspeed"
        )
    if _several(config) and (len(nodes()) < 2 or "BYHEART_ON_EACH_NODE" not in os.environ):
        raise RecipeError(
            f"accelerate: {recipe.accelerate} is for several machines, and none are named: start the run by "
            'scripts/slurm or scripts/nodes, or set BYHEART_NODES="host1 host2" and BYHEART_ON_EACH_NODE=... in the '
            "environment"
        )
    if not settings.use_cpu and _per_machine(config) > gpus():
        raise RecipeError(
            f"accelerate: {recipe.accelerate} needs {_per_machine(config)} GPU(s), and there are {gpus()}; without "
            "it, training uses all that there are"
        )
    rows = recipe.objective.rows_at_once()
    if rows is not None and rows % num_processes:
        raise RecipeError(
            f"objective.global_batch_size: {rows} rows (global_batch_size / gradient_accumulation_steps) can't be "
            f"shared alike by {num_processes} processes (accelerate: {recipe.accelerate}); take a multiple of "
            f"{num_processes}"
        )


@dataclass(frozen=True)
class Launcher(Undeciding):
    """How training is started: by the config of accelerate's that is named, if any, and with arguments of the trainer
    that say only how fast it is."""

    config: str | None
    trainer_args: dict[str, Any]


def distributed_type(recipe: Recipe) -> str | None:
    """The distributed type in the config of accelerate, such as "FSDP"; None without a config."""
    config = configured(recipe)
    return None if config is None else str(_config(config).distributed_type)


def configured(recipe: Recipe) -> str | None:
    """The config of accelerate that `recipe` names, if any: the path of a file, or the name of a shipped one. Raises
    RecipeError where it is neither."""
    name = recipe.accelerate
    if name is None:
        return None
    path = recipe.locate(name)
    if path and path.is_file():
        return str(path.absolute())
    if name not in _shipped():
        raise RecipeError(
            f"accelerate: {name} is neither a file nor one of {', '.join(_shipped())}; `accelerate config` writes one; "
            f"looked for {recipe.places(name)}"
        )
    return name


def command(config: str | None, objective: Objective, job: Path) -> list[str]:
    """The command that does the `job` of `objective` under accelerate."""
    python = [sys.executable, "-P", "-m"]  # an absolute path, as another machine may have another environment
    launch = [*python, "accelerate.commands.launch"]
    if config:
        launch += ["--config_file", str(_file(config)), "--num_processes", str(processes(config))]
        if _several(config):
            launch = [*shlex.split(os.environ["BYHEART_ON_EACH_NODE"]), *launch, *_rendezvous()]
    else:
        # With a config, or --cpu, accelerate does not look for the one that `accelerate config` left in its cache.
        launch += ["--config_file", str(_file("gpu"))] if gpus() else []  # whose one process the options overrule
        launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        num_processes = shared(objective, gpus())
        launch += ["--num_processes", str(num_processes), *(["--multi_gpu"] if num_processes > 1 else [])]
    if not gpus():
        cores = min(max(1, psutil.cpu_count(logical=False) or 1), limits.cores())
        num_threads = max(1, cores // (_per_machine(config) if config else 1))
        launch += [*([] if config else ["--cpu"]), "--num_cpu_threads_per_process", str(num_threads)]
    return [*launch, "--no_python", *python, "byheart.trainer.child", str(job)]


def environment(config: str | None) -> dict[str, str]:
    """The environment of `command`: that of this process, and for several machines what their own launcher needs."""
    return machine.environment_of_job() if config and _several(config) else dict(os.environ)


def shared(objective: Objective, num_gpus: int) -> int:
    """Processes of training without a config: one on each GPU, as many as divide a micro-batch."""
    rows = objective.rows_at_once()
    return max(n for n in range(1, max(1, num_gpus) + 1) if rows is None or rows % n == 0)


def processes(config: str) -> int:
    """Processes that a config of accelerate starts, on all machines together; by default one on each GPU."""
    return _per_machine(config) * (len(nodes()) if _several(config) else 1)


def nodes() -> list[str]:
    """The machines to train on, from BYHEART_NODES. All run the same command and connect to the first."""
    return os.environ.get("BYHEART_NODES", "").split()


def _several(config: str) -> bool:
    return _config(config).num_machines > 1


def _per_machine(config: str) -> int:
    """Processes on each machine; a config has the number on all of its machines."""
    settings = _config(config)
    return settings.num_processes // max(1, settings.num_machines) or max(1, gpus())


def _rendezvous() -> list[str]:
    """The options by which the machines find each other. c10d assigns the ranks; --machine_rank is given only because
    accelerate assumes 0 otherwise, and then needs the port free on every machine. It ignores rdzv_backend in its
    config, since its own option has a default."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    address = ["--main_process_ip", nodes()[0], "--main_process_port", str(port)]
    return ["--num_machines", str(len(nodes())), "--machine_rank", "1", "--rdzv_backend", "c10d", *address]


def gpus() -> int:
    """GPUs that a process started here would see."""
    return len(machine.gpus())


def _shipped() -> list[str]:
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def _file(config: str) -> Path:
    return CONFIGS / f"{config}.yaml" if config in _shipped() else Path(config).absolute()


class _Config(BaseModel):
    """What byheart has to know of a config of accelerate; without num_processes there is one on each GPU."""

    distributed_type: str | bool  # to YAML, NO without quotes is false
    num_processes: int = 0
    num_machines: int = 1
    use_cpu: bool = False


def _config(config: str) -> _Config:
    file = _file(config)
    try:
        return _Config.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except ValidationError as error:
        [first, *_] = error.errors()
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise RecipeError(f"accelerate: {file} is not a config of accelerate: {what}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"accelerate: {file} can't be read: {' '.join(str(error).split())[:200]}") from None
