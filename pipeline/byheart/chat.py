"""From messages to tokens, once: what an engine is prompted with and what training sees are made here and only here.

A prompt of chat messages goes through the model's own chat template, which writes the beginning-of-text token where
the model has one; a plain-text prompt goes through the tokenizer, which adds it. A completion is trained as its own
tokens and the one token that ends a turn, the token engines stop at. So neither the second BOS (trl issue 1668) nor the
shifted prompt mask (trl issue 6105) can happen, and tests/test_chat.py compares token by token.

`tokenizer` is a transformers tokenizer throughout; this file does not import transformers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from byheart.errors import ModelError
from byheart.types import Example, Prompt
from byheart.wording import said

_MARK = "ANSWER"


def encode_prompt(tokenizer: Any, prompt: Prompt, prefix: str = "") -> list[int]:
    """Token ids that an engine is given, up to and with the opening of the assistant's turn, and the beginning of an
    answer that it is to go on from."""
    begun = tokenizer(prefix, add_special_tokens=False).input_ids if prefix else []
    if isinstance(prompt, str):
        return [*tokenizer(prompt).input_ids, *begun]
    asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)["input_ids"]
    return [*asked, *begun]


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

    Returns `input_ids` (L,) and `completion_mask` (L,): 0 on the prompt, 1 on the completion and its end token, but for
    the tokens that begin within one of the spans (from letter, to letter) that the row calls `untrained`. The columns
    are those trl's SFTTrainer takes for a tokenized dataset.
    """
    prompt = encode_prompt(tokenizer, example["prompt"])
    answer = encode_answer(tokenizer, example["prompt"], said(example["completion"]))
    mask = [1] * len(answer)
    if spans := example.get("untrained"):
        written = tokenizer(said(example["completion"]), add_special_tokens=False, return_offsets_mapping=True)
        for place, (begin, _) in enumerate(written["offset_mapping"]):
            mask[place] = int(not any(first <= begin < last for first, last in spans))
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + mask}


def encode_steps(tokenizer: Any, prompt: Prompt, steps: Sequence[str]) -> tuple[list[int], list[int]]:
    """The token ids of a prompt and of the `steps` of an answer to it, written in one, and for each step the place of
    its last token: the one in which its last character begins or goes on."""
    asked = encode_prompt(tokenizer, prompt)
    said = tokenizer("".join(steps), add_special_tokens=False, return_offsets_mapping=True)
    begins = [begin for begin, _ in said["offset_mapping"]]
    ends = [bisect_left(begins, end) - 1 for end in accumulate(map(len, steps))]
    return asked + said["input_ids"], [len(asked) + place for place in ends]


def signs(tokenizer: Any) -> tuple[int, int]:
    """The tokens by which a value model says that it goes well or badly from here: those of "+" and of "-".

    Raises ModelError where one of them is no token of its own.
    """
    plus, minus = (tokenizer(sign, add_special_tokens=False).input_ids[-1] for sign in "+-")
    if [tokenizer.decode([token]) for token in (plus, minus)] != ["+", "-"]:
        raise ModelError('the tokenizer has no tokens for "+" and "-", so no value model can say them')
    return plus, minus


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
