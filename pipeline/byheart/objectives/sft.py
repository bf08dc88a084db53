"""Supervised fine-tuning of a LoRA adapter on right solutions, by trl's SFTTrainer; loss on the completion only."""

from __future__ import annotations

import contextlib
import json
import math
import os
from dataclasses import fields
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from byheart.contracts import Job, Objective
from byheart.errors import RecipeError
from byheart.models import chat, weights
from byheart.trainer import launch
from byheart.trainer.child import Report, progress_callback, tell

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class SFT(Objective):
    """Fine-tunes a LoRA adapter (2106.09685) on every linear layer, with the loss on the completions only. The weights
    of the adapter are in float32, whatever the precision of the base model."""

    trainer_configs: ClassVar[tuple[str, ...]] = ("SFTConfig",)

    start: Literal["base", "previous"] = Field(
        default="base", description="a new adapter each round, as in STaR, or training continued from the policy's"
    )
    lora_r: int = Field(default=16, ge=1, description="rank of LoRA")
    lora_alpha: int = Field(default=32, ge=1, description="alpha of LoRA: the adapter is scaled by lora_alpha / lora_r")
    learning_rate: float = Field(
        default=1e-3, gt=0, description="highest learning rate, which falls to 0 along a cosine"
    )
    global_batch_size: int = Field(default=8, ge=1, description="rows of an optimizer step, on all processes together")
    epochs: float = Field(default=2.0, gt=0, description="passes over the rows of a round")
    min_optimizer_steps: int = Field(default=20, ge=1, description="fewest optimizer steps, whatever the epochs")
    max_optimizer_steps: int | None = Field(
        default=None, ge=1, description="most optimizer steps, whatever the epochs; by default no limit"
    )
    min_rows: int | None = Field(
        default=None,
        ge=1,
        description="fewest rows that a round trains on, else the policy stays; by default those of one optimizer step",
    )
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="micro-batches of an optimizer step, equal on every process; more take less memory"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="recompute activations in the backward pass: less memory, more time"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="type of the base model's weights; auto: bfloat16 on a GPU, float32 on a CPU"
    )
    load_in_4bit: bool = Field(
        default=False, description="hold the base model in 4 bits (QLoRA, 2305.14314); on an NVIDIA GPU only"
    )

    @model_validator(mode="after")
    def _sound(self) -> SFT:
        if self.global_batch_size % self.gradient_accumulation_steps:
            raise ValueError(
                f"gradient_accumulation_steps: {self.gradient_accumulation_steps} does not divide the "
                f"{self.global_batch_size} rows of global_batch_size"
            )
        if self.load_in_4bit and self.precision == "float32":
            raise ValueError("load_in_4bit: a base model in 4 bits is computed in bfloat16, not in float32")
        return self

    @override
    def fit(self, job: Job) -> float:
        return fine_tune(job, self)

    @override
    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where load_in_4bit does not work on this machine, or with the config of accelerate."""
        if not self.load_in_4bit:
            return
        if not (launch.gpus() and find_spec("bitsandbytes")):
            raise RecipeError(
                "objective.load_in_4bit: 4 bits need an NVIDIA GPU and bitsandbytes (pip install bitsandbytes)"
            )
        if launch.distributed_type(recipe) == "DEEPSPEED":
            raise RecipeError(
                "objective.load_in_4bit: ZeRO-3 can't shard a base model in 4 bits; set accelerate: fsdp2, or ddp"
            )

    @override
    def rows_at_once(self) -> int:
        return self.global_batch_size // self.gradient_accumulation_steps

    @override
    def fewest_rows(self) -> int:
        return self.global_batch_size if self.min_rows is None else self.min_rows

    @override
    def on_any_rows(self) -> Self:
        return self.model_copy(update={"min_rows": 1, "min_optimizer_steps": 1})

    @override
    def adapter_rank(self) -> int:
        return self.lora_r

    @override
    def outlook(self) -> tuple[str, str]:
        fewest, most = self.min_optimizer_steps, self.max_optimizer_steps
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs:g} epochs"
        steps = f"at least {fewest}" if most is None else f"{min(fewest, most)} to {most}"
        return (
            f"{self.name} from {self.start}",
            f"{epochs}, {steps} steps of {self.global_batch_size} rows",
        )


def passes(epochs: float, num_rows: int, options: SFT, most: int | None) -> int:
    """Optimizer steps of so many `epochs` over the rows; not more than `most`, if that is given."""
    steps = math.ceil(epochs * num_rows / options.global_batch_size)
    return steps if most is None else min(steps, most)


def num_steps(options: SFT, num_rows: int) -> int:
    """Optimizer steps for so many rows."""
    steps = max(passes(options.epochs, num_rows, options, None), options.min_optimizer_steps)
    return steps if options.max_optimizer_steps is None else min(steps, options.max_optimizer_steps)


def other_epochs(options: SFT, num_rows: int) -> str:
    """The epochs that come, as a sentence, where a limit on steps makes them others than those asked for; else ""."""
    steps, wanted = num_steps(options, num_rows), passes(options.epochs, num_rows, options, None)
    if steps == wanted:
        return ""
    epochs = steps * options.global_batch_size / num_rows
    limit = "min_optimizer_steps" if steps > wanted else "max_optimizer_steps"
    return (
        f"{steps} steps of {options.global_batch_size} rows are {epochs:.3g} epochs of {num_rows} rows, not the "
        f"{options.epochs:g} asked for: objective.{limit}"
    )


def fine_tune(job: Job, options: SFT, merge: bool = True) -> float:
    """Train on the rows of `job` and write the adapter to `job.out`, with `merge` the merged weights beside it; seconds
    of training. It resumes from the last whole checkpoint in `job.scratch`."""
    from peft import LoraConfig, PeftModel
    from trl import SFTTrainer

    tokenizer, model = base_model(job, options)
    lora = None
    if job.adapter and options.start == "previous":
        model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    else:
        adapter = {"r": options.lora_r, "lora_alpha": options.lora_alpha, "target_modules": "all-linear"}
        lora = LoraConfig(task_type="CAUSAL_LM", **adapter | job.lora_args)
    rows = read(job.rows)
    if others := other_epochs(options, len(rows)):
        tell(Report(others))
    trainer = SFTTrainer(
        model,
        args=settings(job, options, len(rows)),
        train_dataset=tokenized(rows, tokenizer, job.today),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[progress_callback()],
    )
    seconds = trainer.train(resume_from_checkpoint=last_checkpoint(job.scratch)).metrics["train_runtime"]
    save(trainer, job, merge)
    return float(seconds)


def save(trainer: Any, job: Job, merge: bool = True) -> None:
    """Write the trained adapter to `job.out`, and with `merge` on a CPU, where engines load them, the merged weights
    beside it. If the base model is sharded or quantized, weights.plain makes them when they are needed."""
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(job.out))
    partial = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled or getattr(trainer.model, "is_quantized", False)
    if merge and not partial and trainer.args.use_cpu and trainer.accelerator.is_main_process:
        weights.merge(job.base, job.out)
    trainer.accelerator.wait_for_everyone()  # all continue from what the main process wrote


def settings(job: Job, options: SFT, num_rows: int) -> Any:
    """The trl SFTConfig of a job with this number of rows."""
    from trl import SFTConfig

    return trainer_config(
        SFTConfig,
        job,
        options,
        num_steps(options, num_rows),
        without=frozenset({"loss_type"} if options.needs_pairs else ()),  # it is that of the pairs
        learning_rate=options.learning_rate,
        max_length=None,  # prompt and completion fitted the context: nothing is cut
        completion_only_loss=True,  # trl's default would train the prompt of a tokenized dataset
        save_steps=50,
        save_total_limit=1,
    )


def trainer_config(
    kind: Any, job: Job, options: SFT, steps: int, without: frozenset[str] = frozenset(), **own: Any
) -> Any:
    """A config of the class `kind`, for `steps` optimizer steps: byheart's settings for every trainer, `own` for this
    one, and over both the recipe's trainer_args, as far as `kind` has them and they are not among `without`.

    There is no warm-up in a training of a few steps, since the learning rate of the first step would be 0."""
    import torch

    on_gpu = torch.cuda.is_available()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    common = {
        "output_dir": str(job.scratch),
        "per_device_train_batch_size": options.global_batch_size // (processes * options.gradient_accumulation_steps),
        "gradient_accumulation_steps": options.gradient_accumulation_steps,
        "max_steps": steps,
        "lr_scheduler_type": "cosine",
        "warmup_steps": min(2, steps // 10),
        "bf16": in_bfloat16(options),
        "use_cpu": not on_gpu,
        "gradient_checkpointing": options.gradient_checkpointing,
        "dataloader_pin_memory": on_gpu,
        "logging_steps": 5,
        "logging_nan_inf_filter": False,  # which would hide from the log that a training diverged
        "report_to": [],
        "disable_tqdm": True,
        "seed": job.seed,
    }
    known = {field.name for field in fields(kind)} - {"model_init_kwargs"} - without  # base_model takes the first
    return kind(**common | own | {key: value for key, value in job.trainer_args.items() if key in known})


def in_bfloat16(options: SFT) -> bool:
    """Whether this machine trains in bfloat16."""
    import torch

    return options.precision == "bfloat16" or (options.precision == "auto" and torch.cuda.is_available())


def base_model(job: Job, options: SFT) -> tuple[Any, Any]:
    """The tokenizer and the base model of a job, in the precision of training on this machine."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, GenerationConfig

    dtype = torch.bfloat16 if in_bfloat16(options) else torch.float32
    four_bits = None
    if options.load_in_4bit:
        four_bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=dtype,  # as FSDP requires
        )
    model = AutoModelForCausalLM.from_pretrained(
        job.base,
        **job.trainer_args.get("model_init_kwargs", {}),
        dtype=dtype,
        quantization_config=four_bits,
        generation_config=GenerationConfig(),  # the model's own may be one that transformers refuses
        use_safetensors=None if job.allow_pickle else True,
        trust_remote_code=False,
    )
    return AutoTokenizer.from_pretrained(job.base, trust_remote_code=False), model


def read(file: Path) -> Any:
    """The rows of a Parquet file, as a datasets.Dataset, whose own readers would take the path for a pattern."""
    import datasets
    import pyarrow.parquet as parquet

    with file.open("rb") as source:
        return datasets.Dataset(parquet.read_table(source))


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint in `folder`. One that a kill truncated has no readable trainer_state.json, which is
    written last, and is skipped."""
    paths = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            json.loads((path / "trainer_state.json").read_text("utf-8"))
            return str(path)
    return None


def tokenized(rows: Any, tokenizer: Any, today: date | None = None) -> Any:
    """`rows`, a datasets.Dataset of Examples, as the columns trl takes for tokens: see chat.encode_example."""
    return rows.map(
        lambda row: chat.encode_example(tokenizer, row, today),
        remove_columns=rows.column_names,
        load_from_cache_file=False,
    )
