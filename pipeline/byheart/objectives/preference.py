"""Fine-tuning on right solutions, then direct preference optimization (DPO, 2305.18290) on pairs of a right and a wrong
one, by trl's DPOTrainer: one adapter, trained in two phases."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from typing import Any

from pydantic import Field

from byheart import chat
from byheart.errors import RecipeError
from byheart.objectives import sft
from byheart.objectives.training import Job, Report, tell
from byheart.recipe import Recipe


class Options(sft.Options):
    """Those of `sft`, and for the pairs: `beta` of DPO (equation 7), which holds the policy near the fine-tuned one;
    `pair_epochs` over the pairs, but at most `max_pair_steps` of `batch_size` pairs each; `pair_learning_rate`, which
    falls to 0 along a cosine."""

    beta: float = Field(default=0.1, gt=0)
    pair_epochs: float = Field(default=1.0, gt=0)
    pair_learning_rate: float = Field(default=5e-5, gt=0)
    max_pair_steps: int = Field(default=500, ge=1)

    def pair_steps(self, num_pairs: int) -> int:
        """Optimizer steps for so many pairs."""
        return min(math.ceil(self.pair_epochs * num_pairs / self.batch_size), self.max_pair_steps)


def check(recipe: Recipe) -> None:
    """Raises RecipeError where curation makes no pairs, or the pairs would teach what its target takes away."""
    check_pairs(recipe)
    if recipe.curation.target != "full":
        raise RecipeError(
            f"curation.target: {recipe.curation.target}: by its pairs, the objective preference would teach solutions "
            "as they were written all the same; take target: full, or the objective sft"
        )


def check_pairs(recipe: Recipe) -> None:
    """Raises RecipeError where curation makes no pairs."""
    if recipe.curation.pairs == 0:
        raise RecipeError(f"the objective {recipe.objective.name} learns from pairs: curation.pairs has to be above 0")


def fit(job: Job, options: Options) -> float:
    """Train in this process and leave the adapter in `job.out`, its merged weights beside it; seconds of training."""
    if not job.pairs.is_file():
        tell(say="no problem has a right and a wrong solution yet, so there is no pair to learn from")
        return sft.fit(job, options)
    first = replace(job, scratch=job.scratch / "sft", out=job.scratch / "sft-adapter")
    seconds = sft.fit(first, options, merge=False)
    return seconds + prefer(replace(job, adapter=first.out, scratch=job.scratch / "pairs"), options)


def prefer(job: Job, options: Options) -> float:
    """Train `job.adapter` on the pairs, away from what it is: it is the reference too. Leaves the result in `job.out`,
    its merged weights beside it; seconds of training. Stopped half-way, it begins anew."""
    from peft import PeftModel

    gc.collect()  # the model of the first phase, which its trainer holds in a cycle
    tokenizer, model = sft.base_model(job, options)
    model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    trainer = preference_trainer(job, options, tokenizer, model)
    seconds = trainer.train().metrics["train_runtime"]
    trainer.accelerator.unwrap_model(trainer.model).delete_adapter(REFERENCE)
    sft.save(trainer, job.out)
    return float(seconds)


REFERENCE = "ref"
"""What trl calls the copy that it makes of an adapter before it trains it: the policy that DPO's loss refers to."""


def preference_trainer(job: Job, options: Options, tokenizer: Any, model: Any) -> Any:
    """trl's DPOTrainer for the adapter of the peft `model`, on the pairs of `job` in our own tokens."""
    from trl import DPOConfig, DPOTrainer

    class Trainer(DPOTrainer):  # type: ignore[misc]  # trl is imported here only
        def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
            return dataset  # trl would tokenize it in its own way (trl issue 6105), and has no setting against it

    pairs = sft.read(job, job.pairs)
    tokens = pairs.map(
        lambda row: chat.encode_pair(tokenizer, row), remove_columns=pairs.column_names, load_from_cache_file=False
    )
    config = DPOConfig(
        learning_rate=options.pair_learning_rate,
        beta=options.beta,
        max_length=None,
        save_strategy="no",  # transformers reads back only the reference from a checkpoint with two adapters
        **sft.arguments(job, options, options.pair_steps(len(pairs))),
    )
    return Trainer(
        model,
        args=config,
        train_dataset=tokens,
        processing_class=tokenizer,
        callbacks=[Report("train on pairs", "pair_")],
    )
