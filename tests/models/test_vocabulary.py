"""A token that the model has no row for is found before a prompt with it is sampled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.errors import ModelError
from byheart.models import checkpoint
from byheart.types import Prompt

from tests.models.directories import CONFIG, SETTINGS, TEMPLATE, WORDS, model, tokenizer, weights

CHAT: Prompt = [{"role": "user", "content": "2 + 2"}]
BEYOND = len(WORDS)
DONE = {"tokenizer__json": tokenizer("<|done|>")}


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (DONE | {"tokenizer_config__json": SETTINGS | {"eos_token": "<|done|>"}}, "<|done|>, eos_token"),
        (DONE | {"tokenizer_config__json": SETTINGS | {"pad_token": {"content": "<|done|>"}}}, "<|done|>, pad_token"),
        ({"tokenizer_config__json": SETTINGS | {"pad_token": "<|none|>"}}, "<|none|>, pad_token"),
        (DONE | {"chat_template__jinja": TEMPLATE.replace(" <|end|>", " <|done|>")}, "<|done|>, in a prompt"),
        ({"generation_config__json": {"eos_token_id": [3, BEYOND]}}, "eos_token_id of generation_config.json"),
        ({"config__json": CONFIG | {"eos_token_id": BEYOND}}, "eos_token_id of config.json"),
    ],
)
def test_a_token_beyond_the_rows_is_named(tmp_path: Path, files: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError) as raised:
        checkpoint.check(model(tmp_path / "m", **files), [CHAT])
    assert f"the token {BEYOND} ({what}" in str(raised.value)
    assert f"beyond the {BEYOND} rows of the model's embedding" in str(raised.value)


def test_a_plain_prompt_is_looked_at_too(tmp_path: Path) -> None:
    path = model(tmp_path / "m", "chat_template.jinja", **DONE)
    checkpoint.check(path, ["2 + 2 ="])
    with pytest.raises(ModelError, match="in a prompt"):
        checkpoint.check(path, ["2 + 2 <|done|>"])


def test_a_tokenizer_of_another_model_is_said(tmp_path: Path) -> None:
    small = {"config__json": CONFIG | {"vocab_size": 5}, "model__safetensors": weights(**{"wte.weight": (5, 2)})}
    with pytest.raises(ModelError, match="has 13 tokens and the model rows for 5"):
        checkpoint.check(model(tmp_path / "m", **small), [CHAT])


def test_the_rows_that_are_stored_count_whatever_the_config_says(tmp_path: Path) -> None:
    path = model(tmp_path / "m", config__json=CONFIG | {"vocab_size": 99}, model__safetensors=weights(), **DONE)
    with pytest.raises(ModelError, match="beyond the 13 rows"):
        checkpoint.check(path, ["<|done|>"])


def test_tokens_beyond_the_rows_that_nobody_meets_do_no_harm(tmp_path: Path) -> None:
    checkpoint.check(model(tmp_path / "m", **DONE), [CHAT, "2 + 2 ="])


def test_more_rows_than_tokens_are_usual(tmp_path: Path) -> None:
    padded = {"config__json": CONFIG | {"vocab_size": 64}, "model__safetensors": weights(**{"wte.weight": (64, 2)})}
    checkpoint.check(model(tmp_path / "m", **DONE, **padded), ["<|done|>", CHAT])


@pytest.mark.parametrize("raw", ["{", "{}", '{"version": "1.0", "model": {"type": "BPE"}}'])
def test_a_torn_tokenizer_is_named(tmp_path: Path, raw: str) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json can't be read"):
        checkpoint.check(model(tmp_path / "m", tokenizer__json=raw), [CHAT])
