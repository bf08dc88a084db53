"""Merged weights: the same, byte for byte, whatever made them, and as other versions read them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from byheart.models import weights
from byheart.objectives.sft import SFT
from safetensors import safe_open

from tests.objectives.conftest import make_job

pytestmark = [pytest.mark.train, pytest.mark.torch]


def stored_in(dtype: str, tiny: Path, folder: Path) -> Path:
    """The tiny Llama with its weights in this type, and a generation_config.json that transformers reads, not saves."""
    import torch
    from safetensors.torch import load_file, save_file

    base = Path(shutil.copytree(tiny, folder / "base"))
    tensors = {name: tensor.to(getattr(torch, dtype)) for name, tensor in load_file(tiny / "model.safetensors").items()}
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"dtype": dtype}))
    (base / weights.GENERATION).write_text(json.dumps({"do_sample": False, "temperature": 0.6, "eos_token_id": 2}))
    return base


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("stored", "precision"),
    [("bfloat16", "float32"), ("float16", "float32"), ("float32", "bfloat16"), ("float32", "float32")],
)
def test_merged_again_they_are_the_same_whatever_they_were_trained_in(
    tiny: Path, tmp_path: Path, stored: str, precision: Any
) -> None:
    base = stored_in(stored, tiny, tmp_path)
    job = make_job(base, tmp_path)
    options = SFT(min_optimizer_steps=4, max_optimizer_steps=4, learning_rate=0.02, precision=precision)
    options.fit(job)
    merged = job.out.parent / "merged"
    trained = contents(merged)
    with safe_open(merged / "model.safetensors", "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {f"torch.{stored}"}  # noqa: SIM118
    assert trained["model.safetensors"] != (base / "model.safetensors").read_bytes()
    assert trained[weights.GENERATION] == (base / weights.GENERATION).read_bytes()
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert trained[name] == (base / name).read_bytes()
    config = json.loads(trained["config.json"])
    assert config["torch_dtype"] == config["dtype"] == stored
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    weights.merge(base, job.out)
    assert contents(merged) == trained


@pytest.mark.slow
def test_a_process_of_its_own_makes_the_same(tiny: Path, tmp_path: Path) -> None:
    job = make_job(stored_in("bfloat16", tiny, tmp_path), tmp_path)
    SFT(min_optimizer_steps=4, max_optimizer_steps=4, learning_rate=0.02).fit(job)
    trained = contents(job.out.parent / "merged")
    shutil.rmtree(job.out.parent / "merged")
    assert contents(weights.plain(job.base, job.out)) == trained


@pytest.mark.parametrize(
    "variant",
    [{"use_dora": True}, {"use_rslora": True}, {"modules_to_save": ["embed_tokens"]}, {"bias": "lora_only"}],
    ids=["dora", "rslora", "embeddings", "bias"],
)
def test_so_are_those_with_another_kind_of_adapter(tiny: Path, tmp_path: Path, variant: dict[str, Any]) -> None:
    """They answer as the adapter on the base does."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    def base() -> Any:
        return AutoModelForCausalLM.from_pretrained(tiny)

    torch.manual_seed(0)
    config = LoraConfig(target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **variant)
    get_peft_model(base(), config).save_pretrained(tmp_path / "adapter")
    weights.merge(tiny, tmp_path / "adapter")
    first = contents(tmp_path / "merged")
    ids = torch.tensor([[1, 5, 9, 2, 7]])
    adapted = PeftModel.from_pretrained(base(), tmp_path / "adapter")(ids).logits
    assert not torch.allclose(adapted, base()(ids).logits, atol=1e-2)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(ids).logits
    assert torch.allclose(merged, adapted, atol=1e-3)
    weights.merge(tiny, tmp_path / "adapter")
    assert contents(tmp_path / "merged") == first
