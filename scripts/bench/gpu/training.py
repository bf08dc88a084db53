"""Training: tokens a second and the peak of GPU memory of byheart's SFT, of a bare trl SFTTrainer with the same config,
and of a bare PyTorch loop. All three train a LoRA adapter of the same rank on the same rows.
"""

from __future__ import annotations

import time
from typing import Any

import pyarrow
import pyarrow.parquet as parquet
from byheart.contracts import Job
from byheart.models import chat, checkpoint
from byheart.objectives import sft

from scripts.bench.gpu.workload import Workload


def ours(work: Workload) -> dict[str, Any]:
    """The objective `sft`, called as the training process calls it."""
    options, rows = work.sft, work.rows()
    tokenizer = checkpoint.tokenizer(work.base)
    job = Job(
        objective=options.model_dump(mode="json"),
        base=work.base,
        adapter=None,
        dataset=work.folder / "dataset",
        scratch=work.folder / "byheart",
        out=work.folder / "trained/adapter",
        seed=0,
        allow_pickle=False,
    )
    job.rows.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), job.rows)
    seconds = sft.fine_tune(job, options, merge=False)
    tokens = sum(len(chat.encode_example(tokenizer, row)["input_ids"]) for row in rows)
    return _figures(seconds, tokens, len(rows), options)


def trl(work: Workload) -> dict[str, Any]:
    """trl's SFTTrainer as its documentation calls it, with the settings of the recipe."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    options, rows = work.sft, work.rows()
    on_gpu = _on_gpu()
    config = SFTConfig(
        output_dir=str(work.folder / "trl"),
        per_device_train_batch_size=options.global_batch_size // options.gradient_accumulation_steps,
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        max_steps=sft.num_steps(options, len(rows)),
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine",
        max_length=None,
        bf16=on_gpu,
        use_cpu=not on_gpu,
        gradient_checkpointing=options.gradient_checkpointing,
        logging_steps=5,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(work.base, dtype=_dtype()),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=checkpoint.tokenizer(work.base),
        peft_config=_lora(options),
    )
    tokens = sum(map(len, trainer.train_dataset["input_ids"]))
    return _figures(trainer.train().metrics["train_runtime"], tokens, len(rows), options)


def bare(work: Workload) -> dict[str, Any]:
    """A loop in PyTorch: no trainer, no shuffling, and logits only where there is a loss. What a GPU could do."""
    import torch
    from peft import get_peft_model
    from torch.nn.functional import cross_entropy
    from transformers import AutoModelForCausalLM

    options = work.sft
    device = "cuda" if _on_gpu() else "cpu"
    tokenizer = checkpoint.tokenizer(work.base)
    examples = [chat.encode_example(tokenizer, row) for row in work.rows()]
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(work.base, dtype=_dtype()), _lora(options)).to(device)
    if options.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.learning_rate, fused=device == "cuda")
    llama = model.get_base_model()
    size = options.global_batch_size // options.gradient_accumulation_steps

    def padded(rows: list[list[int]]) -> Any:
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True).to(device)

    began = time.perf_counter()
    for step in range(sft.num_steps(options, len(examples))):
        for turn in range(options.gradient_accumulation_steps):
            first = (step * options.global_batch_size + turn * size) % len(examples)
            batch = examples[first : first + size]
            ids = padded([row["input_ids"] for row in batch])
            attended = padded([[1] * len(row["input_ids"]) for row in batch])
            learnt = padded([row["completion_mask"] for row in batch])[:, 1:].bool()
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                hidden = llama.model(input_ids=ids, attention_mask=attended).last_hidden_state
                logits = llama.lm_head(hidden[:, :-1][learnt])
                loss = cross_entropy(logits.float(), ids[:, 1:][learnt])
            (loss / options.gradient_accumulation_steps).backward()
        optimizer.step()
        optimizer.zero_grad()
    loss.item()  # waits for the GPU
    tokens = sum(len(row["input_ids"]) for row in examples)
    return _figures(time.perf_counter() - began, tokens, len(examples), options)


def _figures(seconds: float, tokens: int, num_rows: int, options: sft.SFT) -> dict[str, Any]:
    """`tokens` are those of `num_rows` rows, each read once."""
    import torch

    steps = sft.num_steps(options, num_rows)
    return {
        "steps": steps,
        "seconds": seconds,
        "tokens_per_second": tokens * steps * options.global_batch_size / num_rows / seconds,
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30 if _on_gpu() else None,
    }


def _lora(options: sft.SFT) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=options.lora_r, lora_alpha=options.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def _on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _dtype() -> Any:
    import torch

    return torch.bfloat16 if _on_gpu() else torch.float32
