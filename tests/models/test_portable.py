"""Files of a model as other versions read them. That they do is tested with those versions, in tests/publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart.models import portable

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def rewritten(folder: Path, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    (folder / name).write_text(json.dumps(settings))
    (portable.rewrite_config if name == "config.json" else portable.rewrite_tokenizer)(folder)
    result: dict[str, Any] = json.loads((folder / name).read_text())
    return result


@pytest.mark.parametrize(
    ("settings", "added"),
    [
        (
            {"dtype": "bfloat16", "rope_parameters": {"rope_theta": 1e5, "rope_type": "default"}},
            {"torch_dtype": "bfloat16", "rope_theta": 1e5},
        ),
        ({"rope_parameters": {"rope_theta": 5e5, **LLAMA3}}, {"rope_theta": 5e5, "rope_scaling": LLAMA3}),
        (
            {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default", "partial_rotary_factor": 0.5}},
            {"rope_theta": 1e4, "partial_rotary_factor": 0.5},
        ),
        ({"torch_dtype": "float16", "rope_theta": 1e4}, {}),
        ({"rope_parameters": None}, {}),
    ],
    ids=["default", "llama 3", "partial", "of version 4", "without"],
)
def test_a_config_says_it_under_the_keys_of_both_versions(
    tmp_path: Path, settings: dict[str, Any], added: dict[str, Any]
) -> None:
    assert rewritten(tmp_path, "config.json", settings) == settings | added


def test_layers_of_two_kinds_keep_their_parameters(tmp_path: Path) -> None:
    """Version 4 has no one place for them."""
    settings = {"rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}}
    assert rewritten(tmp_path, "config.json", settings) == settings


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        (
            {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "is_local": True},
            {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False},
        ),
        (
            {"tokenizer_class": "TokenizersBackend", "clean_up_tokenization_spaces": True},
            {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": True},
        ),
        (
            {"tokenizer_class": "GPT2Tokenizer", "extra_special_tokens": ["<a>"]},
            {"tokenizer_class": "GPT2Tokenizer", "additional_special_tokens": ["<a>"]},
        ),
        ({"tokenizer_class": "GPT2Tokenizer", "extra_special_tokens": {"image": "<i>"}}, None),
        (
            {"name_or_path": "/home/alice/base", "special_tokens_map_file": "/tmp/x", "eos_token": "."},
            {"eos_token": "."},
        ),
    ],
)
def test_a_tokenizer_is_of_a_class_that_both_versions_know(
    tmp_path: Path, settings: dict[str, Any], known: dict[str, Any] | None
) -> None:
    assert rewritten(tmp_path, "tokenizer_config.json", settings) == (settings if known is None else known)


def test_the_tokenizers_own_files_are_copied_as_they_are(tmp_path: Path) -> None:
    base, copy = tmp_path / "base", tmp_path / "copy"
    files = {
        "tokenizer.json": '{"model":  {}}',
        "tokenizer_config.json": '{"eos_token":  "."}',
        "tokenizer.model": "spm",
        "chat_template.jinja": "{{ x }}",
        "additional_chat_templates/tool_use.jinja": "{{ y }}",
        "special_tokens_map.json": "{}",
    }
    for name, text in (files | {"config.json": "{}", "model.safetensors": "", "training_args.bin": ""}).items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    portable.copy_tokenizer(base, copy)
    assert {str(path.relative_to(copy)): path.read_text() for path in copy.rglob("*") if path.is_file()} == files
