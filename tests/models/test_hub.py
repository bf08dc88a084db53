"""A model of the hub that is here only in part: the rest is fetched, once, and a dry run says what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.errors import ModelError
from byheart.models import checkpoint, folder
from byheart.planning import dry_run

from tests.loopback import TOKEN, Hub, Repo, serving
from tests.models.directories import index, model, weights

SHARDS = [f"model-0000{number}-of-00004.safetensors" for number in (1, 2, 3, 4)]
NAME = "acme/tiny"
Get = Callable[[str], str]


@pytest.fixture(scope="module")
def loopback() -> Iterator[Hub]:
    with serving() as hub:
        yield hub


@pytest.fixture
def hub(loopback: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub for this process, with an empty cache."""
    for name, value in (
        ("ENDPOINT", loopback.address),
        ("HUGGINGFACE_CO_URL_TEMPLATE", loopback.address + "/{repo_id}/resolve/{revision}/{filename}"),
        ("HF_HUB_CACHE", str(tmp_path / "cache")),
        ("HF_HUB_DISABLE_XET", True),
    ):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield loopback
    loopback.clear()


def pushed(hub: Hub, folder: Path, commit: str = "1" * 40) -> None:
    """A commit of the hub's model that has the files of `folder`."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub.repos.setdefault(NAME, Repo()).commits[commit] = files


@pytest.fixture
def sharded(hub: Hub, tmp_path: Path) -> Hub:
    files = {name: weights(**{f"w{number}": (number, 2)}) for number, name in enumerate(SHARDS)}
    files["model.embed_tokens.safetensors"] = weights()
    listed = index(*SHARDS, "model.embed_tokens.safetensors")
    pushed(hub, model(tmp_path / "sharded", "model.safetensors", model__safetensors__index__json=listed, **files))
    return hub


def options(revision: str | None = None) -> checkpoint.ModelOptions:
    return checkpoint.ModelOptions(name=NAME, revision=revision)


def get(*names: str) -> None:
    """What another program fetches: single files."""
    from huggingface_hub import hf_hub_download

    for name in names:
        hf_hub_download(NAME, name)


def notes(tmp_path: Path) -> str:
    """What a dry run says of the model."""
    parts = {"task": {"name": "arithmetic"}, "engine": "transformers", "objective": "none"}
    asked = recipe.parse({"name": "r", "model": {"name": NAME}, **parts})
    return dry_run.plan(asked, tmp_path / "run", 1).notes[0]


@pytest.mark.parametrize(
    "here",
    [
        ["config.json"],
        ["config.json", "tokenizer.json", "tokenizer_config.json"],
        ["config.json", "tokenizer.json", "model.safetensors.index.json", SHARDS[0]],
        ["config.json", "model.safetensors.index.json", *SHARDS, "model.embed_tokens.safetensors"],
    ],
)
def test_the_rest_of_a_download_is_fetched(sharded: Hub, tmp_path: Path, here: list[str]) -> None:
    get(*here)
    asked = len(sharded.asked)
    assert checkpoint.find(options()) is None
    assert "acme/tiny: not all of it is here yet; the run would get " in notes(tmp_path)
    assert len(sharded.asked) == asked, "a dry run downloads nothing"
    path = checkpoint.fetch(options())
    assert checkpoint.find(options()) == path
    assert {file.name for file in path.iterdir()} >= {*SHARDS, "tokenizer.json", "chat_template.jinja"}
    assert f"model: {path}" in notes(tmp_path)


def test_a_dry_run_names_what_is_missing(sharded: Hub, tmp_path: Path) -> None:
    checkpoint.fetch(options())
    snapshot = checkpoint.find(options())
    assert snapshot
    for name in ("tokenizer_config.json", SHARDS[2]):
        (snapshot / name).unlink()
    assert f"the run would get {SHARDS[2]}, tokenizer_config.json too" in notes(tmp_path)
    assert checkpoint.fetch(options()) == snapshot and (snapshot / SHARDS[2]).exists()


def test_a_model_that_is_not_here_is_still_said_so(sharded: Hub, tmp_path: Path) -> None:
    assert notes(tmp_path) == "model: acme/tiny is not on this machine yet; the run would get it"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            {"name": "acme/other"},
            r"model\.name: acme/other is not .*; name a directory instead; built in: smollm2-135m$",
        ),
        ({"name": NAME, "adapter": "nowhere"}, r"model\.adapter: nowhere is not .*; name a directory instead$"),
        ({"name": NAME, "adapter": "acme/sums@round-001"}, r"model\.adapter: acme/sums is not .* directory instead$"),
    ],
)
def test_without_the_hub_models_that_are_built_in_are_named_in_place_of_a_model_only(
    sharded: Hub, monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fetch = checkpoint.adapter if "adapter" in model else checkpoint.fetch
    with pytest.raises(ModelError, match=words):
        fetch(checkpoint.ModelOptions(**model))


def test_without_the_hub_what_is_missing_is_said(sharded: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    get("config.json")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"missing model\.safetensors, the tokenizer, and the hub can't be reached"):
        checkpoint.fetch(options())


def test_weights_are_fetched_once_where_a_repository_has_them_twice(hub: Hub, tmp_path: Path) -> None:
    twice = model(tmp_path / "twice", consolidated__safetensors=weights(), params__json={})
    for name in ("original", "onnx", "additional"):
        (twice / name).mkdir()
        (twice / name / "model.safetensors").write_bytes(weights())
        (twice / name / "config.json").write_text("{}")
    pushed(hub, twice)
    path = checkpoint.fetch(options())
    assert [str(file.relative_to(path)) for file in path.rglob("*.safetensors")] == ["model.safetensors"]
    assert not list(path.glob("*/*"))
    listed = model(tmp_path / "both", model__safetensors__index__json=index("part.safetensors"))
    (listed / "part.safetensors").write_bytes(weights())
    pushed(hub, listed, "2" * 40)
    path = checkpoint.fetch(options("2" * 40))
    assert [file.name for file in path.glob("*.safetensors")] == ["part.safetensors"]


PICKLES = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")


@pytest.mark.parametrize("names", [("pytorch_model.bin",), PICKLES])
def test_pickles_are_fetched_only_where_they_are_trusted_and_needed(
    hub: Hub, tmp_path: Path, names: tuple[str, ...]
) -> None:
    files: dict[str, Any] = dict.fromkeys(names, b"a pickle")
    files |= {"pytorch_model__bin__index__json": index(*names)} if names is PICKLES else {}
    pushed(hub, model(tmp_path / "pickled", "model.safetensors", **files))
    with pytest.raises(ModelError, match=r"model\.name: acme/tiny: the weights are pickled"):
        checkpoint.fetch(options())
    assert not [asked for asked in hub.asked if asked.endswith(".bin")]
    trusting = checkpoint.ModelOptions(name=NAME, allow_pickle=True)
    fetched = checkpoint.fetch(trusting)
    assert all((fetched / name).exists() for name in names)


def test_safetensors_are_preferred_to_the_pickles_that_an_index_lists(hub: Hub, tmp_path: Path) -> None:
    pickles = dict.fromkeys(PICKLES, b"a pickle")
    pushed(hub, model(tmp_path / "both", pytorch_model__bin__index__json=index(*PICKLES), **pickles))
    path = checkpoint.fetch(options())
    assert folder.weights(path) == ["model.safetensors"] and not list(path.glob("*.bin"))


def test_what_no_library_reads_need_not_be_here(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program fetched the model by patterns of its own, and the hub can't be reached."""
    from huggingface_hub import snapshot_download

    others = {"params__json": {}, "configuration__json": {}, "LICENSE__txt": b"words"}
    pushed(hub, model(tmp_path / "more", **others, vocab__json={}, merges__txt=b"a b"))
    without = ["params.json", "configuration.json", "LICENSE.txt"]
    snapshot = Path(snapshot_download(NAME, ignore_patterns=without))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert checkpoint.find(options()) == snapshot
    (snapshot / "merges.txt").unlink()
    assert checkpoint.missing(options()) == ["merges.txt"]


def test_a_tokenizer_of_several_files_is_fetched_whole(hub: Hub, tmp_path: Path) -> None:
    pushed(hub, model(tmp_path / "gpt2", "tokenizer.json", vocab__json={"a": 0}, merges__txt=b"a b"))
    assert (checkpoint.fetch(options()) / "merges.txt").read_bytes() == b"a b"


def test_a_revision_is_a_commit_a_tag_or_the_newest(hub: Hub, tmp_path: Path) -> None:
    pushed(hub, model(tmp_path / "first", model__safetensors=weights(w=(1,))), "a" * 40)
    pushed(hub, model(tmp_path / "second", model__safetensors=weights(w=(2,))), "b" * 40)
    hub.repos[NAME].tags["v1"] = "a" * 40
    for revision, commit in (None, "b" * 40), ("v1", "a" * 40), ("b" * 40, "b" * 40):
        asked = options(revision)
        assert checkpoint.fetch(asked).name == commit
        found, digest = checkpoint.identity(asked)
        assert found == commit and digest
    assert checkpoint.num_parameters(checkpoint.fetch(options("v1"))) == 1
    with pytest.raises(ModelError, match="acme/tiny has no revision v2"):
        checkpoint.fetch(options("v2"))


def test_what_is_fetched_is_checked(hub: Hub, tmp_path: Path) -> None:
    pushed(hub, model(tmp_path / "torn", model__safetensors=weights()[:-1]))
    with pytest.raises(ModelError, match="cut off"):
        checkpoint.fetch(options())
