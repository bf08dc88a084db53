"""What a round was computed with is known: byheart's version and commit, libraries, hardware, the model's weights."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import byheart
import pytest
from byheart import cli
from byheart.models import checkpoint, machine
from byheart.report import terminal
from byheart.report.data import view
from typer.testing import CliRunner

from tests.models import directories
from tests.report.runs import finish

VERSION = byheart.__version__


def copied(folder: Path) -> Path:
    """The part of the package that says its version, in `folder`."""
    package = folder / "byheart"
    (package / "models").mkdir(parents=True)
    for name in ("__init__.py", "models/__init__.py", "models/machine.py", "models/limits.py"):
        shutil.copy(Path(byheart.__file__).parent / name, package / name)
    return package


def said(folder: Path, **env: str) -> str:
    """The version that the package in `folder` says."""
    code = "from byheart.models import machine; print(machine.version(), machine.__file__, sep='\\n')"
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=path | env, capture_output=True, text=True, check=True
    )
    version, file = done.stdout.splitlines()
    assert Path(file).is_relative_to(folder)
    return version


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkout_says_its_commit_and_whether_it_was_modified(tmp_path: Path) -> None:
    source = tmp_path / "pipeline"
    package = copied(source)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "pipeline")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "-a", "v9", "-m", "a tag, which is not the commit")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    (tmp_path / "notes.txt").write_text("not part of it")
    assert said(source) == f"{VERSION} ({commit})"
    assert said(source, GIT_DIR="/nowhere", GIT_WORK_TREE="/nowhere") == f"{VERSION} ({commit})"
    (package / "models/machine.py").write_text((package / "models/machine.py").read_text() + "\n")
    assert said(source) == f"{VERSION} ({commit}, modified)"
    assert said(source, PATH="/nowhere") == VERSION, "without git"


def test_what_pip_installed_says_the_commit_where_there_was_one(tmp_path: Path) -> None:
    copied(tmp_path)
    noted = tmp_path / f"byheart-{VERSION}.dist-info"
    noted.mkdir()
    (noted / "METADATA").write_text(f"Metadata-Version: 2.4\nName: byheart\nVersion: {VERSION}\n")
    assert said(tmp_path) == VERSION
    (noted / "direct_url.json").write_text(json.dumps({"url": "file:///a.whl", "archive_info": {}}))
    assert said(tmp_path) == VERSION
    source = {"url": "https://example.org/byheart.git", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef" * 2}}
    (noted / "direct_url.json").write_text(json.dumps(source))
    assert said(tmp_path) == f"{VERSION} (0123456789ab)"


def test_the_command_line_says_it() -> None:
    done = CliRunner().invoke(cli.app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"byheart {machine.version()}\n")


def test_the_versions_are_those_of_the_installed_packages() -> None:
    found = machine.versions()
    assert found["python"] == platform.python_version()
    for name in ("torch", "transformers", "trl", "peft"):
        assert found[name] == metadata.version(name)
    assert found["byheart"].startswith(VERSION)
    assert machine.hardware()


@pytest.fixture
def model(tmp_path: Path) -> checkpoint.ModelOptions:
    return checkpoint.ModelOptions(name=str(directories.model(tmp_path / "model")))


def test_a_directory_is_known_by_the_digest_of_its_weights(model: checkpoint.ModelOptions) -> None:
    file = Path(model.name) / "model.safetensors"
    before = file.read_bytes()
    assert checkpoint.identity(model) == ("a local directory", hashlib.sha256(before).hexdigest())
    file.write_bytes(before[:-1] + b"7")  # within the same tick of the clock, and of the same size
    assert checkpoint.identity(model)[1] == hashlib.sha256(before[:-1] + b"7").hexdigest()


def test_weights_are_read_once(model: checkpoint.ModelOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file, day_ago = Path(model.name) / "model.safetensors", time.time() - 86400
    told = checkpoint.identity(model)
    assert not list(tmp_path.glob("cache/byheart/digests/*")), "it may change again within the tick of the clock"
    while time.time() - file.stat().st_ctime < 2.1:
        time.sleep(0.1)
    assert checkpoint.identity(model) == told
    [kept] = tmp_path.glob("cache/byheart/digests/*")
    kept.write_text("a" * 64)
    assert checkpoint.identity(model)[1] == "a" * 64, "it is not read again"
    os.utime(file, (day_ago, day_ago))
    assert checkpoint.identity(model) == told


def test_several_files_are_known_by_the_digest_of_what_sha256sum_says_of_them(tmp_path: Path) -> None:
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    files = {name: directories.weights(w=(number, 2)) for number, name in enumerate(names, 1)}
    path = directories.model(
        tmp_path / "m", "model.safetensors", model__safetensors__index__json=directories.index(*names), **files
    )
    model = checkpoint.ModelOptions(name=str(path))
    pipe = "sha256sum *.safetensors | sha256sum"
    found = subprocess.run(["sh", "-c", pipe], cwd=model.name, capture_output=True, text=True, check=True, env={})
    assert checkpoint.identity(model)[1] == found.stdout.split()[0]


def test_of_the_hub_it_is_the_commit_and_the_digest_that_the_hub_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit, digest = "c" * 40, "d" * 64
    assert checkpoint.identity(checkpoint.ModelOptions(name="some/model")) == (None, None)
    cache = tmp_path / "models--some--model"
    for name in ("refs", "blobs", f"snapshots/{commit}"):
        (cache / name).mkdir(parents=True)
    (cache / "refs/main").write_text(commit)
    shutil.rmtree(cache / f"snapshots/{commit}")
    directories.model(cache / f"snapshots/{commit}", "model.safetensors")
    (cache / f"blobs/{digest}").write_bytes(directories.weights())
    (cache / f"snapshots/{commit}/model.safetensors").symlink_to(f"../../blobs/{digest}")
    assert checkpoint.identity(checkpoint.ModelOptions(name="some/model")) == (commit, digest)


def test_status_shows_what_a_run_was_computed_with_and_from_which_round_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tmp_path, [0.2, 0.4])
    newer = machine.versions() | {"torch": "9.9"}
    monkeypatch.setattr(machine, "versions", lambda: newer)
    finish(tmp_path, [0.2, 0.4, 0.6])
    terminal.show_status(tmp_path)
    said = capsys.readouterr().out
    assert f"from round 1: byheart {machine.version()}, python {platform.python_version()}" in said
    assert "from round 2: torch 9.9\n" in said


def test_runs_of_older_versions_have_none(tmp_path: Path) -> None:
    finish(tmp_path, [0.2, 0.4])
    for file in tmp_path.glob("round-*/environments.jsonl"):
        file.unlink()
    terminal.show_status(tmp_path)
    assert view(tmp_path).environments() == []


FROM_TORCHRUN = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "node", "TORCHELASTIC_RUN_ID": "x"}
FROM_MPI = {"PMI_SIZE": "2", "PMIX_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_RANK": "1"}
FROM_SLURM = {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "17"}
FROM_ACCELERATE = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "PET_NNODES": "2"}
THE_USERS = {
    "PATH": "/bin",
    "HF_HOME": "/x",
    "CUDA_VISIBLE_DEVICES": "1",
    "OMP_NUM_THREADS": "3",
    "RAY_ADDRESS": "a:1",
    "BYHEART_NODES": "a b",
    "NCCL_DEBUG": "INFO",
    "GLOO_SOCKET_IFNAME": "eth0",
    "RANKING": "1",
    "TMPDIR": "/t",
}


@pytest.mark.parametrize("left", [FROM_TORCHRUN, FROM_MPI, FROM_SLURM, FROM_ACCELERATE])
def test_what_a_launcher_told_this_process_is_not_told_to_those_that_it_starts(
    monkeypatch: pytest.MonkeyPatch, left: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", THE_USERS | left)
    machine.isolate()
    assert os.environ == THE_USERS | {"PYTHONSAFEPATH": "1"}
    machine.isolate()
    assert machine.environment_of_job().items() >= (THE_USERS | left).items(), "srun needs it"
