"""An adapter on disk: what its card may say of it, and which base models it is taken for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
from byheart.config import validation
from byheart.config.recipe import parse
from byheart.errors import ModelError, RecipeError
from byheart.models import checkpoint, lora
from byheart.models.checkpoint import ModelOptions
from byheart.models.lora import Lora
from safetensors.numpy import save_file

MODULES = {"self_attn.q_proj": (8, 8), "self_attn.k_proj": (4, 8), "mlp.down_proj": (8, 16)}
"""(outputs, inputs) of the layers' modules."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The weights of a model of two layers, without a tokenizer."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    save_file(
        {
            f"model.layers.{layer}.{name}.weight": numpy.zeros(shape, numpy.float32)
            for layer in (0, 1)
            for name, shape in MODULES.items()
        },
        folder / "model.safetensors",
    )
    return folder


def adapter(folder: Path, layers: int = 2, wider: int = 0, rank: int = 2, **config: Any) -> Path:
    """An adapter on the first `layers` of a model whose modules have `wider` more inputs."""
    folder.mkdir()
    tensors = {}
    for layer in range(layers):
        for name, (outputs, inputs) in MODULES.items():
            module = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{module}.lora_A.weight"] = numpy.zeros((rank, inputs + wider), numpy.float32)
            tensors[f"{module}.lora_B.weight"] = numpy.zeros((outputs, rank), numpy.float32)
    save_file(tensors, folder / lora.WEIGHTS)
    targets = ["q_proj", "k_proj", "down_proj"]
    known = {"peft_type": "LORA", "r": rank, "lora_alpha": 4, "target_modules": targets}
    (folder / lora.CONFIG).write_text(json.dumps(known | {"base_model_name_or_path": None} | config))
    return folder


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"r": 128, "lora_alpha": 256}, "rank 128, alpha 256, on down_proj, k_proj, q_proj"),
        ({"rank_pattern": {"q_proj": 64}, "use_dora": True}, "rank 64, alpha 4 (DoRA), on down_proj, k_proj, q_proj"),
        ({"use_rslora": True, "target_modules": "all-linear"}, "rank 2, alpha 4 (rsLoRA), on every linear layer"),
        ({"lora_alpha": 0.5, "target_modules": r".*\.q_proj"}, r"rank 2, alpha 0.5, on .*\.q_proj"),
    ],
)
def test_it_says_what_it_is(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    assert str(Lora.read(adapter(tmp_path / "a", **config))) == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"peft_type": "IA3"}', "an adapter of the type IA3; byheart takes those of LoRA"),
        ('{"peft_type": "LORA"}', "not what peft writes of an adapter of LoRA"),
        ('{"r": 8, "lora_alpha": 8, "rank_pattern": [1]}', "not what peft writes of an adapter of LoRA"),
        ('{"r": "eight", "lora_alpha": 8}', "not what peft writes of an adapter of LoRA"),
        ('{"r": 8', "can't be read"),
    ],
)
def test_what_is_no_adapter_of_lora_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / lora.CONFIG).write_text(text)
    with pytest.raises(ModelError, match=message):
        Lora.read(tmp_path)


@pytest.mark.parametrize(
    ("base", "another"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", False),
        ("huggingfacetb/smollm2-135m-instruct", False),
        ("unsloth/SmolLM2-135M-Instruct", False),
        ("unsloth/SmolLM2-135M-Instruct-bnb-4bit", False),
        ("unsloth/SmolLM2-135M-Instruct-unsloth-bnb-4bit", False),
        ("someone/SmolLM2-135M-Instruct_GPTQ_int4", False),
        ("/home/trainer/models/anything", False),
        ("../base", False),
        ("base", False),
        (None, False),
        ("HuggingFaceTB/SmolLM2-135M", True),
        ("meta-llama/Llama-3.1-8B", True),
        ("unsloth/SmolLM2-360M-Instruct-bnb-4bit", True),
    ],
)
def test_a_mirror_or_a_path_names_no_other_model(base: str | None, another: bool) -> None:
    assert lora.names_another(base, "HuggingFaceTB/SmolLM2-135M-Instruct") is another


def test_the_older_name_of_llama_is_the_same() -> None:
    assert not lora.names_another("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "meta-llama/Llama-3.1-8B-Instruct")


def test_shapes_tell_if_it_fits(tmp_path: Path, model: Path) -> None:
    assert lora.misfit(adapter(tmp_path / "fits"), model) is None
    assert lora.misfit(adapter(tmp_path / "larger", rank=5), model) is None
    assert lora.misfit(adapter(tmp_path / "wider", wider=8), model) == (
        "model.layers.0.mlp.down_proj is 8 x 16 in the model, and the adapter was made for 8 x 24"
    )
    assert lora.misfit(adapter(tmp_path / "deeper", layers=3), model) == (
        "it is on model.layers.2.mlp.down_proj, which the model does not have"
    )
    assert lora.misfit(adapter(tmp_path / "flatter", layers=1), model) == "it has nothing for 1 of the model's 2 layers"


@pytest.mark.parametrize(
    ("tensor", "module"),
    [
        ("h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn"),
        ("decoder.layers.0.fc1.weight", "model.decoder.layers.0.fc1"),
        ("model.layers.0.mlp.experts.0.up_proj.weight", "model.layers.0.mlp.experts"),
    ],
)
def test_files_may_name_modules_otherwise(tmp_path: Path, model: Path, tensor: str, module: str) -> None:
    save_file({tensor: numpy.zeros((8, 4), numpy.float32)}, model / "model.safetensors")
    fits = adapter(tmp_path / "a", layers=0)
    sides = {"A": (2, 4), "B": (8, 2)}
    tensors = {f"base_model.model.{module}.lora_{side}.weight": numpy.zeros(sides[side]) for side in sides}
    save_file(tensors, fits / lora.WEIGHTS)
    assert lora.misfit(fits, model) is None
    save_file({name.replace(".0.", ".7."): tensor for name, tensor in tensors.items()}, fits / lora.WEIGHTS)
    assert "which the model does not have" in str(lora.misfit(fits, model))


@pytest.mark.parametrize(
    "config", [{"layers_to_transform": [0]}, {"target_modules": r".*\.0\..*"}, {"target_modules": ["layers.0.q_proj"]}]
)
def test_it_may_be_meant_for_some_layers(tmp_path: Path, model: Path, config: dict[str, Any]) -> None:
    assert lora.misfit(adapter(tmp_path / "a", layers=1, **config), model) is None


def test_shapes_of_quantized_weights_say_nothing(tmp_path: Path, model: Path) -> None:
    (model / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "bitsandbytes"}}))
    assert lora.misfit(adapter(tmp_path / "a", wider=8), model) is None


@pytest.mark.parametrize("base", ["meta-llama/Llama-3.1-8B", "/home/trainer/base", None])
def test_with_a_directory_only_shapes_are_compared(tmp_path: Path, model: Path, base: str | None) -> None:
    fits = adapter(tmp_path / "fits", base_model_name_or_path=base)
    assert checkpoint.adapter(ModelOptions(name=str(model), adapter=str(fits))) == fits
    wider = adapter(tmp_path / "wider", wider=8, base_model_name_or_path=base)
    with pytest.raises(ModelError, match=r"wider does not fit .*model: model\.layers\.0\.mlp\.down_proj is 8 x 16"):
        checkpoint.adapter(ModelOptions(name=str(model), adapter=str(wider)))


def test_another_model_by_name_is_refused_with_the_way_round(tmp_path: Path) -> None:
    other = adapter(tmp_path / "a", base_model_name_or_path="meta-llama/Llama-3.1-8B")
    with pytest.raises(
        ModelError, match=r"was made for meta-llama/Llama-3\.1-8B, and .* let model.name be the model's dir"
    ):
        checkpoint.adapter(ModelOptions(name="me/model-of-mine", adapter=str(other)))


@pytest.mark.parametrize("config", [{"r": 128}, {"rank_pattern": {"q_proj": 256}}])
def test_a_rank_that_the_engine_does_not_serve_is_refused_before_a_run(
    tmp_path: Path, model: Path, config: dict[str, Any]
) -> None:
    raw = {
        "name": "r",
        "model": {"name": str(model), "adapter": str(adapter(tmp_path / "a", **config))},
        "task": {"name": "arithmetic"},
    }
    rank = max(config.get("r", 0), *config.get("rank_pattern", {}).values(), 0)
    with pytest.raises(RecipeError, match=f"model.adapter: its rank, {rank}, is more than engine.max_lora_rank, 64"):
        validation.check(parse(raw))
    validation.check(parse(raw | {"engine": {"name": "vllm", "max_lora_rank": 256}}))
