"""What is handed through to trl, peft and vLLM is held against the classes that are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart import recipe, soundness
from byheart.contracts import Job
from byheart.errors import RecipeError
from byheart.objectives import sft
from byheart.objectives.preference import Preference
from byheart.objectives.sft import SFT

pytestmark = pytest.mark.torch


def raw(**sections: Any) -> dict[str, Any]:
    return {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "times_table"}} | sections


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"trainer_args": {"weight_dcay": 0.1}},
            "no such option in SFTConfig as installed, did you mean 'weight_decay'?",
        ),
        ({"trainer_args": {"learning_rate": 0.1}}, "trainer_args.learning_rate: say objective.learning_rate"),
        ({"trainer_args": {"seed": 3}}, "trainer_args.seed: say seed"),
        ({"trainer_args": {"completion_only_loss": False}}, "byheart sets it itself: the loss is on the completion"),
        (
            {"trainer_args": {"model_init_kwargs": {"dtype": "float16"}}},
            "model_init_kwargs.dtype: say objective.precision",
        ),
        ({"trainer_args": {"label_smoothing": 0.1}}, "no such option in SFTConfig as installed"),
        ({"trainer_args": {"weight_decay": 0.1}, "objective": "none"}, "the objective 'none' takes none"),
        ({"lora_args": {"lora_dropot": 0.1}}, "did you mean 'lora_dropout'?"),
        ({"lora_args": {"r": 4}}, "lora_args.r: say objective.lora_r"),
        ({"engine_args": {"kv_cache_dtyp": "fp8"}}, "did you mean 'kv_cache_dtype'?"),
        ({"engine_args": {"enable_lora": False}}, "policies are served as LoRA adapters"),
        ({"engine_args": {"max_model_len": 4}}, "say model.max_context"),
        ({"engine_args": {"kv_cache_dtype": "fp8"}, "engine": "transformers"}, "the engine 'transformers' takes none"),
    ],
)
def test_what_can_not_be_handed_through_is_refused_before_anything_runs(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        soundness.check(recipe.parse(raw(**wrong)))
    assert words in str(error.value)


def test_everything_that_is_wrong_is_said_at_once_and_the_rest_is_fine() -> None:
    args = {"trainer_args": {"weight_decay": 0.1, "sed": 1}, "lora_args": {"lora_dropout": 0.1, "r": 1}}
    with pytest.raises(RecipeError) as error:
        soundness.check(recipe.parse(raw(**args)))
    assert len(str(error.value).splitlines()) == 2
    sound = {"trainer_args": {"weight_decay": 0.1, "report_to": ["wandb"], "lr_scheduler_type": "linear"}}
    sound |= {
        "lora_args": {"target_modules": ["q_proj"]},
        "engine_args": {"kv_cache_dtype": "fp8", "enforce_eager": True},
    }
    soundness.check(recipe.parse(raw(**sound)))


def test_they_are_in_the_digest_but_for_what_says_only_how_fast() -> None:
    plain = recipe.parse(raw()).digest()
    assert recipe.parse(raw(trainer_args={"report_to": ["wandb"], "dataloader_num_workers": 2})).digest() == plain
    assert recipe.parse(raw(engine_args={"enforce_eager": True})).digest() == plain
    changed = [raw(trainer_args={"weight_decay": 0.1}), raw(lora_args={"lora_dropout": 0.1})]
    changed.append(raw(engine_args={"kv_cache_dtype": "fp8"}))
    assert len({plain, *(recipe.parse(other).digest() for other in changed)}) == 4
    both = recipe.parse(raw(trainer_args={"weight_decay": 0.1, "report_to": ["wandb"]}, lora_args={"lora_bias": True}))
    assert (both.arguments.trainer, both.arguments.lora) == ({"weight_decay": 0.1}, {"lora_bias": True})
    assert both.launcher.trainer_args == {"report_to": ["wandb"]}


def job(folder: Path, **arguments: Any) -> Job:
    return Job({}, folder, None, folder, folder, folder / "adapter", 0, False, **arguments)


def test_the_config_of_a_trainer_has_them_over_what_byheart_sets(tmp_path: Path) -> None:
    from trl import DPOConfig

    args = {"weight_decay": 0.25, "lr_scheduler_type": "linear", "packing": True, "loss_type": ["ipo"]}
    handed = job(tmp_path, trainer_args=args | {"loss_type": "dft"})
    config = sft.settings(handed, SFT(), 80)
    assert (config.weight_decay, config.lr_scheduler_type, config.packing, config.loss_type) == (
        0.25,
        "linear",
        True,
        "dft",
    )
    assert config.learning_rate == SFT().learning_rate
    pairs = sft.trainer_config(DPOConfig, job(tmp_path, trainer_args=args), Preference(), 10)
    assert (pairs.weight_decay, pairs.loss_type) == (0.25, ["ipo"])
    assert (
        sft.settings(job(tmp_path, trainer_args=args), Preference(), 80).loss_type
        == sft.settings(job(tmp_path), SFT(), 80).loss_type
    )
