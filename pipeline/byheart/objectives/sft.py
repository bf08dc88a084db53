"""Supervised fine-tuning of a LoRA adapter on right solutions, by trl's SFTTrainer; loss on the completion only."""

from __future__ import annotations

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from byheart import chat, recipe
from byheart.objectives.training import Job, Report


class Options(recipe.Choice):
    """`start: base` trains a new adapter each round, as STaR does; `previous` goes on from the policy's.

    A round takes `epochs` over its rows, but at least `min_steps` and at most `max_steps` of `batch_size` rows each.
    `rank` and `alpha` are LoRA's (2106.09685), on every linear layer; `learning_rate` falls to 0 along a cosine.

    Where a step's rows do not fit the memory together, they are taken in so many turns as `accumulation` says, alike on
    all processes; with `gradient_checkpointing` activations are computed twice and not kept. `precision: auto` is
    bfloat16 on a GPU and float32 on a CPU; LoRA's own weights are float32. `quantized` holds the base model in 4 bits
    (QLoRA, 2305.14314), on an NVIDIA GPU only.
    """

    start: Literal["base", "previous"] = "base"
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    batch_size: int = Field(default=8, ge=1)
    epochs: float = Field(default=2.0, gt=0)
    min_steps: int = Field(default=20, ge=1)
    max_steps: int = Field(default=1000, ge=1)
    accumulation: int = Field(default=1, ge=1)
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    quantized: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Options:
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"accumulation: {self.accumulation} turns can't share the {self.batch_size} rows of a step alike"
            )
        if self.quantized and self.precision == "float32":
            raise ValueError("quantized: a base model of 4 bits is computed with in bfloat16, not in float32")
        return self

    def steps(self, num_rows: int) -> int:
        """Optimizer steps for so many rows."""
        wanted = math.ceil(self.epochs * num_rows / self.batch_size)
        return min(max(wanted, self.min_steps), self.max_steps)


def fit(job: Job, options: Options, merge: bool = True) -> float:
    """Train in this process and leave the adapter in `job.out`, its merged weights beside it unless nobody will load
    them; seconds of training."""
    from peft import LoraConfig, PeftModel
    from trl import SFTTrainer

    tokenizer, model = base_model(job, options)
    lora = None
    if job.adapter and options.start == "previous":
        model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    else:
        lora = LoraConfig(r=options.rank, lora_alpha=options.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    rows = read(job, job.rows)
    trainer = SFTTrainer(
        model,
        args=settings(job, options, len(rows)),
        train_dataset=tokenized(rows, tokenizer),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[Report()],
    )
    seconds = trainer.train(resume_from_checkpoint=last_checkpoint(job.scratch)).metrics["train_runtime"]
    save(trainer, job.out, merge)
    return float(seconds)


def save(trainer: Any, out: Path, merge: bool = True) -> None:
    """Write the adapter that was trained to `out`, and on a CPU, where engines want them, the merged weights beside it.
    Where the base model is sharded or quantized, or they are wanted later, weights.plain makes them."""
    from byheart.weights import save_merged

    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(out))
    parts = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled or getattr(trainer.model, "is_quantized", False)
    if merge and not parts and trainer.args.use_cpu and trainer.accelerator.is_main_process:
        save_merged(trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class, out)
    trainer.accelerator.wait_for_everyone()  # all go on from what one has written


def settings(job: Job, options: Options, num_rows: int) -> Any:
    """The trl SFTConfig of a job with so many rows."""
    from trl import SFTConfig

    return SFTConfig(
        learning_rate=options.learning_rate,
        max_length=None,  # a row is a prompt and a completion that fitted the context: nothing is cut
        completion_only_loss=True,  # trl's default would train the prompt of a tokenized dataset
        save_steps=50,
        save_total_limit=1,
        **arguments(job, options, options.steps(num_rows)),
    )


def arguments(job: Job, options: Options, steps: int) -> dict[str, Any]:
    """What any of trl's trainers is told here. A training of a few steps has none to warm up with: the learning rate of
    the first of them is 0."""
    import torch

    on_gpu = torch.cuda.is_available()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return {
        "output_dir": str(job.scratch),
        "per_device_train_batch_size": options.batch_size // (processes * options.accumulation),
        "gradient_accumulation_steps": options.accumulation,
        "max_steps": steps,
        "lr_scheduler_type": "cosine",
        "warmup_steps": min(2, steps // 10),
        "bf16": in_bfloat16(options),
        "use_cpu": not on_gpu,
        "gradient_checkpointing": options.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
        "logging_steps": 5,
        "report_to": [],
        "disable_tqdm": True,
        "seed": job.seed,
    }


def in_bfloat16(options: Options) -> bool:
    """Whether this machine trains in bfloat16."""
    import torch

    return options.precision == "bfloat16" or (options.precision == "auto" and torch.cuda.is_available())


def base_model(job: Job, options: Options) -> tuple[Any, Any]:
    """The tokenizer and the base model of a job, in the precision in which it is trained on this machine."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    dtype = torch.bfloat16 if in_bfloat16(options) else torch.float32
    four_bits = None
    if options.quantized:
        four_bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype,  # as FSDP wants it
        )
    model = AutoModelForCausalLM.from_pretrained(
        job.base,
        dtype=dtype,
        quantization_config=four_bits,
        use_safetensors=None if job.allow_pickle else True,
        trust_remote_code=False,
    )
    return AutoTokenizer.from_pretrained(job.base, trust_remote_code=False), model


def read(job: Job, file: Path) -> Any:
    """One Parquet file of the job's dataset, as a datasets.Dataset."""
    import datasets

    return datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(job.scratch))


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint in `folder`; one that a kill left torn has no readable trainer_state.json, which is
    written last, and is passed over."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        with contextlib.suppress(OSError, ValueError):
            json.loads((path / "trainer_state.json").read_text("utf-8"))
            return str(path)
    return None


def tokenized(rows: Any, tokenizer: Any) -> Any:
    """`rows`, a datasets.Dataset of Examples, as the columns trl takes for tokens: see chat.encode_example."""
    return rows.map(
        lambda row: chat.encode_example(tokenizer, row), remove_columns=rows.column_names, load_from_cache_file=False
    )
