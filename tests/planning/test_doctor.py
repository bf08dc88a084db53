"""doctor says what is missing, and how to get it, where imports break and packages are not what they should be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from byheart.planning import doctor


def pretend(folder: Path, **versions: str) -> None:
    """Packages of these versions in `folder`: what pip leaves to tell them, and no code."""
    for name, version in versions.items():
        metadata = folder / f"{name}-{version}.dist-info/METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def findings(extra: str) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.packages(extra)}


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which packages are looked for first."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # an environment that pip made, not make
    return tmp_path


def test_torch_for_cuda_is_not_what_a_cpu_needs(first: Path) -> None:
    pretend(first, torch="2.13.0", torchvision="0.28.0")
    torch = findings("cpu")["torch"]
    assert torch.fix == "pip install uv && uv pip install --torch-backend cpu 'torch==2.13.0'"
    assert not findings("cuda")["torch"].fix


def test_what_is_built_for_cuda_beside_torch_for_cpus_is_taken_away(first: Path) -> None:
    pretend(first, torch="2.13.0+cpu", torchvision="0.28.0", torchaudio="2.11.0+cpu")
    by_name = findings("cpu")
    assert not by_name["torch"].fix
    assert by_name["torchvision"].fix == "pip uninstall --yes torchvision"


def test_a_version_that_does_not_fit_is_named_with_one_that_does(first: Path) -> None:
    pretend(first, transformers="4.9.0", rich="1.0")
    by_name = findings("cpu")
    assert "4.9.0" in by_name["transformers"].status
    assert by_name["transformers"].fix == "pip install 'transformers<6,>=5.19'"
    assert "rich 1.0" in by_name["libraries"].status
    assert by_name["libraries"].fix == "pip install 'rich>=14'"


def test_an_environment_of_make_is_made_again_by_make(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(first, transformers="4.9.0", torch="2.13.0")
    monkeypatch.setattr(sys, "prefix", str(Path(doctor.__file__).parents[3] / ".venv"))
    by_name = findings("cpu")
    assert by_name["transformers"].fix == by_name["torch"].fix == "make clean setup"


@pytest.mark.sandbox
@pytest.mark.slow
def test_it_works_where_nothing_else_does(tmp_path: Path) -> None:
    """The libraries it does not need break when they are imported, as with a torchvision of another build."""
    for name in ("torch", "transformers", "trl", "peft", "vllm", "datasets", "numpy", "scipy", "pyarrow", "tokenizers"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("byheart"), "doctor"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    [loading] = [line for line in done.stdout.splitlines() if " loading " in line]
    assert loading.startswith("miss") and "transformers: RuntimeError: operator torchvision::nms" in loading
    assert "fix: " in done.stdout.partition(loading)[2].lstrip().splitlines()[0]
    assert "ok   sandbox" in done.stdout


if __name__ == "__main__":
    pytest.main([__file__])
