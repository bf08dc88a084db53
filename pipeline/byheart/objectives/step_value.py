"""A policy by fine-tuning on right solutions, and from it a value model, which predicts after every step of a solution
how likely a right answer is.

The value model is a second adapter, the policy's scorer, without a head of its own: the value of a step is the
probability of "+" as the next token, relative to "-". It is trained by cross-entropy on the values of steps in the
run's own rollouts (curation/steps.py), all steps of a solution in one pass: if one of ten rollouts through a step was
right, the target is 0.1. `stepwise` names a file of more such solutions, in trl's stepwise-supervision format, on which
process reward models are trained.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Job
from byheart.errors import RecipeError
from byheart.files import read_row, write_json
from byheart.models import chat
from byheart.models.weights import SIGNS
from byheart.objectives import sft
from byheart.trainer.child import Report, progress_callback, tell

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class StepValue(sft.SFT):
    """Fine-tunes a policy, and trains a value model of steps from it."""

    trains_scorer: ClassVar[Literal["solutions", "steps"] | None] = "steps"

    value_epochs: float = Field(default=2.0, gt=0, description="passes over the solutions whose steps have values")
    value_learning_rate: float = Field(
        default=5e-4, gt=0, description="highest learning rate of the value model, which falls to 0 along a cosine"
    )
    max_value_steps: int | None = Field(
        default=None,
        ge=1,
        description="most optimizer steps of the value model, of global_batch_size solutions each; by default no limit",
    )
    stepwise: str | None = Field(
        default=None, description="file of further solutions with labelled steps: .jsonl or .parquet, in trl's format"
    )

    @override
    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where curation values no steps, or the file `stepwise` does not exist."""
        super().check(recipe)
        stepwise = self.stepwise
        if recipe.curation.steps is None and stepwise is None and "curation.steps" not in recipe.schedule:
            raise RecipeError("the objective step_value learns from steps with values: set curation.steps: {}")
        if recipe.curation.steps is not None and not recipe.evaluation.samples:
            raise RecipeError(
                "the objective step_value trains a value model, which is measured on samples of the development and "
                "held-out problems: set evaluation.samples: 4, or more"
            )
        file = stepwise and self.locate(stepwise)
        if stepwise is not None and not (file and file.is_file()):
            raise RecipeError(f"objective.stepwise: there is no file {stepwise}; looked for {self.places(stepwise)}")

    @override
    def reads(self) -> tuple[Path, ...]:
        file = self.stepwise and self.locate(self.stepwise)
        return (file,) if file else ()

    @override
    def fit(self, job: Job) -> float:
        seconds = sft.fine_tune(replace(job, scratch=job.scratch / "sft"), self)
        if not (job.steps.is_file() or self.stepwise):
            tell(Report("no solution has steps with values yet, so no value model is trained"))
            return seconds
        value = replace(job, adapter=job.out, scratch=job.scratch / "values", out=job.scorer)
        return seconds + learn(value, self)


def value_steps(options: StepValue, num_rows: int) -> int:
    """Optimizer steps for this number of solutions."""
    return sft.passes(options.value_epochs, num_rows, options, options.max_value_steps)


def learn(job: Job, options: StepValue) -> float:
    """Train `job.adapter` to predict the values of steps and write it to `job.out`, the merged weights beside it;
    seconds of training. An interrupted training starts over."""
    import datasets
    from peft import PeftModel

    gc.collect()  # frees the model of the first phase, which is part of a reference cycle
    tokenizer, model = sft.base_model(job, options)
    model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    rows = list(sft.read(job.steps)) if job.steps.is_file() else []
    for file in options.reads():
        rows += stepwise(file)
    dataset = datasets.Dataset.from_list([encoded(tokenizer, row, job.today) for row in rows])
    trainer = value_trainer(job, options, tokenizer, model, dataset)
    seconds = trainer.train().metrics["train_runtime"]
    sft.save(trainer, job)
    plus, minus = chat.signs(tokenizer)
    if trainer.is_world_process_zero():
        write_json(job.out / SIGNS, {"+": plus, "-": minus})
    return float(seconds)


def encoded(tokenizer: Any, row: Mapping[str, Any], today: date | None = None) -> dict[str, list[Any]]:
    """A solution with valued steps as `input_ids` (L,) and `values` (L,): 0..1 at the last token of each step, -1
    elsewhere. A row without `values` has its labels instead."""
    ids, ends = chat.encode_steps(tokenizer, row["prompt"], row["completions"], today)
    values = [-1.0] * len(ids)
    for end, value in zip(ends, row.get("values") or row["labels"], strict=True):
        values[end] = float(value)
    return {"input_ids": ids, "values": values}


def value_trainer(job: Job, options: StepValue, tokenizer: Any, model: Any, rows: Any) -> Any:
    """The transformers Trainer for `rows`, a datasets.Dataset of rows as `encoded` returns them."""
    import torch
    from transformers import Trainer, TrainingArguments

    signs = list(chat.signs(tokenizer))

    class Valuing(Trainer):  # type: ignore[misc]  # transformers is imported here only
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **rest: Any) -> Any:
            """Mean cross-entropy over the steps of the batch, in nats: -v ln p("+") - (1 - v) ln p("-")."""
            values = inputs.pop("values")
            outputs = model(**inputs)
            valued = values >= 0  # (B, L)
            logprobs = outputs.logits[valued].float().log_softmax(-1)[:, signs]  # (steps, 2)
            loss = -(logprobs * torch.stack([values[valued], 1 - values[valued]], -1)).sum(-1).mean()
            return (loss, outputs) if return_outputs else loss

    def collate(batch: list[dict[str, list[Any]]]) -> dict[str, Any]:
        width = max(len(row["input_ids"]) for row in batch)

        def padded(name: str, filling: float) -> Any:
            return torch.tensor([row[name] + [filling] * (width - len(row[name])) for row in batch])

        lengths = torch.tensor([[len(row["input_ids"])] for row in batch])
        return {
            "input_ids": padded("input_ids", 0),
            "attention_mask": (torch.arange(width)[None] < lengths).long(),
            "values": padded("values", -1.0),
        }

    config = sft.trainer_config(
        TrainingArguments,
        job,
        options,
        value_steps(options, len(rows)),
        learning_rate=options.value_learning_rate,
        save_strategy="no",
        remove_unused_columns=False,
    )
    return Valuing(
        model,
        args=config,
        train_dataset=rows,
        data_collator=collate,
        processing_class=tokenizer,
        callbacks=[progress_callback("train values", "value_")],
    )


def stepwise(file: Path) -> list[dict[str, Any]]:
    """The solutions of `file`, JSON Lines or Parquet. A step that does not end in whitespace gets a line break before
    the next, as in trl."""
    if file.suffix == ".parquet":
        rows = list(sft.read(file))
    else:
        rows = [read_row(line) for line in file.read_bytes().split(b"\n") if line.strip()]
    return [row | {"completions": _apart(row["completions"])} for row in rows]


def _apart(steps: list[str]) -> list[str]:
    return [step if step[-1:].isspace() else f"{step}\n" for step in steps[:-1]] + steps[-1:]
