"""From messages to tokens, once: what an engine is prompted with and what training sees are made here and only here.

A prompt of chat messages goes through the model's own chat template, which writes the beginning-of-text token where
the model has one; a plain-text prompt goes through the tokenizer, which adds it. A completion is trained as its own
tokens and the one token that ends a turn, the token engines stop at. So neither the second BOS (trl issue 1668) nor the
shifted prompt mask (trl issue 6105) can happen, and tests/test_chat.py compares token by token.

`tokenizer` is a transformers tokenizer throughout; this file does not import transformers.
"""

from __future__ import annotations

from typing import Any

from pipeline.errors import ModelError
from pipeline.types import Example, Prompt
from pipeline.wording import said

_MARK = "ANSWER"


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids that an engine is given, up to and with the opening of the assistant's turn."""
    if isinstance(prompt, str):
        return list(tokenizer(prompt).input_ids)
    return list(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"])


def end_token(tokenizer: Any, prompt: Prompt) -> int:
    """The token id that ends an answer to a prompt of this kind: what the chat template writes after an assistant's
    words (<|im_end|>, <|eot_id|>), or the tokenizer's end-of-text for plain text.

    Raises ModelError where there is neither.
    """
    if not isinstance(prompt, str):
        turn = [{"role": "user", "content": _MARK.lower()}, {"role": "assistant", "content": _MARK}]
        after = tokenizer.apply_chat_template(turn, tokenize=False).rpartition(_MARK)[2]
        ids = tokenizer(after, add_special_tokens=False).input_ids
        if ids and ids[0] in tokenizer.all_special_ids:
            return int(ids[0])
    if tokenizer.eos_token_id is None:
        raise ModelError("the tokenizer has no end-of-text token, so no answer could ever end; set eos_token")
    return int(tokenizer.eos_token_id)


def encode_answer(tokenizer: Any, prompt: Prompt, text: str) -> list[int]:
    """Token ids of the answer `text` to a prompt of this kind, and the one that ends it."""
    return [*tokenizer(text, add_special_tokens=False).input_ids, end_token(tokenizer, prompt)]


def encode_example(tokenizer: Any, example: Example) -> dict[str, list[int]]:
    """One row of trl's prompt-completion format as the tokens that are trained.

    Returns `input_ids` (L,) and `completion_mask` (L,): 0 on the prompt, 1 on the completion and its end token. The
    columns are those trl's SFTTrainer takes for a tokenized dataset.
    """
    prompt = encode_prompt(tokenizer, example["prompt"])
    answer = encode_answer(tokenizer, example["prompt"], said(example["completion"]))
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + [1] * len(answer)}


def encode_pair(tokenizer: Any, pair: Example) -> dict[str, list[int]]:
    """One row of trl's preference format as tokens: `prompt_ids`, and `chosen_ids` and `rejected_ids` with their ends.

    The columns are those that the collator of trl's DPOTrainer takes.
    """
    prompt = pair["prompt"]
    return {
        "prompt_ids": encode_prompt(tokenizer, prompt),
        "chosen_ids": encode_answer(tokenizer, prompt, said(pair["chosen"])),
        "rejected_ids": encode_answer(tokenizer, prompt, said(pair["rejected"])),
    }
