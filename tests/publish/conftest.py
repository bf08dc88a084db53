"""A run of one round, and a hub on loopback to publish it to."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import environment
from tests.loopback import TOKEN, Hub, serving
from tests.warm import Warm

RECIPE = """
name: r
model: {{name: {model}, max_context: 128}}
task: {{name: arithmetic, num_train: 8, num_dev: 8, num_held_out: 8}}
engine: {{name: scripted, script: script.json}}
strategy: {{name: direct, samples: 2, enough: 1, max_samples: 2}}
objective: {{name: sft, min_optimizer_steps: 8, max_optimizer_steps: 8, global_batch_size: 4, learning_rate: 0.02}}
evaluation: {{num_train: 4}}
"""
BASE = ("--base", "someone/tiny", "--license", "mit")

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A tiny Llama whose positions are those of Llama 3."""
    folder = Path(shutil.copytree(tiny, tmp_path_factory.mktemp("base") / "tiny"))
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope = {"rope_theta": 50000.0, "rope_scaling": scaling | {"original_max_position_embeddings": 64}}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | rope))
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path, warm: Warm) -> Path:
    """A run of one round: scripted solutions, a real adapter on a tiny Llama."""
    folder = tmp_path_factory.mktemp("trained")
    sums = {
        f"What is {a} + {b}? Reply with just the number.": str(a + b) for a in range(10, 100) for b in range(10, 100)
    }
    script = {asked: ["0", f"That makes {answer}"] for asked, answer in sums.items()}
    better = {f"adapter: {asked}": [answer] for asked, answer in sums.items()}
    (folder / "script.json").write_text(json.dumps(script | better))
    (folder / "r.yaml").write_text(RECIPE.format(model=base))
    done = warm.run(["run", "r.yaml"], folder, environment())
    assert done.returncode == 0, done.stderr
    return folder / "runs/r"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "r"))


@pytest.fixture(scope="session")
def loopback() -> Iterator[Hub]:
    with serving() as hub_:
        yield hub_


@pytest.fixture
def there(loopback: Hub) -> Iterator[Hub]:
    yield loopback
    loopback.clear()


@pytest.fixture(scope="session")
def env(loopback: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For what the hub is the one on loopback."""
    return environment(
        HF_ENDPOINT=loopback.address,
        HF_HOME=str(tmp_path_factory.mktemp("cache")),
        HF_TOKEN=TOKEN,
        HF_HUB_DISABLE_XET="1",  # it speaks git-lfs, not xet
    )


@pytest.fixture(scope="session")
def to_loopback(env: dict[str, str]) -> Iterator[Warm]:
    warm_ = Warm(env)
    yield warm_
    warm_.close()


@pytest.fixture
def call(to_loopback: Warm, there: Hub, env: dict[str, str], tmp_path: Path) -> Call:
    """The command line, for which the hub is the one on loopback."""
    return lambda *arguments: to_loopback.run(arguments, tmp_path, env)


@pytest.fixture
def asked(there: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub on loopback, for this process."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", there.address)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return there


def publish(call: Call, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call("publish", "r", "--to", "me/sums", *arguments)
