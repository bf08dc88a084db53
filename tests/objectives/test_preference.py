"""Learning to prefer: what the pairs teach, from where, and what is left in the end. The trainer is trl's own."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from byheart.config import validation
from byheart.config.recipe import Recipe, parse
from byheart.contracts import Job
from byheart.errors import RecipeError
from byheart.models import chat, checkpoint, weights
from byheart.objectives import preference, sft, vstar

pytestmark = pytest.mark.train

FEW: dict[str, Any] = {
    "min_optimizer_steps": 3,
    "max_optimizer_steps": 3,
    "global_batch_size": 4,
    "learning_rate": 0.01,
    "pair_epochs": 3.0,
    "pair_learning_rate": 0.01,
}


def reports(printed: str) -> list[dict[str, Any]]:
    """What the child would have told the train stage."""
    return [json.loads(line.removeprefix("byheart ")) for line in printed.splitlines() if line.startswith("byheart ")]


def logits(base: Path, adapter: Path | None = None) -> Any:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter) if adapter else model
    with torch.no_grad():
        return model(torch.tensor([[1, 2, 3, 4, 5]])).logits


def margins(job: Job, model_dir: Path) -> list[float]:
    """How much more likely the right answer of each pair is than the wrong one, in nats."""
    import pyarrow.parquet as parquet
    import torch
    from transformers import AutoModelForCausalLM

    words = checkpoint.tokenizer(job.base)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)

    def likely(prompt: list[int], answer: list[int]) -> float:
        with torch.no_grad():
            chances = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        return sum(float(chances[len(prompt) - 1 + i, token]) for i, token in enumerate(answer))

    pairs = [chat.encode_pair(words, pair) for pair in parquet.read_table(job.pairs).to_pylist()]
    return [
        likely(one["prompt_ids"], one["chosen_ids"]) - likely(one["prompt_ids"], one["rejected_ids"]) for one in pairs
    ]


@pytest.mark.slow
def test_pairs_teach_the_fine_tuned_model_to_prefer_in_one_adapter(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    options = preference.Preference(**FEW)
    assert options.fit(job) > 0
    first = job.scratch / "sft-adapter"
    told = reports(capsys.readouterr().out)

    # Before its first step the policy is its own reference: a loss of ln 2, and no reward for either.
    trainer = begun(replace(job, adapter=first, scratch=job.scratch / "again"), options)
    loss = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader())))
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)
    assert trainer._metrics["train"]["rewards/chosen"] == trainer._metrics["train"]["rewards/rejected"] == [0.0]
    trained = {name for name, tensor in trainer.model.named_parameters() if tensor.requires_grad}
    assert trained and all(".default." in name for name in trained), "the reference stays as it is"

    # What comes out is one adapter on the base model, and the merged weights are what it makes of the base.
    assert {path.name for path in job.out.iterdir() if path.is_dir()} == set(), "the reference is not saved with it"
    final = logits(job.base, job.out)
    assert torch.allclose(logits(job.out.parent / "merged"), final, atol=1e-4)
    assert not torch.allclose(logits(job.base, first), final, atol=1e-2)
    before, after = margins(job, merged(job, first)), margins(job, job.out.parent / "merged")
    assert all(new > old for old, new in zip(before, after, strict=True))
    assert {"steps": 3} in [one["notes"] for one in told if one.get("doing") == "train"]
    last = told[-1]["notes"]
    assert last["pair_steps"] == 6 and last["pair_accuracy"] > 0.5 and last["pair_loss"] < math.log(2)


def begun(job: Job, options: preference.Preference) -> Any:
    """trl's trainer as `prefer` begins with it."""
    from peft import PeftModel

    tokenizer, model = sft.base_model(job, options)
    return preference.preference_trainer(
        job, options, tokenizer, PeftModel.from_pretrained(model, job.adapter, is_trainable=True)
    )


def merged(job: Job, adapter: Path) -> Path:
    weights.merge(job.base, adapter)
    return weights.plain(job.base, adapter)


def test_without_a_pair_there_is_only_fine_tuning(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    job.pairs.unlink()
    preference.Preference(**FEW).fit(job)
    assert (job.out.parent / "merged").is_dir()
    assert "no pairs" in reports(capsys.readouterr().out)[0]["say"]


@pytest.mark.slow
def test_the_verifier_is_a_second_adapter_and_a_kill_amid_it_costs_only_itself(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    options = vstar.VStar(**FEW)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(preference, "preference_trainer", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        options.fit(job)
    capsys.readouterr()
    options.fit(job)
    trained = [one["step"] for one in reports(capsys.readouterr().out) if one.get("doing") == "train"]
    assert trained == [4], "the generator is as it was, but for a step at a learning rate of 0"
    generator, verifier = job.out.parent / "merged", job.scorer.parent / "merged"
    preferring, plain = margins(job, verifier), margins(job, generator)
    assert all(new > old for old, new in zip(plain, preferring, strict=True))

    # The generator is what fine-tuning alone makes.
    alone = replace(job, scratch=job.scratch / "alone", out=job.scratch / "alone/adapter")
    sft.fine_tune(alone, options)
    assert torch.allclose(logits(generator), logits(alone.out.parent / "merged"), atol=1e-5)
    assert torch.allclose(logits(verifier), logits(job.base, job.scorer), atol=1e-4)


@pytest.mark.parametrize("objective", ["preference", "vstar"])
def test_a_recipe_that_makes_no_pairs_is_refused(objective: str) -> None:
    validation.check(asked(objective, pairs=1))
    with pytest.raises(RecipeError, match=rf"{objective} .*curation\.pairs has to be above 0"):
        validation.check(asked(objective, pairs=0))


@pytest.mark.parametrize("target", ["shortest", "answer"])
def test_pairs_of_whole_solutions_are_refused_to_who_wants_less_of_them(target: str) -> None:
    validation.check(asked("vstar", pairs=1, target=target))
    with pytest.raises(RecipeError, match=f"target: {target}: .* take target: full"):
        validation.check(asked("preference", pairs=1, target=target))


def asked(objective: str, **curation: Any) -> Recipe:
    raw = {"name": "r", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "curation": curation}
    return parse(raw | {"objective": {"name": objective}})


@pytest.mark.parametrize(("num_pairs", "warm"), [(1, 0), (2, 0), (9, 0), (10, 1), (40, 2)])
def test_the_first_of_a_few_steps_already_learns(job: Job, num_pairs: int, warm: int) -> None:
    options = preference.Preference(global_batch_size=1, max_pair_steps=num_pairs)
    from trl import DPOConfig

    config = sft.trainer_config(DPOConfig, job, options, preference.pair_steps(options, 99))
    assert (config.max_steps, config.warmup_steps) == (num_pairs, warm)


def test_one_step_on_pairs_changes_the_adapter(job: Job) -> None:
    import torch

    options = preference.Preference(**FEW | {"max_pair_steps": 1})
    options.fit(job)
    assert not torch.allclose(logits(job.base, job.scratch / "sft-adapter"), logits(job.base, job.out), atol=1e-4)
