"""`trainer_args`, `lora_args` and `engine_args`: any option of trl's config, of peft's LoraConfig and of vLLM's engine,
handed through as it is.

What is handed through is held against the fields of the classes that are installed. An option that has a key of
byheart's own is refused, and so is one that byheart sets itself, since another value would contradict the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from byheart import registry
from byheart.errors import RecipeError
from byheart.recipe import Recipe

CLASSES = {
    "SFTConfig": "from trl import SFTConfig as kind",
    "DPOConfig": "from trl import DPOConfig as kind",
    "LoraConfig": "from peft import LoraConfig as kind",
    "EngineArgs": "from vllm.engine.arg_utils import EngineArgs as kind",
}
"""The classes whose fields may be set, and how they are imported."""

OWN_KEYS = {
    "trainer_args": {
        "learning_rate": "objective.learning_rate",
        "num_train_epochs": "objective.epochs",
        "max_steps": "objective.max_optimizer_steps",
        "per_device_train_batch_size": "objective.global_batch_size",
        "gradient_accumulation_steps": "objective.gradient_accumulation_steps",
        "gradient_checkpointing": "objective.gradient_checkpointing",
        "bf16": "objective.precision",
        "fp16": "objective.precision",
        "seed": "seed",
        "data_seed": "seed",
        "beta": "objective.beta",
    },
    "lora_args": {"r": "objective.lora_r", "lora_alpha": "objective.lora_alpha"},
    "engine_args": {
        "model": "model.name",
        "dtype": "model.dtype",
        "max_model_len": "model.max_context",
        "max_num_seqs": "engine.max_num_seqs",
        "tensor_parallel_size": "engine.tensor_parallel_size",
        "data_parallel_size": "engine.data_parallel_size",
        "gpu_memory_utilization": "engine.gpu_memory_utilization",
        "max_lora_rank": "engine.max_lora_rank",
        "seed": "seed",
    },
}
"""Option of the library -> the key of a recipe that sets it."""

SET = {
    "trainer_args": {
        "assistant_only_loss": "the loss is on the completion, token by token as the policy wrote it",
        "completion_only_loss": "the loss is on the completion, token by token as the policy wrote it",
        "chat_template_path": "prompts are encoded as the engine encodes them",
        "eos_token": "prompts are encoded as the engine encodes them",
        "dataset_text_field": "the dataset is made of tokens",
        "dataset_kwargs": "the dataset is made of tokens",
        "max_length": "a row that fitted the model's context is never cut",
        "truncation_mode": "a row that fitted the model's context is never cut",
        "output_dir": "checkpoints lie in the round's directory",
        "disable_tqdm": "byheart shows the progress",
        "remove_unused_columns": "the columns are those that the trainer takes",
        "resume_from_checkpoint": "byheart resumes from the last whole checkpoint",
        "save_strategy": "byheart resumes from the last whole checkpoint",
        "save_total_limit": "byheart resumes from the last whole checkpoint",
        "save_only_model": "byheart resumes from the last whole checkpoint",
        "load_best_model_at_end": "a policy is promoted by what it solves",
        "eval_strategy": "a policy is measured by the stage evaluate",
        "push_to_hub": "`byheart publish` pushes a round",
        "fsdp": "accelerate's config says how training is spread",
        "fsdp_config": "accelerate's config says how training is spread",
        "deepspeed": "accelerate's config says how training is spread",
        "use_cpu": "it is trained on GPUs where there are any",
        "trust_remote_code": "code that comes with a model is never run",
    },
    "lora_args": {
        "task_type": "a causal language model is trained",
        "base_model_name_or_path": "it is model.name",
        "inference_mode": "it is trained",
        "modules_to_save": "engines serve low-rank adapters alone",
    },
    "engine_args": {
        "tokenizer": "prompts are encoded as the model's own tokenizer does",
        "tokenizer_mode": "prompts are encoded as the model's own tokenizer does",
        "skip_tokenizer_init": "prompts are encoded as the model's own tokenizer does",
        "trust_remote_code": "code that comes with a model is never run",
        "enable_lora": "policies are served as LoRA adapters",
        "max_loras": "the policy and its scorer are served at a time",
        "lora_target_modules": "they are those that are trained",
        "enable_prefix_caching": "searches go on from what was written before",
        "enable_sleep_mode": "the engine sleeps while the policy is trained",
        "scheduling_policy": "problems that were begun first are served first",
        "hf_overrides": "scores come from a head in float32",
        "logprobs_mode": "a log-probability is that at temperature 1",
        "generation_config": "the strategy says how to sample",
        "override_generation_config": "the strategy says how to sample",
        "distributed_executor_backend": "it is chosen with the number of GPUs",
    },
}
"""Option of the library that byheart sets itself -> why."""


MODEL_SET = {
    "dtype": "objective.precision",
    "torch_dtype": "objective.precision",
    "quantization_config": "objective.load_in_4bit",
    "use_safetensors": "model.allow_pickle",
}
"""Option of from_pretrained -> the key of a recipe that sets it."""


def check(recipe: Recipe) -> None:
    """Raises RecipeError, naming every one, where an argument is not known to the installed libraries, has a key of its
    own, or is set by byheart; or where objective or engine take no arguments. Imports the libraries in a process of its
    own."""
    wrong = []
    for section in ("trainer_args", "lora_args"):
        if getattr(recipe, section) and not recipe.objective.trainer_configs:
            wrong.append(f"{section}: the objective {recipe.objective.name!r} takes none")
    if recipe.engine_args and not recipe.engine.worker().takes_args:
        wrong.append(f"engine_args: they are vLLM's, and the engine {recipe.engine.name!r} takes none")
    if not wrong:
        wrong += _wrong("trainer_args", recipe.trainer_args, recipe.objective.trainer_configs)
        wrong += _wrong("lora_args", recipe.lora_args, ("LoraConfig",))
        wrong += _wrong("engine_args", recipe.engine_args, ("EngineArgs",))
    if wrong:
        raise RecipeError("\n".join(wrong))


def _wrong(section: str, arguments: dict[str, Any], kinds: Sequence[str]) -> list[str]:
    if not arguments:
        return []
    lines = []
    known = {name for kind in kinds for name in _fields(section, kind)}
    for key in arguments:
        if key in OWN_KEYS[section]:
            lines.append(f"{section}.{key}: say {OWN_KEYS[section][key]}")
        elif key in SET[section]:
            lines.append(f"{section}.{key}: byheart sets it itself: {SET[section][key]}")
        elif key not in known:
            near = registry.nearest(key, known)
            lines.append(f"{section}.{key}: no such option in {' or '.join(kinds)} as installed{near}")
    for key in arguments.get("model_init_kwargs") or {}:  # of trainer_args
        if key in MODEL_SET:
            lines.append(f"{section}.model_init_kwargs.{key}: say {MODEL_SET[key]}")
        elif key == "trust_remote_code":
            lines.append(f"{section}.model_init_kwargs.{key}: byheart sets it itself: {SET[section][key]}")
    return lines


@cache
def _fields(section: str, kind: str) -> frozenset[str]:
    """The fields of a class as it is installed. Raises RecipeError where it can't be imported."""
    names = "[field.name for field in dataclasses.fields(kind)]"
    code = f"import dataclasses, json; {CLASSES[kind]}; print(json.dumps({names}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RecipeError(f"{section}: {kind} can't be imported here: {done.stderr.strip().splitlines()[-1]}")
    return frozenset(json.loads(done.stdout.strip().splitlines()[-1]))
