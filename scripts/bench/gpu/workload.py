"""What every measurement is given: a Llama with random weights, prompts and solutions of random letters, and the
settings of a recipe that comes with byheart. Speed depends on shapes and lengths, not on what the weights know.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.models import checkpoint
from byheart.objectives.sft import SFT
from byheart.plugins.plugin import SHIPPED
from byheart.types import Problem


@dataclass(frozen=True)
class Shape:
    """A Llama's sizes, the recipe whose settings are timed on it, and how many prompts and solutions there are."""

    llama: dict[str, Any]
    recipe: str
    num_prompts: int
    num_rows: int
    overrides: tuple[str, ...] = ()


SHAPES = {
    "tiny": Shape(
        {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "tie_word_embeddings": True},
        "llama-3.2-1b-gsm8k", 2, 4,
        ("strategy.max_tokens=4", "engine.max_num_seqs=8", "objective.global_batch_size=2",
         "objective.gradient_accumulation_steps=2"),
    ),
    "1b": Shape(
        {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
         "num_key_value_heads": 8, "tie_word_embeddings": True},
        "llama-3.2-1b-gsm8k", 256, 1024,
    ),
    "8b": Shape(
        {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 8, "tie_word_embeddings": False},
        "llama-3.1-8b-gsm8k", 256, 1024,
    ),
}  # fmt: skip

SHORTER = (
    "strategy.max_samples=4",  # one request for each prompt, so that plain vLLM can be asked for the same in one call
    "strategy.max_tokens=192",
    "engine.tensor_parallel_size=1",
    "engine.data_parallel_size=1",
    "objective.epochs=1.0",
    "objective.min_optimizer_steps=1",
)
"""Overrides for every shape: one GPU, one request for each prompt, and minutes instead of hours."""


@dataclass(frozen=True)
class Workload:
    """One `shape` with the user's `overrides` of its recipe; all files are in `folder`."""

    shape: str
    folder: Path
    overrides: list[str] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The model's directory; `make` fills it."""
        return self.folder / "model"

    @property
    def adapter(self) -> Path:
        """The directory of a LoRA adapter of the model; `make` fills it."""
        return self.folder / "lora/adapter"

    @property
    def recipe(self) -> Recipe:
        """The recipe whose settings are timed. Raises RecipeError where an override does not fit."""
        shape = SHAPES[self.shape]
        overrides = [*SHORTER, *shape.overrides, *self.overrides, f"model.name={self.base}"]
        return recipe.read(SHIPPED / f"{shape.recipe}.yaml", overrides)

    @property
    def sft(self) -> SFT:
        """The recipe's objective."""
        objective = self.recipe.objective
        assert isinstance(objective, SFT)
        return objective

    def problems(self, run: int) -> list[Problem]:
        """The prompts of one run, about 100 tokens each, of which no other run has any: none is in a prefix cache."""
        rng = random.Random(run)
        verifier = self.recipe.task.verifier.name
        texts = [f"{run}.{n}. {_words(rng, 70)}" for n in range(SHAPES[self.shape].num_prompts)]
        return [Problem.of([{"role": "user", "content": text}], "1", verifier) for text in texts]

    def rows(self) -> list[dict[str, Any]]:
        """Solutions to learn: prompts of 40 to 90 words, completions of 60 to 220."""
        rng = random.Random(0)
        return [
            {
                "prompt": [{"role": "user", "content": _words(rng, rng.randint(40, 90))}],
                "completion": [{"role": "assistant", "content": _words(rng, rng.randint(60, 220))}],
            }
            for _ in range(SHAPES[self.shape].num_rows)
        ]


def make(work: Workload) -> dict[str, Any]:
    """Write the model, with the tokenizer and chat template of SmolLM2-135M-Instruct, and the adapter."""
    import torch
    from byheart.models import weights
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = checkpoint.tokenizer(checkpoint.fetch(checkpoint.ModelOptions(name="smollm2-135m")))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **SHAPES[work.shape].llama,
    )
    torch.manual_seed(0)
    on_gpu = torch.cuda.is_available()
    with torch.device("cuda" if on_gpu else "cpu"):
        model = LlamaForCausalLM(config)
    model.to(torch.bfloat16 if on_gpu else torch.float32).save_pretrained(work.base)
    tokenizer.save_pretrained(work.base)
    objective = work.sft
    lora = LoraConfig(
        r=objective.lora_r,
        lora_alpha=objective.lora_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        init_lora_weights=False,
    )
    adapted = get_peft_model(model, lora)
    adapted.save_pretrained(work.adapter)
    if not on_gpu:
        weights.merge(work.base, work.adapter)  # a CPU samples from these, and training leaves them
    return {"parameters": checkpoint.num_parameters(work.base), "vocabulary": len(tokenizer)}


def _words(rng: random.Random, number: int) -> str:
    return " ".join(rng.choices(ascii_lowercase, k=number))  # " q" is one token, as a short word is
