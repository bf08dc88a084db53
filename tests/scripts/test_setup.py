"""scripts/setup installs only what the pinned sets name, hash by hash, and no system package unless it is told to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.machines import program

NEEDED = ("bash", "env", "cat", "dirname", "grep", "tail", "touch", "tr", "wc")
Setup = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """Runs it in a checkout of its own, on a machine with no GPU, bubblewrap or compiler, whose package managers note
    what they are told."""
    for name in ("scripts", "requirements", "pyproject.toml"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("bench", "__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    programs = tmp_path / "programs"
    for name in ("uv", "apt-get"):
        program(programs / name, f'echo "{name} $*" >>noted; ! [ -e "no-{name}" ]')
    program(programs / "sudo", 'exec "$@"')
    program(programs / "id", "echo 1000")
    program(programs / "python3", "exit 0")
    program(tmp_path / ".venv/bin/python", "echo include")
    for name in NEEDED:
        (programs / name).symlink_to(str(shutil.which(name)))

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "noted").write_text("")
        command, path = [str(tmp_path / "scripts/setup"), *arguments], {"PATH": str(programs)}
        return subprocess.run(command, cwd=tmp_path, env=path | environment, capture_output=True, text=True)

    return run


def noted(folder: Path, name: str) -> list[str]:
    return [line for line in (folder / "noted").read_text().splitlines() if line.startswith(f"{name} ")]


def test_it_says_which_system_packages_are_missing_and_installs_none(setup: Setup, tmp_path: Path) -> None:
    done = setup("dev")
    assert done.returncode == 0, done.stderr
    assert noted(tmp_path, "apt-get") == []
    assert "bubblewrap is missing" in done.stdout and "sudo apt-get install bubblewrap" in done.stdout
    assert "a C compiler is missing" in done.stdout and "sudo apt-get install gcc" in done.stdout
    installed = [line for line in noted(tmp_path, "uv") if " install " in line]
    assert not any("reasoning-gym" in line for line in installed), "it can't be compiled"
    assert any("dev.txt" in line for line in installed)


def test_told_to_it_installs_system_packages(setup: Setup, tmp_path: Path) -> None:
    done = setup("dev", BYHEART_SYSTEM_PACKAGES="1")
    assert done.returncode == 0, done.stderr
    bubblewrap, compiler = (line for line in noted(tmp_path, "apt-get") if " install " in line)
    assert bubblewrap.endswith(" bubblewrap") and " gcc " in compiler
    assert any("reasoning-gym.txt" in line for line in noted(tmp_path, "uv"))
    (tmp_path / "no-apt-get").touch()
    assert setup(BYHEART_SYSTEM_PACKAGES="1").returncode == 1, "told to and failed"


def test_every_set_is_held_against_its_hashes_and_built_from_no_source(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "programs/cc").symlink_to("/bin/true")
    (tmp_path / "include").mkdir()
    (tmp_path / "include/Python.h").touch()
    done = setup("dev")
    assert done.returncode == 0, done.stderr
    lines = [line for line in noted(tmp_path, "uv") if ".txt" in line]
    files = {word for line in lines for word in line.split() if word.endswith(".txt")}
    assert files == {f"requirements/{name}.txt" for name in ("torch-cpu", "cpu", "model", "dev", "reasoning-gym")}
    assert all("--require-hashes" in line and "--no-deps" in line for line in lines)
    source = [line for line in lines if "--only-binary :all:" not in line]
    assert len(source) == 1 and "reasoning-gym.txt" in source[0], "compiled with what is pinned, where tests need it"
    assert "--no-build-isolation" in source[0]
    assert "third party's" in done.stdout
    assert noted(tmp_path, "uv") != [] and setup("dev").returncode == 0
    assert not any(".txt" in line for line in noted(tmp_path, "uv")), "once is enough"


def test_it_ends_where_a_file_is_not_what_is_pinned(setup: Setup, tmp_path: Path) -> None:
    program(tmp_path / "programs/uv", '[[ "$*" != *requirements/cpu.txt* ]] || { echo "Hash mismatch" >&2; exit 1; }')
    done = setup()
    assert done.returncode == 1 and "Hash mismatch" in done.stderr
    assert not (tmp_path / ".venv/.ready").exists()


if __name__ == "__main__":
    pytest.main([__file__])
