"""A policy by fine-tuning on right solutions, and from it a value model that says after every step of a solution how
likely it is to come to a right answer.

The value model is a second adapter, the policy's scorer, and has no head of its own: the value of a step is the
probability of the token "+", against that of "-", as what comes next. It learns by cross-entropy what steps were worth
in the run's own rollouts (curation/steps.py), all steps of a solution in one pass; where one of ten rollouts through a
step was right, it learns to say "+" one time in ten. `stepwise` names a file of more such solutions, in trl's
stepwise-supervision format, as process reward models are trained on.
"""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from byheart import chat
from byheart.errors import RecipeError
from byheart.files import write_json
from byheart.objectives import sft
from byheart.objectives.training import Job, Report, tell
from byheart.recipe import Recipe
from byheart.types import Example
from byheart.weights import SIGNS


class Options(sft.Options):
    """Those of `sft` for the policy. For the value model `value_epochs` over the solutions with valued steps, but at
    most `max_value_steps` of `batch_size` solutions each; `value_learning_rate`, which falls to 0 along a cosine."""

    value_epochs: float = Field(default=2.0, gt=0)
    value_learning_rate: float = Field(default=5e-4, gt=0)
    max_value_steps: int = Field(default=1000, ge=1)
    stepwise: str | None = None

    def value_steps(self, num_rows: int) -> int:
        """Optimizer steps for so many solutions."""
        return min(math.ceil(self.value_epochs * num_rows / self.batch_size), self.max_value_steps)


def check(recipe: Recipe) -> None:
    """Raises RecipeError where curation values no steps, or the file of more is not there."""
    stepwise = recipe.objective.stepwise
    if recipe.curation.steps is None and stepwise is None and "curation.steps" not in recipe.schedule:
        raise RecipeError("the objective step_value learns from steps that curation has valued: say curation.steps: {}")
    if recipe.curation.steps is not None and not recipe.evaluation.samples:
        raise RecipeError(
            "the objective step_value trains a value model, which is measured on samples of the development and "
            "held-out problems: say evaluation.samples: 4, or more"
        )
    file = stepwise and recipe.objective.locate(stepwise)
    if stepwise is not None and not (file and file.is_file()):
        raise RecipeError(
            f"objective.stepwise: there is no file {stepwise}; looked for {recipe.objective.places(stepwise)}"
        )


def fit(job: Job, options: Options) -> float:
    """Train in this process and leave the policy in `job.out`, the value model in `job.scorer`, their merged weights
    beside them; seconds of training."""
    seconds = sft.fit(replace(job, scratch=job.scratch / "sft"), options)
    if not (job.steps.is_file() or options.stepwise):
        tell(say="no solution has valued steps yet, so there is nothing to learn a value model from")
        return seconds
    value = replace(job, adapter=job.out, scratch=job.scratch / "values", out=job.scorer)
    return seconds + learn(value, options)


def learn(job: Job, options: Options) -> float:
    """Train `job.adapter` to say what steps are worth, and leave it in `job.out`, its merged weights beside it; seconds
    of training. Stopped half-way, it begins anew."""
    import datasets
    from peft import PeftModel

    gc.collect()  # the model of the first phase, which its trainer holds in a cycle
    tokenizer, model = sft.base_model(job, options)
    model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    files = [job.steps] if job.steps.is_file() else []
    rows = [row for file in files for row in sft.read(job, file)]
    if options.stepwise and (more := options.locate(options.stepwise)):
        rows += stepwise(job, more)
    trainer = value_trainer(
        job, options, tokenizer, model, datasets.Dataset.from_list([encoded(tokenizer, row) for row in rows])
    )
    seconds = trainer.train().metrics["train_runtime"]
    sft.save(trainer, job.out)
    plus, minus = chat.signs(tokenizer)
    if trainer.is_world_process_zero():
        write_json(job.out / SIGNS, {"+": plus, "-": minus})
    return float(seconds)


def encoded(tokenizer: Any, row: Example) -> dict[str, list[Any]]:
    """A solution with valued steps as `input_ids` (L,) and `values` (L,): in 0..1 at the last token of each step, -1 at
    all others. Without `values`, the labels stand for them."""
    ids, ends = chat.encode_steps(tokenizer, row["prompt"], row["completions"])
    values = [-1.0] * len(ids)
    for place, value in zip(ends, row.get("values") or row["labels"], strict=True):
        values[place] = float(value)
    return {"input_ids": ids, "values": values}


def value_trainer(job: Job, options: Options, tokenizer: Any, model: Any, rows: Any) -> Any:
    """The transformers Trainer for `rows`, a datasets.Dataset of what `encoded` makes."""
    import torch
    from transformers import Trainer, TrainingArguments

    signs = list(chat.signs(tokenizer))

    class Valuing(Trainer):  # type: ignore[misc]  # transformers is imported here only
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **rest: Any) -> Any:
            """Mean cross-entropy over the steps of the batch, in nats: -v ln p("+") - (1 - v) ln p("-")."""
            values = inputs.pop("values")
            outputs = model(**inputs)
            said = values >= 0
            chances = outputs.logits[said].float().log_softmax(-1)[:, signs]
            loss = -(chances * torch.stack([values[said], 1 - values[said]], -1)).sum(-1).mean()
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

    config = TrainingArguments(
        learning_rate=options.value_learning_rate,
        save_strategy="no",
        remove_unused_columns=False,
        **sft.arguments(job, options, options.value_steps(len(rows))),
    )
    return Valuing(
        model,
        args=config,
        train_dataset=rows,
        data_collator=collate,
        processing_class=tokenizer,
        callbacks=[Report("train values", "value_")],
    )


def stepwise(job: Job, file: Path) -> list[Example]:
    """The solutions of `file`, JSON Lines or Parquet. Between steps that end without one there is a line break, as trl
    puts it there."""
    import datasets

    kind = "parquet" if file.suffix == ".parquet" else "json"
    rows = datasets.load_dataset(kind, data_files=str(file), split="train", cache_dir=str(job.scratch))
    return [row | {"completions": _apart(row["completions"])} for row in rows]


def _apart(steps: list[str]) -> list[str]:
    return [step if step[-1:].isspace() else f"{step}\n" for step in steps[:-1]] + steps[-1:]
