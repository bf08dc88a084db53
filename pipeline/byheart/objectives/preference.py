"""Fine-tuning on right solutions, then direct preference optimization (DPO, 2305.18290) on pairs of a right and a wrong
solution, by trl's DPOTrainer: one adapter, trained in two phases."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Job
from byheart.errors import RecipeError
from byheart.models import chat
from byheart.objectives import sft
from byheart.trainer.child import Report, progress_callback, tell

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Preference(sft.SFT):
    """Fine-tunes, then trains the same adapter by DPO, with the fine-tuned policy as the reference."""

    needs_pairs: ClassVar[bool] = True
    trainer_configs: ClassVar[tuple[str, ...]] = ("SFTConfig", "DPOConfig")

    beta: float = Field(
        default=0.1, gt=0, description="beta of DPO (2305.18290, equation 7), which keeps the policy near the reference"
    )
    pair_epochs: float = Field(default=1.0, gt=0, description="passes over the pairs")
    pair_learning_rate: float = Field(
        default=5e-5, gt=0, description="highest learning rate on pairs, which falls to 0 along a cosine"
    )
    max_pair_steps: int | None = Field(
        default=None,
        ge=1,
        description="most optimizer steps on pairs, of global_batch_size each; by default no limit",
    )

    @override
    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the pairs would teach what curation's target removes."""
        super().check(recipe)
        if recipe.curation.target != "full":
            raise RecipeError(
                f"curation.target: {recipe.curation.target}: the objective preference learns from whole solutions; "
                "take target: full, or the objective sft"
            )

    @override
    def fit(self, job: Job) -> float:
        if not job.pairs.is_file():
            tell(Report("no problem has a right and a wrong solution yet, so there are no pairs to learn from"))
            return sft.fine_tune(job, self)
        first = replace(job, scratch=job.scratch / "sft", out=job.scratch / "sft-adapter")
        seconds = sft.fine_tune(first, self, merge=False)
        return seconds + prefer(replace(job, adapter=first.out, scratch=job.scratch / "pairs"), self)


def pair_steps(options: Preference, num_pairs: int) -> int:
    """Optimizer steps for this number of pairs."""
    return sft.passes(options.pair_epochs, num_pairs, options, options.max_pair_steps)


def prefer(job: Job, options: Preference) -> float:
    """Train `job.adapter` on the pairs; as it is, it is also the reference. Writes the result to `job.out`, the merged
    weights beside it; seconds of training. An interrupted training starts over."""
    from peft import PeftModel

    gc.collect()  # frees the model of the first phase, which is part of a reference cycle
    tokenizer, model = sft.base_model(job, options)
    model = PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    trainer = preference_trainer(job, options, tokenizer, model)
    seconds = trainer.train().metrics["train_runtime"]
    trainer.accelerator.unwrap_model(trainer.model).delete_adapter(REFERENCE)
    sft.save(trainer, job)
    return float(seconds)


REFERENCE = "ref"
"""trl's name for the copy of the adapter before training: the reference policy of DPO's loss."""


def preference_trainer(job: Job, options: Preference, tokenizer: Any, model: Any) -> Any:
    """trl's DPOTrainer for the adapter of the peft `model`, on the pairs of `job`, tokenized by `chat`."""
    from trl import DPOConfig, DPOTrainer

    class Trainer(DPOTrainer):  # type: ignore[misc]  # trl is imported here only
        def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
            return dataset  # trl would tokenize again, differently (trl issue 6105), and no setting prevents it

    pairs = sft.read(job.pairs)
    tokens = pairs.map(
        lambda row: chat.encode_pair(tokenizer, row, job.today),
        remove_columns=pairs.column_names,
        load_from_cache_file=False,
    )
    config = sft.trainer_config(
        DPOConfig,
        job,
        options,
        pair_steps(options, len(pairs)),
        learning_rate=options.pair_learning_rate,
        beta=options.beta,
        max_length=None,
        save_strategy="no",  # transformers reads back only the reference from a checkpoint with two adapters
    )
    return Trainer(
        model,
        args=config,
        train_dataset=tokens,
        processing_class=tokenizer,
        callbacks=[progress_callback("train on pairs", "pair_")],
    )
