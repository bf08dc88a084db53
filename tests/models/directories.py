"""Model directories of a few numbers, made without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy
from safetensors.numpy import save
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ["<unk>", "<|user|>", "<|assistant|>", "<|end|>", "<pad>", "2", "+", "=", "4", "yes", "system", "user", "words"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|> ' + message['content'] + ' <|end|> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|> ' }}{% endif %}"
)
CONFIG = {"model_type": "llama", "vocab_size": len(WORDS), "max_position_embeddings": 64, "eos_token_id": 3}
SETTINGS = {"eos_token": "<|end|>", "pad_token": "<pad>"}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 538090408\n"


def weights(**shapes: tuple[int, ...]) -> bytes:
    """A safetensors file with a tensor of each of these shapes; without any, what a model needs at least."""
    shapes = shapes or {"model.embed_tokens.weight": (len(WORDS), 2)}
    return save({name: numpy.zeros(shape, numpy.float32) for name, shape in shapes.items()})


def index(*files: str) -> str:
    """The index of weights of which each file holds one tensor."""
    return json.dumps({"weight_map": {f"layer.{number}": name for number, name in enumerate(files)}})


def tokenizer(*more: str) -> str:
    """A tokenizer of words, with `more` added to it as special tokens."""
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_special_tokens([*WORDS[1:5], *more])
    return str(words.to_str())


def model(path: Path, *without: str, **files: Any) -> Path:
    """A whole model in the new directory `path`, but for the files `without`, and with those that are given instead:
    by name, __ for its dots, as text, bytes or JSON."""
    whole: dict[str, Any] = {
        "config.json": CONFIG,
        "generation_config.json": {"eos_token_id": 3},
        "tokenizer_config.json": SETTINGS,
        "tokenizer.json": tokenizer(),
        "chat_template.jinja": TEMPLATE,
        "model.safetensors": weights(),
    }
    path.mkdir(parents=True)
    for name, content in (whole | {key.replace("__", "."): value for key, value in files.items()}).items():
        if name not in without:
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
