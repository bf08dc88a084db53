"""Files of a model that are missing, cut off or not what they seem are said in one line, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart.errors import ModelError
from byheart.models import checkpoint, folder

from tests.models.directories import CONFIG, POINTER, index, model, weights

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
SHARDS = {"model__safetensors__index__json": index(FIRST, SECOND), FIRST: weights(a=(2, 3)), SECOND: weights(b=(4,))}


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as raised:
        checkpoint.find(checkpoint.ModelOptions(name=str(path), **options))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def found(path: Path, **options: Any) -> bool:
    return checkpoint.find(checkpoint.ModelOptions(name=str(path), **options)) == path


def test_a_whole_model_is_taken(tmp_path: Path) -> None:
    assert found(model(tmp_path / "one"))
    assert found(model(tmp_path / "shards", "model.safetensors", **SHARDS))


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"]
)
def test_a_pointer_of_git_lfs_is_called_that(tmp_path: Path, name: str) -> None:
    path = model(tmp_path / "m", **{name: POINTER})
    assert f"{path / name} is a pointer of Git LFS" in refused(path)
    assert f"git lfs pull, in {path}" in refused(path)


@pytest.mark.parametrize("file", [FIRST, "model.safetensors.index.json"])
def test_so_is_one_of_the_shards_or_the_index(tmp_path: Path, file: str) -> None:
    assert f"{file} is a pointer of Git LFS" in refused(
        model(tmp_path / "m", "model.safetensors", **SHARDS | {file: POINTER})
    )


@pytest.mark.parametrize("size", [0, 5, 60, len(weights()) - 1])
def test_weights_that_are_cut_off_are_said(tmp_path: Path, size: int) -> None:
    assert "model.safetensors: the weights " in refused(model(tmp_path / "m", model__safetensors=weights()[:size]))


def headed(header: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header


@pytest.mark.parametrize(
    "raw",
    [
        *(b"weights", (2**62).to_bytes(8, "little") + b"{}", headed(b"not JSON."), headed(b"[]")),
        headed(b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}'),
        headed(b'{"w": {"dtype": "F32", "shape": ["1"], "data_offsets": [0, 4]}}'),
    ],
)
def test_so_are_those_that_are_none(tmp_path: Path, raw: bytes) -> None:
    assert "model.safetensors: the weights can't be read" in refused(model(tmp_path / "m", model__safetensors=raw))


def test_a_shard_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = model(tmp_path / "m", "model.safetensors", **SHARDS | {SECOND: SHARDS[SECOND][:-4]})
    assert f"{SECOND}: the weights are cut off" in refused(path)


def test_shards_that_are_missing_are_named(tmp_path: Path) -> None:
    one = model(tmp_path / "one", "model.safetensors", SECOND, **SHARDS)
    assert f"1 of 2 files of weights missing: {SECOND};" in refused(one)
    many = {"model__safetensors__index__json": index(*(f"{letter}.safetensors" for letter in "abcdef"))}
    all_ = model(tmp_path / "all", "model.safetensors", **many)
    assert "6 of 6 files of weights missing: a.safetensors, b.safetensors, c.safetensors and 3 more" in refused(all_)


@pytest.mark.parametrize(
    "raw",
    [
        *("{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "[]", "{", POINTER),
        *map(index, ("", "/etc/passwd", "../other/model.safetensors", "a" * 300, "ä" * 200)),
    ],
)
def test_an_index_that_lists_nothing_is_said(tmp_path: Path, raw: str) -> None:
    assert "model.safetensors.index.json" in refused(model(tmp_path / "m", model__safetensors__index__json=raw))


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("raw", ['{"a": ', "[1]", b"\xff\xfe{\x00}\x00"])
def test_a_torn_setting_is_named(tmp_path: Path, name: str, raw: str | bytes) -> None:
    assert f"{name} " in refused(model(tmp_path / "m", **{name: raw}))


def test_two_sets_of_weights_that_libraries_would_choose_from_are_refused(tmp_path: Path) -> None:
    assert "two sets of weights" in refused(model(tmp_path / "both", **SHARDS))
    same = index("model.safetensors", "model.safetensors")
    assert found(model(tmp_path / "one", model__safetensors__index__json=same))


@pytest.mark.parametrize("beside", ["consolidated.safetensors", "model.fp16.safetensors"])
def test_weights_beside_the_models_are_not_counted_and_name_nothing(tmp_path: Path, beside: str) -> None:
    single, indexed = model(tmp_path / "single"), model(tmp_path / "indexed", "model.safetensors", **SHARDS)
    for path in (single, indexed):
        options = checkpoint.ModelOptions(name=str(path))
        before = checkpoint.num_parameters(path), checkpoint.identity(options)
        (path / beside).write_bytes(weights(c=(100, 100)))
        assert found(path)
        assert (checkpoint.num_parameters(path), checkpoint.identity(options)) == before
        assert folder.beside(path) == [beside]
    assert checkpoint.num_parameters(indexed) == 2 * 3 + 4


def test_pickled_weights_are_taken_only_where_they_are_trusted(tmp_path: Path) -> None:
    path = model(tmp_path / "m", "model.safetensors", pytorch_model__bin=b"a pickle")
    assert "model.allow_pickle=true" in refused(path)
    assert found(path, allow_pickle=True)
    (path / "pytorch_model.bin.index.json").write_text(index("a.bin", "pytorch_model.bin"))
    assert "1 of 2 files of weights missing: a.bin" in refused(path, allow_pickle=True)


def test_no_weights_are_said(tmp_path: Path) -> None:
    assert "no weights here" in refused(model(tmp_path / "m", "model.safetensors"))
    others = model(tmp_path / "others", "model.safetensors", consolidated__safetensors=weights())
    assert "no weights here" in refused(others)


def test_parameters_are_those_of_the_headers(tmp_path: Path) -> None:
    raw = weights(w=(3, 4), b=(5,), scale=())
    assert checkpoint.num_parameters(model(tmp_path / "m", model__safetensors=raw)) == 3 * 4 + 5 + 1


def test_directories_and_built_in_models_have_no_revision(tmp_path: Path) -> None:
    assert "is a directory, which has no revisions" in refused(model(tmp_path / "m"), revision="main")
    with pytest.raises(ModelError, match="is built in and has no revisions"):
        checkpoint.find(checkpoint.ModelOptions(name="smollm2-135m", revision="v1"))


def test_a_revision_that_is_not_asked_for_changes_no_digest() -> None:
    assert "revision" not in checkpoint.ModelOptions(name="a/b").model_dump()
    assert json.loads(checkpoint.ModelOptions(name="a/b", revision="v1").model_dump_json())["revision"] == "v1"


def test_a_config_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").write_text(json.dumps(CONFIG))
    assert "no weights here" in refused(tmp_path / "m")


@pytest.mark.parametrize(
    ("says", "context"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 32768}, "vision_config": {"max_position_embeddings": 77}}, 32768),
    ],
)
def test_the_longest_context_is_what_config_json_says(tmp_path: Path, says: dict[str, Any], context: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps(says))
    assert checkpoint.context_length(tmp_path) == context


@pytest.mark.parametrize("says", [{}, {"text_config": {"model_type": "gemma3_text"}}])
def test_a_config_that_says_none_limits_no_recipe(tmp_path: Path, says: dict[str, Any]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(says))
    assert checkpoint.context_length(tmp_path) > 10**9
