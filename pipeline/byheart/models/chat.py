"""From messages to tokens, in one place: the prompts of engines and the rows of training are tokenized here only.

A prompt of chat messages goes through the model's own chat template, which writes the beginning-of-text token if the
model has one; a plain-text prompt goes through the tokenizer, which adds it. A completion is trained as its own tokens
and the token that ends a turn, at which engines stop. So neither a second BOS (trl issue 1668) nor a shifted prompt
mask (trl issue 6105) can occur; tests/models/test_chat.py compares token by token.

`tokenizer` is a transformers tokenizer throughout; this file does not import transformers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from byheart.errors import ModelError
from byheart.text import text_of
from byheart.types import Prompt

_ANSWER = "ANSWER"


def encode_prompt(tokenizer: Any, prompt: Prompt, prefix: str = "") -> list[int]:
    """Token ids of a prompt for an engine, up to and including the opening of the assistant's turn, and `prefix`, the
    beginning of an answer to be continued."""
    prefix_ids = tokenizer(prefix, add_special_tokens=False).input_ids if prefix else []
    if isinstance(prompt, str):
        return [*tokenizer(prompt).input_ids, *prefix_ids]
    prompt_ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
    return [*prompt_ids, *prefix_ids]


def end_token(tokenizer: Any, prompt: Prompt) -> int:
    """The token id that ends an answer to a prompt of this kind: what the chat template writes after an assistant's
    message (<|im_end|>, <|eot_id|>), or the tokenizer's end-of-text for plain text.

    Raises ModelError where there is neither.
    """
    if not isinstance(prompt, str):
        turn = [{"role": "user", "content": _ANSWER.lower()}, {"role": "assistant", "content": _ANSWER}]
        after = tokenizer.apply_chat_template(turn, tokenize=False).rpartition(_ANSWER)[2]
        ids = tokenizer(after, add_special_tokens=False).input_ids
        if ids and ids[0] in tokenizer.all_special_ids:
            return int(ids[0])
    if tokenizer.eos_token_id is None:
        raise ModelError("the tokenizer has no end-of-text token, so no answer could end; set eos_token")
    return int(tokenizer.eos_token_id)


def encode_answer(tokenizer: Any, prompt: Prompt, text: str) -> list[int]:
    """Token ids of the answer `text` to a prompt of this kind, and of its end token."""
    return [*tokenizer(text, add_special_tokens=False).input_ids, end_token(tokenizer, prompt)]


def encode_example(tokenizer: Any, example: Mapping[str, Any]) -> dict[str, list[int]]:
    """A row of trl's prompt-completion format as the tokens that are trained.

    Returns `input_ids` (L,) and `completion_mask` (L,): 0 on the prompt, 1 on the completion and its end token, except
    for tokens that begin in one of the spans (first character, character after) in `untrained` of the row. The columns
    are those of a tokenized dataset for trl's SFTTrainer.
    """
    prompt = encode_prompt(tokenizer, example["prompt"])
    answer = encode_answer(tokenizer, example["prompt"], text_of(example["completion"]))
    mask = [1] * len(answer)
    if spans := example.get("untrained"):
        written = tokenizer(text_of(example["completion"]), add_special_tokens=False, return_offsets_mapping=True)
        for index, (begin, _) in enumerate(written["offset_mapping"]):
            mask[index] = int(not any(first <= begin < last for first, last in spans))
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + mask}


def encode_steps(tokenizer: Any, prompt: Prompt, steps: Sequence[str]) -> tuple[list[int], list[int]]:
    """The token ids of a prompt and of the joined `steps` of an answer, and for each step the index of its last token:
    the one that contains the beginning of its last character."""
    prompt_ids = encode_prompt(tokenizer, prompt)
    answer = tokenizer("".join(steps), add_special_tokens=False, return_offsets_mapping=True)
    begins = [begin for begin, _ in answer["offset_mapping"]]
    ends = [bisect_left(begins, end) - 1 for end in accumulate(map(len, steps))]
    return prompt_ids + answer["input_ids"], [len(prompt_ids) + end for end in ends]


def signs(tokenizer: Any) -> tuple[int, int]:
    """The ids of the tokens "+" and "-", by which a value model predicts whether a solution will be right or wrong.

    Raises ModelError where one of them is not a single token.
    """
    plus, minus = (tokenizer(sign, add_special_tokens=False).input_ids[-1] for sign in "+-")
    if [tokenizer.decode([token]) for token in (plus, minus)] != ["+", "-"]:
        raise ModelError('the tokenizer has no tokens for "+" and "-", which a value model needs')
    return plus, minus


def encode_pair(tokenizer: Any, pair: Mapping[str, Any]) -> dict[str, list[int]]:
    """A row of trl's preference format as tokens: `prompt_ids`, and `chosen_ids` and `rejected_ids` with end tokens.

    The columns are those that the collator of trl's DPOTrainer expects.
    """
    prompt = pair["prompt"]
    return {
        "prompt_ids": encode_prompt(tokenizer, prompt),
        "chosen_ids": encode_answer(tokenizer, prompt, text_of(pair["chosen"])),
        "rejected_ids": encode_answer(tokenizer, prompt, text_of(pair["rejected"])),
    }
