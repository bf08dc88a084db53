"""A run that begins with a published adapter has a copy of its own, with its scorer apart."""

import json
import shutil
from pathlib import Path

import pytest
from byheart.config import recipe
from byheart.models import weights
from byheart.runs.run import Run
from byheart.types import Policy

from tests.models import directories


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's directory, as far as a run looks at it."""
    return directories.model(tmp_path / "model")


def save_adapter(path: Path, content: bytes) -> Path:
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "m", "r": 4, "lora_alpha": 8}))
    (path / "adapter_model.safetensors").write_bytes(content)
    return path


def opened(folder: Path, model: Path, adapter: Path) -> Run:
    raw = {"name": "t", "model": {"name": str(model), "adapter": str(adapter)}, "task": {"name": "arithmetic"}}
    return Run(folder / "run", recipe.parse(raw))


def test_the_scorer_within_an_adapter_is_copied_apart(tmp_path: Path, model: Path) -> None:
    source = save_adapter(tmp_path / "published", directories.weights(writes=(2,)))
    save_adapter(source / "scorer", directories.weights(scores=(2,)))
    with opened(tmp_path, model, source) as run:
        policy = run.policy(0)
        adapter, scorer = run.dir / "start/adapter", run.dir / "start/scorer/adapter"
    assert policy == Policy(str(model), adapter, weights.name(adapter, scorer), scorer)
    assert (adapter / "adapter_model.safetensors").read_bytes() == directories.weights(writes=(2,))
    assert (scorer / "adapter_model.safetensors").read_bytes() == directories.weights(scores=(2,))
    assert not (adapter / "scorer").exists(), "what is published next would hold it twice"


def test_the_copy_is_enough_from_then_on(tmp_path: Path, model: Path) -> None:
    source = save_adapter(tmp_path / "published", directories.weights(writes=(2,)))
    with opened(tmp_path, model, source) as run:
        policy = run.policy(0)
    shutil.rmtree(source)
    with opened(tmp_path, model, source) as run:
        assert run.policy(0) == policy
    adapter = tmp_path / "run/start/adapter"
    assert policy == Policy(str(model), adapter, weights.name(adapter, None), None)
