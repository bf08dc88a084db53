"""What GPUs would be taken up: the arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.contracts import Engine
from byheart.engines.vllm import VLLM
from byheart.errors import EngineError
from byheart.executors.local import Local
from byheart.executors.ray import Ray
from byheart.models import checkpoint, machine
from byheart.models.machine import Gpu
from byheart.objectives.sft import SFT
from byheart.planning import dry_run, estimate

GIB = 2**30
H100, SMALL = Gpu("NVIDIA H100 80GB HBM3", 80 * GIB), Gpu("NVIDIA GeForce RTX 4090", 24 * GIB)
SMOLLM = estimate.Shape(30, 576, 1536, 192, 134_515_008, 9)
LLAMAS = sorted((Path(__file__).parents[2] / "recipes").glob("llama-*.yaml"))


def llama(name: str, *overrides: str) -> tuple[Recipe, estimate.Shape]:
    path = next(path for path in LLAMAS if path.stem == name)
    found = recipe.read(path, list(overrides))
    return found, estimate.KNOWN[found.model.name]


def training_bytes(*overrides: str) -> float:
    """Bytes that training the 1B Llama on GSM8K takes of one GPU, with 8 rows of at most 1,024 tokens at once."""
    rows = ("model.max_context=1024", "objective.gradient_accumulation_steps=4")
    changed, model = llama("llama-3.2-1b-gsm8k", *rows, *overrides)
    assert isinstance(changed.objective, SFT)
    return estimate.training(changed, changed.objective, model, 1)


@pytest.mark.parametrize("path", LLAMAS, ids=lambda path: path.stem)
def test_a_recipe_for_gpus_fits_one_and_is_quicker_on_eight(path: Path) -> None:
    one, model = llama(path.stem)
    sizes = {"train": one.task.num_train, "dev": one.task.num_dev, "held_out": one.task.num_held_out}
    alone, eight = (estimate.minutes(one, model, [H100] * gpus, sizes, 100) for gpus in (1, 8))
    assert alone and eight and 4 < sum(alone.values()) / sum(eight.values()) <= 8
    assert isinstance(one.objective, SFT)
    header, training = path.read_text(), estimate.training(one, one.objective, model, 1) / GIB
    assert f"training takes {training:.1f} GiB on one GPU" in header
    assert f"{sum(alone.values()):.0f} minutes a round on one H100, {sum(eight.values()):.0f} on eight" in header
    assert estimate.memory(one, model, [H100])[1]
    assert not estimate.memory(one, model, [Gpu("", 4 * GIB)])[1]


def test_a_model_on_this_machine_is_read_from_its_config(smollm: Path) -> None:
    assert estimate.shape(checkpoint.ModelOptions(name=str(smollm))) == SMOLLM


@pytest.mark.torch
@pytest.mark.parametrize("name", [*estimate.KNOWN, "SmolLM2-135M"])
def test_a_shape_and_its_adapter_have_the_parameters_of_the_model_itself(name: str) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, LlamaConfig

    shape = estimate.KNOWN.get(name, SMOLLM)
    config = LlamaConfig(
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.keys // (shape.hidden // shape.heads),
        vocab_size=49_152 if shape is SMOLLM else 128_256,
        tie_word_embeddings="8B" not in name,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert model.num_parameters() == shape.parameters
    settings = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    assert get_peft_model(model, settings).get_nb_trainable_parameters()[0] == shape.adapter(4)


@pytest.mark.parametrize(
    ("overrides", "less"),
    [
        (["objective.gradient_checkpointing=true"], 10 * GIB),
        (["objective.gradient_accumulation_steps=8"], 5 * GIB),
        (["objective.load_in_4bit=true"], 1.4 * GIB),
        (["objective.lora_r=8"], 0.05 * GIB),
    ],
)
def test_each_way_to_take_less_takes_less(overrides: list[str], less: float) -> None:
    plain, changed = (training_bytes(*more) for more in ([], overrides))
    assert plain - changed > less


def test_time_goes_by_what_is_sampled_and_by_the_gpus_that_share_a_batch() -> None:
    sizes = {"train": 2000, "dev": 200, "held_out": 1319}

    def minutes(gpus: int, *overrides: str) -> dict[str, float]:
        found = estimate.minutes(*llama("llama-3.2-3b-gsm8k", *overrides), [H100] * gpus, sizes, 100)
        assert found
        return found

    one, three, eight = (minutes(gpus) for gpus in (1, 3, 8))
    assert one["sample"] == pytest.approx(3 * three["sample"]) == pytest.approx(8 * eight["sample"])
    assert one["train"] == pytest.approx(2 * three["train"]) == pytest.approx(8 * eight["train"]), (
        "3 can't share 8 rows"
    )
    tokens = 2000 * 10 * 512 * 3 / 8
    assert minutes(1, f"sample_tokens={tokens / 4:.0f}")["sample"] == pytest.approx(one["sample"] / 4)
    step = 2 * 3_212_749_824 / (0.6 * 3.35e12) + 0.008
    assert one["sample"] == pytest.approx(tokens / 256 * step / 60)


def test_controls_take_time_in_the_first_round() -> None:
    sizes = {"train": 2000, "dev": 200, "held_out": 1319}
    first, second = (estimate.minutes(*llama("llama-3.2-1b-gsm8k"), [H100], sizes, 100, n) for n in (1, 2))
    assert first and second and 0 < first["controls"] < first["baseline"] and "controls" not in second


def test_a_pair_takes_twice_the_memory_of_a_row() -> None:
    _, model = llama("llama-3.2-1b-gsm8k")
    paired = training_bytes("objective.name=preference", "curation.pairs=1")
    assert paired - training_bytes() == 8 * 1024 * model.activations(False)


def test_gpus_are_those_that_a_process_started_here_would_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["0, GPU-aa, NVIDIA H100, 81559", "1, GPU-ab, NVIDIA L40S, 46068", "2, GPU-cc, NVIDIA GB10, [N/A]"]
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in listed))
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first, second = Gpu("NVIDIA H100", 81559 * 2**20), Gpu("NVIDIA L40S", 46068 * 2**20)
    assert machine.gpus.__wrapped__() == [first, second]
    for visible, expected in (("1", [second]), ("GPU-ab,0", [second, first]), ("", []), ("-1", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert machine.gpus.__wrapped__() == expected


def test_what_does_not_fit_is_said_with_a_way_out() -> None:
    said = estimate.lines(
        *llama("llama-3.2-1b-gsm8k", "objective.gradient_accumulation_steps=1"),
        [SMALL],
        {"train": 1, "dev": 1, "held_out": 1},
        9,
    )
    assert "it does NOT fit" in said[0] and "gradient_accumulation_steps, gradient_checkpointing: true" in said[-1]
    said = estimate.lines(*llama("llama-3.1-8b-math"), [SMALL], {"train": 1, "dev": 1, "held_out": 1}, 9)
    assert "it does NOT fit" in said[0] and "15 GiB in bfloat16, do not fit 1 GPU(s)" in said[1]


@pytest.mark.parametrize(
    ("gpus", "options", "expected"),
    [
        ([H100], {}, None),
        ([H100] * 8, {}, (8, 1)),
        ([H100] * 8, {"tensor_parallel_size": 2}, (4, 2)),
        ([H100] * 8, {"data_parallel_size": 3}, (3, 1)),
        ([Gpu("", GIB // 5)] * 4, {}, EngineError),
        ([Gpu("", GIB)] * 3, {}, (3, 1)),
    ],
)
def test_copies_and_splits_by_what_there_is(
    smollm: Path, monkeypatch: pytest.MonkeyPatch, gpus: list[Gpu], options: dict[str, Any], expected: Any
) -> None:
    """SmolLM2 has 257 MiB in bfloat16 and 9 heads, which no number of GPUs but 1 divides."""
    monkeypatch.setattr(machine, "gpus", lambda: gpus)
    asked = Engine.parse({"name": "vllm", **options})
    if expected is EngineError:
        with pytest.raises(EngineError, match="do not fit 4"):
            Local().placed(asked, smollm)
        return
    executor, engine = Local().placed(asked, smollm)
    assert isinstance(engine, VLLM) and engine.data_parallel_size == 1
    if expected is None:
        assert isinstance(executor, Local) and engine.tensor_parallel_size == 1
    else:
        assert isinstance(executor, Ray) and (executor.name, executor.address) == ("ray", "local")
        assert (executor.num_workers, engine.tensor_parallel_size) == expected


def test_a_dry_run_says_whether_it_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = recipe.read(LLAMAS[0].with_name("addition.yaml"))
    notes = " ".join(dry_run.plan(one, tmp_path / "run", 1).notes)
    assert "GiB that are free: it fits (estimated)" in notes
    monkeypatch.setattr(machine, "gpus", lambda: [H100, H100])
    notes = " ".join(dry_run.plan(one, tmp_path / "run", 1).notes)
    assert "GPUs: 2 x NVIDIA H100 80GB HBM3, it fits (estimated)" in notes and "sampling: 2 x 1 GPU(s)" in notes
    monkeypatch.setattr(machine, "gpus", lambda: [Gpu("NVIDIA T1000", GIB)])
    assert "it does NOT fit" in " ".join(dry_run.plan(one, tmp_path / "run", 1).notes)
