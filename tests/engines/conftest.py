"""Adapters that change what the tiny model says, and what transformers thinks of an answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from byheart.models import chat, checkpoint
from byheart.models.weights import plain
from byheart.types import Prompt


@pytest.fixture(scope="session")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter, with its merged weights beside it."""
    return changed(tiny, tmp_path_factory.mktemp("round") / "try[1]*/adapter", seed=1)  # no pattern to anybody


@pytest.fixture(scope="session")
def scorer(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one."""
    return changed(tiny, tmp_path_factory.mktemp("scorer") / "adapter", seed=2)


LOUD = {
    "repetition_penalty": 1.8,
    "no_repeat_ngram_size": 2,
    "suppress_tokens": list(range(40, 200)),
    "begin_suppress_tokens": list(range(5, 40)),
    "bad_words_ids": [[200], [201]],
    "min_new_tokens": 9,
    "forced_eos_token_id": 2,
    "do_sample": True,
    "temperature": 0.1,
    "top_k": 3,
    "top_p": 0.4,
    "min_p": 0.3,
}
"""Settings of sampling by which no answer is what it is without them."""


def loud(model: Path, path: Path, **more: Any) -> Path:
    """A copy of `model` whose own settings of sampling are LOUD, and `more`."""
    shutil.copytree(model, path)
    (path / "generation_config.json").write_text(json.dumps(LOUD | more))
    return path


def changed(model: Path, path: Path, seed: int) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    settings = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), settings).save_pretrained(path)
    assert plain(model, path) == path.parent / "merged"
    return path


def a_word(tokenizer: Any, tokens: list[int]) -> str:
    """The first word of `tokens` that vLLM can forbid: alone and after a space it is one token."""
    words = (tokenizer.decode([token]).strip() for token in tokens)
    return next(str(word) for word in words if len(tokenizer.encode(word)) == len(tokenizer.encode(f" {word}")) == 1)


def log_likelihood(adapter: Path, prompt: Prompt, response: str) -> float:
    """ln p of the tokens that training would see of `response`, and of its end, under the merged weights."""
    import torch
    from transformers import AutoModelForCausalLM

    words = checkpoint.tokenizer(adapter.parent / "merged")
    said = response if isinstance(prompt, str) else [{"role": "assistant", "content": response}]
    row = chat.encode_example(words, {"prompt": prompt, "completion": said})
    model = AutoModelForCausalLM.from_pretrained(adapter.parent / "merged", dtype=torch.float32)
    with torch.no_grad():
        chances = model(torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
    tokens = list(enumerate(row["input_ids"]))
    return sum(float(chances[i - 1, token]) for i, token in tokens if row["completion_mask"][i])


def log_probability(model_dir: Path, prompt: Prompt, tokens: list[int]) -> float:
    """ln p of `tokens` after the prompt."""
    import torch
    from transformers import AutoModelForCausalLM

    ids = chat.encode_prompt(checkpoint.tokenizer(model_dir), prompt)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    with torch.no_grad():
        chances = model(torch.tensor([ids + tokens])).logits[0].log_softmax(-1)
    return sum(float(chances[len(ids) - 1 + place, token]) for place, token in enumerate(tokens))
