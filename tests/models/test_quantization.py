"""A quantized model that the installed libraries can't load is refused by name, before anything is sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.engines.transformers import Transformers
from byheart.engines.vllm import VLLM
from byheart.errors import ModelError
from byheart.models import quantization

from tests.models.directories import CONFIG, index, model

pytestmark = pytest.mark.torch


def quantized(path: Path, **settings: Any) -> Path:
    shape = {"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 64}
    config = CONFIG | shape | {"architectures": ["LlamaForCausalLM"], "quantization_config": settings}
    return model(path, config__json=config)


def refused(path: Path, trained: bool = True) -> str:
    with pytest.raises(ModelError) as raised:
        quantization.check(path, trained)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes), which transformers can't use here: "),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq), which transformers can't use here: "),
        ({"quant_method": "awq", "bits": 4}, "awq), which transformers can't use here: "),
        ({"quant_method": "another"}, "Unknown quantization type, got another"),
        ({"bits": 4}, "no `quant_method` attribute"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, settings: dict[str, Any], why: str) -> None:
    assert why in refused(quantized(tmp_path / "m", **settings))


def test_what_can_be_sampled_from_can_not_always_be_trained(tmp_path: Path) -> None:
    path = quantized(tmp_path / "m", quant_method="mxfp4")
    quantization.check(path, trained=False)
    assert "can't be trained on" in refused(path)


def test_what_is_not_quantized_is_not_asked_about(tmp_path: Path) -> None:
    quantization.check(model(tmp_path / "plain"), trained=True)
    quantization.check(model(tmp_path / "null", config__json=CONFIG | {"quantization_config": None}), trained=True)


@pytest.mark.parametrize(("engine", "objective"), [("transformers", "none"), ("scripted", "sft")])
def test_a_recipe_that_samples_or_trains_with_transformers_is_refused(
    tmp_path: Path, engine: str, objective: str
) -> None:
    path = quantized(tmp_path / "m", quant_method="bitsandbytes", load_in_4bit=True)
    (tmp_path / "script.json").write_text("{}")
    script = {"script": str(tmp_path / "script.json")} if engine == "scripted" else {}
    parts = {"task": {"name": "arithmetic"}, "engine": {"name": engine, **script}, "objective": objective}
    with pytest.raises(ModelError, match="bitsandbytes"):
        validation.check_model(recipe.parse({"name": "r", "model": {"name": str(path)}, **parts}))


@pytest.mark.engine
def test_vllm_is_asked_itself(tmp_path: Path) -> None:
    four = quantized(tmp_path / "four", quant_method="bitsandbytes", load_in_4bit=True)
    with pytest.raises(ModelError, match=r"\(bitsandbytes\), which vLLM can't use here: .*Unknown quantization method"):
        VLLM().check_model(four)
    VLLM().check_model(
        quantized(tmp_path / "gptq", quant_method="gptq", bits=4, group_size=128, desc_act=False, sym=True)
    )
    VLLM().check_model(model(tmp_path / "plain"))


def test_vllm_would_load_weights_beside_the_models(tmp_path: Path) -> None:
    path = model(tmp_path / "m", consolidated__safetensors=b"another format")
    with pytest.raises(ModelError, match=r"would load consolidated\.safetensors together with the model's weights"):
        VLLM().check_model(path)
    Transformers().check_model(path)
    (path / "model.safetensors.index.json").write_text(index("model.safetensors"))
    VLLM().check_model(path)
