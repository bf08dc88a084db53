"""What is installed is whole: the wheel, the source archive and an editable install, each outside the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import byheart
import pytest
from byheart.contracts import Task
from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_every_folder_of_the_source_root_is_a_package_that_is_shipped() -> None:
    files = [file for file in (ROOT / "pipeline").rglob("*") if file.is_file() and file.suffix != ".pyc"]
    folders = {".".join(file.parent.relative_to(ROOT / "pipeline").parts) for file in files}
    shipped = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(shipped) == sorted({*folders, "byheart.recipes"} - {""})


# The pinned sets


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda file: file.stem)
def test_every_pin_has_a_hash(file: Path) -> None:
    pins = file.read_text("utf-8").replace("\\\n", " ").splitlines()
    assert pins
    for pin in pins:
        name, *hashes = pin.split()
        assert "==" in name and hashes, pin
        assert all(one.startswith("--hash=sha256:") for one in hashes), pin


@pytest.mark.parametrize(
    ("extras", "files"),
    [
        (["", "cpu"], ["cpu", "torch-cpu"]),
        (["", "cuda"], ["cuda"]),
        (["", "reasoning-gym", "dev"], ["cpu", "reasoning-gym", "dev"]),
        (["", "reasoning-gym", "dev"], ["cuda", "reasoning-gym", "dev"]),
    ],
    ids=["cpu", "cuda", "tests on a CPU", "tests on a GPU"],
)
def test_the_pins_are_what_the_package_declares(extras: list[str], files: list[str]) -> None:
    pins = {}
    for file in files:
        for line in (ROOT / f"requirements/{file}.txt").read_text("utf-8").splitlines():
            if "==" in line:
                pin = Requirement(line.removesuffix("\\"))
                pins[pin.name] = str(pin.specifier).removeprefix("==")
    extra = PROJECT["project"]["optional-dependencies"]
    for line in [one for name in extras for one in (extra[name] if name else PROJECT["project"]["dependencies"])]:
        wanted = Requirement(line)
        name = wanted.name.lower().replace("_", "-")
        assert name in pins, f"{name} is not in {files}: scripts/lock"
        assert wanted.specifier.contains(pins[name]), f"{line}, and {pins[name]} is pinned: scripts/lock"


# What an extra brings


@pytest.mark.slow  # reasoning-gym takes a second or two to import
@pytest.mark.parametrize("made", [{"verifier": "exact"}, {}], ids=["the task", "its verifier"])
def test_reasoning_gym_is_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch, made: dict[str, str]) -> None:
    pytest.importorskip("reasoning_gym")
    [extra] = PROJECT["project"]["optional-dependencies"]["reasoning-gym"]
    options = {"name": "reasoning_gym", "dataset": "chain_sum"} | made
    Task.parse(options)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ValueError, match="reasoning_gym is not installed") as refused:
        Task.parse(options)
    assert f"pip install '{extra}'" in str(refused.value)


# The archives

UNTRACKED = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", ".hypothesis", "build", "dist", "__pycache__", "*.egg-info"
)


def untracked(folder: str, names: list[str]) -> set[str]:
    """What git does not track in a folder of this checkout."""
    runs = {"runs"} if Path(folder) == ROOT else set()  # and not the package of that name
    return UNTRACKED(folder, names) | runs


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout with a commit of its own, since building writes into the folder."""
    folder = Path(shutil.copytree(ROOT, tmp_path_factory.mktemp("checkout") / "byheart", ignore=untracked))
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message=all"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def archives(checkout: Path) -> dict[str, Path]:
    """The source archive, the wheel that is built of it, and the wheel that is built of the checkout."""
    build = [sys.executable, "-m", "build", "--no-isolation"]
    for options in ([], ["--wheel", "--outdir", "direct"]):
        subprocess.run([*build, *options], cwd=checkout, check=True, capture_output=True)
    [source], [wheel], [direct] = (checkout.glob(where) for where in ("dist/*.tar.gz", "dist/*.whl", "direct/*.whl"))
    return {"source": source, "wheel": wheel, "direct": direct}


@pytest.mark.slow
def test_the_wheel_and_the_source_archive_are_whole(archives: dict[str, Path]) -> None:
    with zipfile.ZipFile(archives["wheel"]) as wheel, zipfile.ZipFile(archives["direct"]) as direct:
        held = set(wheel.namelist())
        assert held == set(direct.namelist()), "a wheel built of the source archive is that built of the checkout"
    for folder, place, kinds in (
        ("pipeline/byheart", "byheart", {".py", ".md", ".html", ".typed"}),
        ("recipes", "byheart/recipes", {".py", ".yaml", ".jsonl"}),
    ):
        here = {
            f"{place}/{file.relative_to(ROOT / folder)}"
            for file in (ROOT / folder).rglob("*")
            if file.suffix in kinds or file.name == "py.typed"
        }
        assert here and here - held == set()
    with tarfile.open(archives["source"]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    for name in (
        "tests/conftest.py",
        "requirements/cpu.txt",
        "evidence/plan.yaml",
        "scripts/setup",
        "Makefile",
        "SECURITY.md",
        ".ci/run",
    ):
        assert name in names
    assert {f"recipes/{file.name}" for file in (ROOT / "recipes").glob("*.*")} <= names


# Installed


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(
    request: pytest.FixtureRequest, checkout: Path, archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """Runs the `byheart` of an environment of its own, which finds every package of this one's but byheart."""
    folder = tmp_path_factory.mktemp(request.param) / "environment"
    venv.create(folder)
    python = folder / "bin/python"
    [site] = folder.glob("lib/python*/site-packages")
    # Such a line adds the folder, and does not run the .pth files in it, of which one brings this checkout's byheart.
    (site / "pinned.pth").write_text(sysconfig.get_path("purelib") + "\n")
    what = [str(archives["wheel"])] if request.param == "wheel" else ["--no-build-isolation", "-e", str(checkout)]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, *what], check=True, capture_output=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"COLUMNS": "160", "NO_COLOR": "1", "CUDA_VISIBLE_DEVICES": ""}

    def run(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "bin/byheart"), *arguments]
        return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.slow
def test_it_says_the_commit_it_was_built_from(installed: Run, checkout: Path, tmp_path: Path) -> None:
    words = ["git", "rev-parse", "--short=12", "HEAD"]
    commit = subprocess.run(words, cwd=checkout, check=True, capture_output=True, text=True).stdout.strip()
    assert installed(tmp_path, "--version").stdout.strip() == f"byheart {byheart.__version__} ({commit})"


@pytest.mark.slow
def test_recipes_and_configs_are_found(installed: Run, tmp_path: Path) -> None:
    listed = installed(tmp_path, "recipes").stdout
    assert {file.stem for file in (ROOT / "recipes").glob("*.yaml")} <= set(listed.split())
    for name in ("addition", "self_ask"):
        dry = installed(tmp_path, "run", name, "--dry-run")
        assert dry.returncode == 0 and "nothing was done" in dry.stdout, dry.stderr
    sharded = installed(tmp_path, "run", "addition", "accelerate=fsdp2", "--dry-run")
    assert "fsdp2 needs 1 GPU(s), and there are 0" in sharded.stderr, "the config was read"


ROUND = """
name: r
model: {{name: {model}, max_context: 128}}
task: {{name: file, path: problems.jsonl, verifier: number, num_train: 4, num_dev: 2, num_held_out: 2}}
engine: {{name: transformers}}
strategy: {{name: direct, samples: 8, enough: 1, max_samples: 16, max_tokens: 4}}
objective: {{name: sft, min_optimizer_steps: 1, max_optimizer_steps: 1, global_batch_size: 4}}
evaluation: {{num_train: 2, num_slow: 1, fast: {{max_tokens: 4}}, worked: {{max_tokens: 4}}}}
"""


@pytest.mark.train
@pytest.mark.slow
def test_a_round_works(installed: Run, tmp_path: Path, tiny: Path) -> None:
    sevens(shutil.copytree(tiny, tmp_path / "sevens"))
    asked = [{"prompt": f"What is {a} + {7 - a}?", "answer": 7} for a in range(8)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    (tmp_path / "r.yaml").write_text(ROUND.format(model=tmp_path / "sevens"))
    done = installed(tmp_path, "run", "r.yaml")
    assert done.returncode == 0, done.stderr
    first = tmp_path / "runs/r/round-001"
    assert json.loads((first / "metrics.json").read_text())["curation"]["num_rows"] > 0
    assert (first / "adapter/adapter_model.safetensors").is_file()


def sevens(model: Path) -> None:
    """Have it answer "7" as often as nothing, whatever it is asked: both are one token on, and no other is likely."""
    from safetensors.numpy import load_file, save_file
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    weights = load_file(model / "model.safetensors")
    for name, matrix in weights.items():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            matrix[:] = 0
    embedded = weights["model.embed_tokens.weight"]
    embedded[:, 0] = 10
    weights["lm_head.weight"] = head = embedded * 0
    for token in (tokenizer.convert_tokens_to_ids("7"), tokenizer.eos_token_id):
        head[token, 0] = 4
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))


if __name__ == "__main__":
    pytest.main([__file__])
