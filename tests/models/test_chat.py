"""Token parity: what an engine is prompted with and what training sees are the same, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.models import chat
from byheart.types import Prompt

pytestmark = pytest.mark.torch

CHAT: Prompt = [{"role": "user", "content": "What is 23 + 27?"}]


def tokenizer(path: Path) -> Any:
    from byheart.models import checkpoint

    return checkpoint.tokenizer(path)


@pytest.mark.parametrize("model", ["tiny", "tiny_llama3"])
@pytest.mark.parametrize("prompt", [CHAT, "What is 23 + 27?"])
def test_training_sees_the_prompt_of_the_engine_then_the_answer_and_its_end(
    model: str, prompt: Prompt, request: pytest.FixtureRequest
) -> None:
    words = tokenizer(request.getfixturevalue(model))
    completion = "50" if isinstance(prompt, str) else [{"role": "assistant", "content": "50"}]
    row = chat.encode_example(words, {"prompt": prompt, "completion": completion})
    prompted = chat.encode_prompt(words, prompt)
    answer = words("50", add_special_tokens=False).input_ids
    assert row["input_ids"] == [*prompted, *answer, chat.end_token(words, prompt)]
    assert row["completion_mask"] == [0] * len(prompted) + [1] * (len(answer) + 1)


def test_what_is_taken_back_is_read_and_not_learnt(tiny: Path) -> None:
    words = tokenizer(tiny)
    said = "2 + 2 = 4\n4 + 3 = 8\nWait, that is wrong.\n4 + 3 = 7"
    span = [said.index("4 + 3 = 8"), said.index("Wait")]
    row = chat.encode_example(words, {"prompt": "sum", "completion": said, "untrained": [span]})
    whole = chat.encode_example(words, {"prompt": "sum", "completion": said, "untrained": []})
    assert row["input_ids"] == whole["input_ids"]
    trained = zip(row["input_ids"], row["completion_mask"], whole["completion_mask"], strict=True)
    kept: list[int] = []
    slip: list[int] = []
    for token, mask, without in trained:
        if without:
            (kept if mask else slip).append(token)
    assert words.decode(slip) == said[slice(*span)]
    assert words.decode(kept[:-1]) == said[: span[0]] + said[span[1] :]


def test_llama3_has_one_beginning_of_text_and_ends_a_turn_with_eot(tiny_llama3: Path) -> None:
    words = tokenizer(tiny_llama3)
    for prompt in (CHAT, "What is 23 + 27?"):
        assert chat.encode_prompt(words, prompt).count(words.bos_token_id) == 1
        assert chat.encode_prompt(words, prompt)[0] == words.bos_token_id
    assert chat.end_token(words, CHAT) == words.convert_tokens_to_ids("<|eot_id|>")


def test_smollm_ends_a_turn_with_im_end(tiny: Path) -> None:
    words = tokenizer(tiny)
    assert chat.end_token(words, CHAT) == words.convert_tokens_to_ids("<|im_end|>")
    assert words.decode(chat.encode_prompt(words, CHAT)).endswith("<|im_start|>assistant\n")


@pytest.mark.train
@pytest.mark.parametrize("model", ["tiny", "tiny_llama3"])
@pytest.mark.parametrize("prompt", [CHAT, "What is 23 + 27?"])
def test_trl_prefers_among_exactly_those_tokens(
    model: str, prompt: Prompt, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The batch that the real DPOTrainer would feed its model: each half of a pair is as if it were trained alone."""
    import pyarrow
    import pyarrow.parquet as parquet
    from byheart.contracts import Job
    from byheart.objectives.preference import Preference, preference_trainer
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    path = request.getfixturevalue(model)
    words = tokenizer(path)
    said = {"chosen": "50", "rejected": "23 + 27 = 40, and that is all there is to say."}
    completions = {
        name: text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
        for name, text in said.items()
    }
    job = Job({"name": "preference"}, path, None, tmp_path, tmp_path, tmp_path, seed=0, allow_pickle=False)
    job.pairs.parent.mkdir()
    parquet.write_table(pyarrow.Table.from_pylist([{"prompt": prompt, **completions}]), job.pairs)
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    model_ = get_peft_model(AutoModelForCausalLM.from_pretrained(path), lora)
    trainer = preference_trainer(job, Preference(), words, model_)
    batch = next(iter(trainer.get_train_dataloader()))
    for place, name in enumerate(said):
        row = chat.encode_example(words, {"prompt": prompt, "completion": completions[name]})
        length = len(row["input_ids"])
        assert batch["input_ids"][place, :length].tolist() == row["input_ids"]
        mask = batch["completion_mask"][place].tolist()
        assert mask == row["completion_mask"] + [0] * (len(mask) - length)
        assert batch["attention_mask"][place].tolist() == [1] * length + [0] * (len(mask) - length)


@pytest.mark.train
@pytest.mark.parametrize("model", ["tiny", "tiny_llama3"])
def test_trl_trains_exactly_those_tokens(model: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The batch that the real SFTTrainer would feed its model: nothing cut, prompt and padding without loss."""
    import datasets
    from byheart.contracts import Job
    from byheart.objectives.sft import SFT, settings, tokenized
    from transformers import AutoModelForCausalLM
    from trl import SFTTrainer

    path = request.getfixturevalue(model)
    job = Job({"name": "sft"}, path, None, tmp_path, tmp_path, tmp_path, seed=0, allow_pickle=False)
    words = tokenizer(path)
    examples = [
        {"prompt": CHAT, "completion": [{"role": "assistant", "content": text}]}
        for text in ("50", "23 + 27 = 50, and that is all there is to say.")
    ]
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(path),
        args=settings(job, SFT(), len(examples)),
        train_dataset=tokenized(datasets.Dataset.from_list(examples), words),
        processing_class=words,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    rows = [chat.encode_example(words, example) for example in examples]
    seen = sorted(
        zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True), key=lambda row: row[1].count(-100)
    )
    for (ids, labels), row in zip(seen, sorted(rows, key=lambda row: -len(row["input_ids"])), strict=True):
        length = len(row["input_ids"])
        assert ids[:length] == row["input_ids"]
        wanted = [token if mask else -100 for token, mask in zip(row["input_ids"], row["completion_mask"], strict=True)]
        assert labels == wanted + [-100] * (len(labels) - length)
        assert labels[length - 1] == chat.end_token(words, CHAT)
