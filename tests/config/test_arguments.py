"""What is handed through to trl, peft and vLLM is held against the classes that are installed."""

from __future__ import annotations

import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Job
from byheart.errors import RecipeError
from byheart.objectives import sft
from byheart.objectives.preference import Preference
from byheart.objectives.sft import SFT
from byheart.runs.records import TrainStats

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
        ({"lora_args": {"peft_type": "IA3"}}, "lora_args.peft_type: byheart sets it itself"),
        ({"lora_args": {"bias": "all"}}, "lora_args.bias: byheart sets it itself"),
        ({"lora_args": {"lora_bias": True}}, "lora_args.lora_bias: byheart sets it itself"),
        ({"lora_args": {"use_dora": True}}, "lora_args.use_dora: byheart sets it itself"),
        ({"lora_args": {"layer_replication": [[0, 2]]}}, "lora_args.layer_replication: byheart sets it itself"),
        ({"lora_args": {"trainable_token_indices": [1]}}, "trainable_token_indices: byheart sets it itself"),
        ({"lora_args": {"target_parameters": ["experts"]}}, "lora_args.target_parameters: byheart sets it itself"),
        ({"lora_args": {"alora_invocation_tokens": [1]}}, "alora_invocation_tokens: byheart sets it itself"),
        ({"lora_args": {"init_lora_weights": "pissa"}}, "true, false or gaussian is wanted, this is 'pissa'"),
        ({"lora_args": {"init_lora_weights": "olora"}}, "true, false or gaussian is wanted, this is 'olora'"),
        ({"lora_args": {"rank_pattern": {"q_proj": "8"}}}, "lora_args.rank_pattern: a mapping from names of modules"),
        ({"trainer_args": {"auto_find_batch_size": True}}, "the rows that objective.global_batch_size says"),
        (
            {"trainer_args": {"accelerator_config": {"split_batches": True}}},
            "the rows that objective.global_batch_size says",
        ),
        ({"trainer_args": {"hub_token": "hf_secret"}}, "`byheart publish` pushes a round, with the token of"),
        ({"trainer_args": {"hub_model_id": "a/b"}}, "`byheart publish` pushes a round"),
        ({"engine_args": {"hf_token": "hf_secret"}}, "byheart downloads the model, with the token of"),
        ({"trainer_args": {"model_init_kwargs": None}}, "model_init_kwargs: a mapping is wanted, this is empty"),
        ({"trainer_args": {"model_init_kwargs": 3}}, "model_init_kwargs: a mapping is wanted, this is an int"),
        ({"trainer_args": {"model_init_kwargs": {"token": "hf_secret"}}}, "model_init_kwargs.token: byheart sets it"),
        ({"trainer_args": {"weight_decay": date(2024, 1, 1)}}, "trainer_args.weight_decay: input was not a valid JSON"),
    ],
)
def test_what_can_not_be_handed_through_is_refused_before_anything_runs(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        validation.check(recipe.parse(raw(**wrong)))
    assert words in str(error.value)
    assert "hf_secret" not in str(error.value)


def test_values_are_held_to_the_types_and_choices_of_the_libraries() -> None:
    wrong: dict[str, dict[str, Any]] = {
        "trainer_args": {
            "weight_decay": [1, 2],
            "max_grad_norm": "1e-4",
            "loss_type": "x",
            "lr_scheduler_type": "lineer",
            "optim": "adamww",
            "dataloader_prefetch_factor": 2,
        },
        "lora_args": {"use_rslora": "yes", "layers_to_transform": [1]},
        "engine_args": {"kv_cache_dtype": "fp9", "max_num_batched_tokens": 0.5, "cpu_offload_gb": "much"},
    }
    with pytest.raises(RecipeError) as error:
        validation.check(recipe.parse(raw(**wrong)))
    lines = dict(line.split(": ", 1) for line in str(error.value).splitlines())
    assert lines.keys() == {f"{section}.{key}" for section, arguments in wrong.items() for key in arguments}
    assert lines["trainer_args.weight_decay"] == "float is wanted, this is [1, 2]"
    assert lines["trainer_args.max_grad_norm"] == "float is wanted, this is '1e-4'"
    assert lines["trainer_args.loss_type"] == "one of nll, dft, chunked_nll is wanted, this is 'x'"
    assert "please select one of ['linear'" in lines["trainer_args.lr_scheduler_type"]
    assert "--dataloader_num_workers > 0" in lines["trainer_args.dataloader_prefetch_factor"]
    assert "cannot be used when `target_modules` is a str" in lines["lora_args.layers_to_transform"]
    assert lines["engine_args.kv_cache_dtype"].startswith("one of auto, ")


def test_everything_that_is_wrong_is_said_at_once_and_the_rest_is_fine() -> None:
    args = {"trainer_args": {"weight_decay": 0.1, "sed": 1}, "lora_args": {"lora_dropout": 0.1, "r": 1}}
    with pytest.raises(RecipeError) as error:
        validation.check(recipe.parse(raw(**args)))
    assert len(str(error.value).splitlines()) == 2
    trainer = {"weight_decay": 1, "report_to": ["wandb"], "lr_scheduler_type": "linear", "tf32": True}
    trainer |= {"dataloader_num_workers": 2, "dataloader_prefetch_factor": 2, "bf16_full_eval": True}
    trainer |= {"model_init_kwargs": {"attn_implementation": "eager"}}
    lora = {"target_modules": ["q_proj"], "layers_to_transform": [1], "init_lora_weights": "gaussian"}
    engine = {"kv_cache_dtype": "fp8", "enforce_eager": True, "attention_backend": "flash_attn", "block_size": None}
    engine |= {"compilation_config": 3, "cpu_offload_params": ["experts"], "cpu_offload_gb": 1}
    lora |= {"rank_pattern": {"q_proj": 8}, "use_rslora": True}
    validation.check(recipe.parse(raw(trainer_args=trainer, lora_args=lora, engine_args=engine)))


def test_a_loss_of_pairs_is_none_of_the_fine_tuning_before_them() -> None:
    sections = {"objective": "preference", "curation": {"pairs": 1}}
    for loss in ("ipo", ["ipo"]):
        validation.check(recipe.parse(raw(trainer_args={"loss_type": loss, "max_grad_norm": 1}, **sections)))


def test_no_module_has_a_rank_that_the_engine_does_not_serve() -> None:
    asked = recipe.parse(raw(lora_args={"rank_pattern": {"q_proj": 8, "v_proj": 128}}))
    with pytest.raises(
        RecipeError, match=r"^lora_args.rank_pattern: 128, of v_proj, is more than engine.max_lora_rank"
    ):
        asked.engine.check(asked)
    raised = recipe.parse(asked.resolved() | {"engine": {"name": "vllm", "max_lora_rank": 128}})
    raised.engine.check(raised)


def test_no_module_is_trained_that_the_engine_does_not_serve() -> None:
    asked = recipe.parse(raw(lora_args={"target_modules": ["q_proj", "lm_head"]}))
    with pytest.raises(RecipeError, match=r"^lora_args.target_modules: an adapter on lm_head can't be served"):
        asked.engine.check(asked)


def test_engines_with_other_arguments_differ_also_after_pickling() -> None:
    plain = recipe.parse(raw()).engine
    engine = plain.with_args({"enforce_eager": True})
    assert engine != plain
    assert engine == plain.with_args({"enforce_eager": True})
    assert engine != plain.with_args({"enforce_eager": False})
    assert pickle.loads(pickle.dumps(engine)) == engine
    assert hash(engine) == hash(plain.with_args({"enforce_eager": True}))


def test_an_objective_from_elsewhere_may_log_any_json() -> None:
    notes = {"phase": "warm", "done": True, "curve": [0.5, None], "others": 1, "score": 0.25}
    stats = TrainStats.of({"steps": 3, "loss": 0.5, **notes})
    assert (stats.steps, stats.loss, stats.others) == (3, 0.5, notes)
    assert TrainStats.from_dict(json.loads(json.dumps(stats.to_dict()))) == stats


def test_they_are_in_the_digest_but_for_what_says_only_how_fast() -> None:
    plain = recipe.parse(raw()).digest()
    assert recipe.parse(raw(trainer_args={"report_to": ["wandb"], "dataloader_num_workers": 2})).digest() == plain
    assert recipe.parse(raw(engine_args={"enforce_eager": True})).digest() == plain
    changed = [raw(trainer_args={"weight_decay": 0.1}), raw(lora_args={"lora_dropout": 0.1})]
    changed.append(raw(engine_args={"kv_cache_dtype": "fp8"}))
    assert len({plain, *(recipe.parse(other).digest() for other in changed)}) == 4
    both = recipe.parse(raw(trainer_args={"weight_decay": 0.1, "report_to": ["wandb"]}, lora_args={"use_rslora": True}))
    assert (both.arguments.trainer, both.arguments.lora) == ({"weight_decay": 0.1}, {"use_rslora": True})
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
