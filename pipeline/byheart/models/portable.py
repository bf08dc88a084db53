"""A model's files as both transformers 4 and 5 read them, and without what they say of the machine they were made on.

What transformers 5 writes, version 4 reads wrongly or not at all: it knows no class TokenizersBackend, takes
`extra_special_tokens` for a mapping, and looks for RoPE's parameters and the type of the weights under other keys.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from byheart.files import read_json, write_json

TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "chat_template.json",
    "*.jinja",
    "additional_chat_templates/*.jinja",
)
"""The files of a tokenizer, chat templates among them."""

_PLACES = ("is_local", "local_files_only", "name_or_path", "_name_or_path", "tokenizer_file", "special_tokens_map_file")
"""Keys that say where files lay when they were loaded."""


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the tokenizer of the model in `source` to `target`."""
    for pattern in TOKENIZER:
        for path in source.glob(pattern):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
    rewrite_tokenizer(target)


def rewrite_tokenizer(folder: Path) -> None:
    """Rewrite tokenizer_config.json in `folder`, where it needs that."""
    _rewrite(folder / "tokenizer_config.json", _tokenizer)


def rewrite_config(folder: Path) -> None:
    """Rewrite config.json in `folder`, where it needs that."""
    _rewrite(folder / "config.json", _config)


def _rewrite(path: Path, change: Any) -> None:
    old = read_json(path, {})
    new = change({key: value for key, value in old.items() if key not in _PLACES})
    if new != old:
        write_json(path, new)


def _tokenizer(settings: dict[str, Any]) -> dict[str, Any]:
    settings.pop("backend", None)
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings = {"clean_up_tokenization_spaces": False} | settings | {"tokenizer_class": "PreTrainedTokenizerFast"}
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")
    return settings


def _config(settings: dict[str, Any]) -> dict[str, Any]:
    if "dtype" in settings:
        settings["torch_dtype"] = settings["dtype"]
    rope = dict(settings.get("rope_parameters") or {})
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in rope:
            settings[key] = rope.pop(key)
    if rope.get("rope_type", "default") != "default":
        settings["rope_scaling"] = rope
    return settings
