"""Small tokenizers of several kinds, with the chat templates of model families, made here."""

from __future__ import annotations

import json
from typing import Any

TEXTS = ["What is 20 + 30? 20 + 30 = 50 user assistant system It is 5 and 0 so the answer is 50"]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA2 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}[INST] {{ message['content'] }} "
    "[/INST]{% else %}{{ ' ' + message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] + eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def byte_level(special: list[str], eos: str, template: str, text_tokens: tuple[str, ...] = (), **settings: Any) -> Any:
    """A tokenizer in GPT-2's manner. `special` are its control tokens, of which `eos` ends texts; `text_tokens` are
    added to it too, but are not special."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=settings.pop("prefix_space", False))
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(TEXTS, trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    raw.add_tokens([AddedToken(token, special=False, normalized=False) for token in text_tokens])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=eos, chat_template=template, **settings)


def sentencepiece(kind: str, template: str, legacy: bool = False) -> Any:
    """A tokenizer in Llama 2's manner, `kind` "bpe" or "unigram": a text begins with a space, bytes stand for what it
    has no pieces for. A `legacy` one puts the space after every control token too."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces, merges = _pieces()
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = ["<unk>", "<s>", "</s>", *bytes_, *pieces]
    if kind == "bpe":
        numbered = {piece: number for number, piece in enumerate(vocabulary)}
        raw = Tokenizer(models.BPE(numbered, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    else:
        scored = [(piece, -0.1 * number) for number, piece in enumerate(vocabulary)]
        raw = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
    if legacy:
        raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    strip = [decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), *strip])
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, chat_template=template, **marks)


def ended(words: Any, before: str, after: str) -> Any:
    """`words`, which puts the tokens `before` and `after` around every plain text."""
    from tokenizers import processors

    single = f"{before} $A {after}".split()
    tokens = [(token, words.convert_tokens_to_ids(token)) for token in dict.fromkeys((*before.split(), *after.split()))]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=tokens)
    return words


def _pieces() -> tuple[list[str], list[tuple[str, str]]]:
    """The pieces of TEXTS, and the pairs that were merged into them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    raw.train_from_iterator(TEXTS, trainers.BpeTrainer())
    model = json.loads(raw.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(pair) for pair in model["merges"]]
