"""`trainer_args`, `lora_args` and `engine_args`: any option of trl's config, of peft's LoraConfig and of vLLM's engine,
handed through as it is.

What is handed through is held against the classes that are installed: an option against their fields, a value against
the field's annotation and what the class itself refuses. An option that has a key of byheart's own is refused, and so
is one that byheart sets itself, since another value would contradict the rest.

The libraries are imported in one child process (config/installed.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from byheart.config.recipe import Recipe
from byheart.errors import RecipeError
from byheart.plugins import registry
from byheart.plugins.plugin import kind_of

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
        "logging_nan_inf_filter": "a training that diverges is an error",
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
        "hub_token": "`byheart publish` pushes a round, with the token of `hf auth login` or HF_TOKEN",
        "hub_model_id": "`byheart publish` pushes a round",
        "hub_strategy": "`byheart publish` pushes a round",
        "hub_private_repo": "`byheart publish` pushes a round",
        "hub_always_push": "`byheart publish` pushes a round",
        "hub_revision": "`byheart publish` pushes a round",
        "auto_find_batch_size": "a step takes the rows that objective.global_batch_size says",
        "accelerator_config": "a step takes the rows that objective.global_batch_size says",
        "fsdp": "accelerate's config says how training is spread",
        "fsdp_config": "accelerate's config says how training is spread",
        "deepspeed": "accelerate's config says how training is spread",
        "parallelism_config": "accelerate's config says how training is spread",
        "use_cpu": "it is trained on GPUs where there are any",
        "trust_remote_code": "code that comes with a model is never run",
    },
    "lora_args": {
        "task_type": "a causal language model is trained",
        "base_model_name_or_path": "it is model.name",
        "inference_mode": "it is trained",
        "peft_type": "engines serve low-rank adapters alone",
        "modules_to_save": "engines serve low-rank adapters alone",
        "bias": "engines serve low-rank adapters alone",
        "lora_bias": "engines serve low-rank adapters alone",
        "use_dora": "engines serve low-rank adapters alone",
        "use_qalora": "engines serve low-rank adapters alone",
        "qalora_group_size": "engines serve low-rank adapters alone",
        "use_bdlora": "engines serve low-rank adapters alone",
        "monteclora_config": "engines serve low-rank adapters alone",
        "arrow_config": "engines serve low-rank adapters alone",
        "alora_invocation_tokens": "engines serve an adapter on every token",
        "trainable_token_indices": "engines serve low-rank adapters of linear layers alone",
        "target_parameters": "engines serve low-rank adapters of linear layers alone",
        "layer_replication": "engines serve adapters on the base model as it is",
        "kasa_config": "engines serve adapters on the base model as it is",
        "loftq_config": "engines serve adapters on the base model as it is",
        "corda_config": "engines serve adapters on the base model as it is",
        "lora_ga_config": "engines serve adapters on the base model as it is",
        "eva_config": "a new adapter does not depend on data",
    },
    "engine_args": {
        "tokenizer": "prompts are encoded as the model's own tokenizer does",
        "tokenizer_mode": "prompts are encoded as the model's own tokenizer does",
        "skip_tokenizer_init": "prompts are encoded as the model's own tokenizer does",
        "trust_remote_code": "code that comes with a model is never run",
        "hf_token": "byheart downloads the model, with the token of `hf auth login` or HF_TOKEN",
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


MODEL_OWN_KEYS = {
    "dtype": "objective.precision",
    "torch_dtype": "objective.precision",
    "quantization_config": "objective.load_in_4bit",
    "use_safetensors": "model.allow_pickle",
    "pretrained_model_name_or_path": "model.name",
}
"""Option of from_pretrained -> the key of a recipe that sets it."""

MODEL_SET = {
    "generation_config": "nothing is sampled in training",
    "token": "byheart downloads the model, with the token of `hf auth login` or HF_TOKEN",
    "trust_remote_code": "code that comes with a model is never run",
}
"""Option of from_pretrained that byheart sets itself -> why."""


def check(recipe: Recipe) -> None:
    """Raises RecipeError, naming every one, where an argument is not known to the installed libraries, has a value that
    they refuse, has a key of its own, or is set by byheart; or where objective or engine take no arguments. Imports the
    libraries in a process of its own."""
    wrong = []
    for section in ("trainer_args", "lora_args"):
        if getattr(recipe, section) and not recipe.objective.trainer_configs:
            wrong.append(f"{section}: the objective {recipe.objective.name!r} takes none")
    if recipe.engine_args and not recipe.engine.takes_args:
        wrong.append(f"engine_args: they are vLLM's, and the engine {recipe.engine.name!r} takes none")
    if wrong:
        raise RecipeError("\n".join(wrong))
    kinds = {
        "trainer_args": recipe.objective.trainer_configs,
        "lora_args": ("LoraConfig",),
        "engine_args": ("EngineArgs",),
    }
    remaining: dict[str, dict[str, Any]] = {section: {} for section in kinds}
    for section, arguments in remaining.items():
        for key, value in getattr(recipe, section).items():
            lines = list(_refused(section, key, value))
            wrong += lines
            if not lines:
                arguments[key] = value
    request = {kind: remaining[section] for section in kinds if remaining[section] for kind in kinds[section]}
    if recipe.objective.needs_pairs and "SFTConfig" in request:  # its loss_type is that of the pairs: sft.settings
        request["SFTConfig"] = {key: value for key, value in request["SFTConfig"].items() if key != "loss_type"}
    replies = _replies(json.dumps(request))
    for section, arguments in remaining.items():
        if arguments:
            wrong += _mistaken(section, arguments, {kind: replies[kind] for kind in kinds[section]})
    if wrong:
        raise RecipeError("\n".join(wrong))


def _refused(section: str, key: str, value: Any) -> Iterator[str]:
    """What is wrong with an argument, as far as it can be said without the libraries."""
    where = f"{section}.{key}"
    if key in OWN_KEYS[section]:
        yield f"{where}: say {OWN_KEYS[section][key]}"
    elif key in SET[section]:
        yield f"{where}: byheart sets it itself: {SET[section][key]}"
    elif where == "lora_args.init_lora_weights" and value not in (True, False, "gaussian"):
        yield (
            f"{where}: true, false or gaussian is wanted, this is {value!r}: engines serve adapters on the base model "
            "as it is, which others may change"
        )
    elif where in ("lora_args.rank_pattern", "lora_args.alpha_pattern"):
        kinds, noun = ((int,), "ranks") if key == "rank_pattern" else ((int, float), "numbers")
        values = value.values() if isinstance(value, Mapping) else [None]
        if not all(isinstance(item, kinds) and not isinstance(item, bool) and item > 0 for item in values):
            yield f"{where}: a mapping from names of modules to {noun} above 0 is wanted, this is {value!r}"
    elif where == "trainer_args.model_init_kwargs":
        if not isinstance(value, Mapping):
            yield f"{where}: a mapping is wanted, this is {kind_of(value)}"
            return
        for option in value:
            if option in MODEL_OWN_KEYS:
                yield f"{where}.{option}: say {MODEL_OWN_KEYS[option]}"
            elif option in MODEL_SET:
                yield f"{where}.{option}: byheart sets it itself: {MODEL_SET[option]}"


def _mistaken(section: str, arguments: Mapping[str, Any], replies: Mapping[str, Any]) -> list[str]:
    """What is wrong with `arguments`, from what the child process replied of each class."""
    for kind, reply in replies.items():
        if "unavailable" in reply:
            raise RecipeError(f"{section}: {kind} can't be imported here: {reply['unavailable']}")
    known = {name for reply in replies.values() for name in reply["fields"]}
    lines = [
        f"{section}.{key}: no such option in {' or '.join(replies)} as installed{registry.nearest(key, known)}"
        for key in arguments
        if key not in known
    ]
    for reply in replies.values():
        lines += [f"{section}.{key}: {text}" if key else f"{section}: {text}" for key, text in reply["mistakes"]]
    return list(dict.fromkeys(lines))  # two classes may refuse the same value


@cache
def _replies(request: str) -> Any:
    """The reply of the child process to a `request`, both JSON: see installed.py. Raises RecipeError where it fails."""
    if request == "{}":
        return {}
    process_of_group = ("RANK", "WORLD_SIZE", "LOCAL_", "ACCELERATE_", "FSDP_", "OMPI_", "PMI_", "MV2_")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "byheart.config.installed"],
        input=request,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith(process_of_group)},
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RecipeError(
            f"trainer_args, lora_args, engine_args: the process that checks them failed (exit code "
            f"{done.returncode}): {last}; `byheart doctor` may help"
        )
    return json.loads(done.stdout)
