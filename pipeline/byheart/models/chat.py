"""From messages to tokens and back, in one place: the prompts of engines and the rows of training are tokenized here
only, and here only becomes text what an engine sampled.

A prompt of chat messages goes through the model's own chat template, which writes the beginning-of-text token if the
model has one; a plain-text prompt goes through the tokenizer, which adds it. A completion is trained as its own tokens
and the token that ends a turn, at which engines stop. So neither a second BOS (trl issue 1668) nor a shifted prompt
mask (trl issue 6105) can occur; tests/models/test_chat.py compares token by token.

What a message or an answer says is text: of a control token that it spells out, the characters are encoded. An answer
goes on from its prompt: a tokenizer that begins every text with a space (SentencePiece) begins no answer with one.

`tokenizer` is a transformers tokenizer throughout; this file does not import transformers. What is found out about one
is remembered, so it has to stay as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from byheart.errors import ModelError
from byheart.models import folder, layout
from byheart.text import text_of
from byheart.types import Prompt

_BEFORE = ("\n", "∎", "a")
"""Texts that another is put after, to be encoded as it is within a text: the first that keeps its own tokens."""
_NO_TEXT = "\N{REPLACEMENT CHARACTER}"
"""What bytes are decoded as that are no whole character."""


def encode_prompt(tokenizer: Any, prompt: Prompt, prefix: str = "", today: date | None = None) -> list[int]:
    """Token ids of a prompt for an engine, up to and including the opening of the assistant's turn, and `prefix`, the
    beginning of an answer to be continued. `today` is the date that a chat template may write; without it, that of the
    clock.

    Raises PromptError where the chat template refuses the prompt.
    """
    if isinstance(prompt, str):
        ids, text, cuts = _beginning(tokenizer), prompt, layout.cuts(tokenizer, prompt)
    else:
        ids, (text, cuts) = [], layout.lay_out(tokenizer, prompt, today)
    first, *rest = _parts(text, cuts)
    ids = ids + _alone(tokenizer, first)
    return ids + [token for part in rest for token in _within(tokenizer, part)] + _continued(tokenizer, prefix)


def end_token(tokenizer: Any, prompt: Prompt) -> int:
    """The token id that ends an answer to a prompt of this kind: what the chat template writes after an assistant's
    message (<|im_end|>, <|eot_id|>), or the tokenizer's end-of-text for plain text.

    Raises ModelError where there is neither.
    """
    end = None if isinstance(prompt, str) else layout.end_of_turn(tokenizer)
    end = tokenizer.eos_token_id if end is None else end
    if end is None:
        raise ModelError("the tokenizer has no end-of-text token, so no answer could end; set eos_token")
    return int(end)


def end_tokens(tokenizer: Any, prompt: Prompt, base: Path) -> list[int]:
    """The token ids at which engines end an answer to a prompt of this kind: `end_token`, which training teaches, then
    the tokenizer's end-of-text and those that the model in `base` names."""
    others = [tokenizer.eos_token_id, *_named_ends(base)]
    return list(dict.fromkeys([end_token(tokenizer, prompt), *(int(end) for end in others if end is not None)]))


@lru_cache(maxsize=8)
def _named_ends(base: Path) -> tuple[int | None, ...]:
    """The end tokens that the files of the model in `base` name."""
    ends: list[int | None] = []
    for path in (base / "generation_config.json", base / "config.json"):
        named = folder.read(path).get("eos_token_id") if path.is_file() else None
        ends += named if isinstance(named, list) else [named]
    return tuple(ends)


def encode_answer(tokenizer: Any, prompt: Prompt, text: str) -> list[int]:
    """Token ids of the answer `text` to a prompt of this kind, and of its end token."""
    return [*_continued(tokenizer, text), end_token(tokenizer, prompt)]


class Written(NamedTuple):
    """The text of sampled tokens, whether it came to its end, and if so, whether it is encoded as other tokens."""

    text: str
    ended: bool
    retokenized: bool


def decode_answer(tokenizer: Any, tokens: Sequence[int], ends: Sequence[int], stop: Sequence[str] = ()) -> Written:
    """What was sampled as `tokens`: an answer that ends with one of `ends`, before the first of `stop`, or was cut off.
    Special tokens in it are kept, but not the one that ended it, nor a character of which a part was cut off."""
    ended = bool(tokens) and tokens[-1] in ends
    sampled = list(tokens[:-1] if ended else tokens)
    whole = text = _decoded(tokenizer, sampled)
    for each in stop:
        text = text.partition(each)[0]
    if text != whole:
        return Written(text, True, False)
    if not ended:
        return Written(text.rstrip(_NO_TEXT), False, False)
    return Written(text, True, _continued(tokenizer, text) != sampled)


def encode_example(tokenizer: Any, example: Mapping[str, Any], today: date | None = None) -> dict[str, list[int]]:
    """A row of trl's prompt-completion format as the tokens that are trained.

    Returns `input_ids` (L,) and `completion_mask` (L,): 0 on the prompt, 1 on the completion and its end token, except
    for tokens that begin in one of the spans (first character, character after) in `untrained` of the row. A completion
    that was sampled as other tokens than its text is encoded as, `token_ids` of the row, is trained as those. The
    columns are those of a tokenized dataset for trl's SFTTrainer.
    """
    prompt, text = encode_prompt(tokenizer, example["prompt"], today=today), text_of(example["completion"])
    sampled, spans = list(example.get("token_ids") or ())[:-1], list(example.get("untrained") or ())
    if sampled and _decoded(tokenizer, sampled) == text:
        answer, begins = sampled, _begins(tokenizer, sampled) if spans else []
    else:
        answer, begins = _placed(tokenizer, text) if spans else (_continued(tokenizer, text), [])
    answer = [*answer, end_token(tokenizer, example["prompt"])]
    mask = [1] * len(answer)
    for index, begin in enumerate(begins):
        mask[index] = int(not any(first <= begin < last for first, last in spans))
    return {"input_ids": prompt + answer, "completion_mask": [0] * len(prompt) + mask}


def encode_steps(
    tokenizer: Any, prompt: Prompt, steps: Sequence[str], today: date | None = None
) -> tuple[list[int], list[int]]:
    """The token ids of a prompt and of the joined `steps` of an answer, and for each step the index of its last token:
    the one that contains the beginning of its last character."""
    prompt_ids = encode_prompt(tokenizer, prompt, today=today)
    answer, begins = _placed(tokenizer, "".join(steps))
    ends = [bisect_left(begins, end) - 1 for end in accumulate(map(len, steps))]
    return prompt_ids + answer, [len(prompt_ids) + end for end in ends]


def signs(tokenizer: Any) -> tuple[int, int]:
    """The ids of the tokens "+" and "-", by which a value model predicts whether a solution will be right or wrong.

    Raises ModelError where one of them is not a single token.
    """
    plus, minus = (_alone(tokenizer, sign)[-1] for sign in "+-")
    if [tokenizer.decode([token]) for token in (plus, minus)] != ["+", "-"]:
        raise ModelError('the tokenizer has no tokens for "+" and "-", which a value model needs')
    return plus, minus


def encode_pair(tokenizer: Any, pair: Mapping[str, Any], today: date | None = None) -> dict[str, list[int]]:
    """A row of trl's preference format as tokens: `prompt_ids`, and `chosen_ids` and `rejected_ids` with end tokens.

    The columns are those that the collator of trl's DPOTrainer expects.
    """
    prompt = pair["prompt"]
    return {
        "prompt_ids": encode_prompt(tokenizer, prompt, today=today),
        "chosen_ids": encode_answer(tokenizer, prompt, text_of(pair["chosen"])),
        "rejected_ids": encode_answer(tokenizer, prompt, text_of(pair["rejected"])),
    }


def _alone(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that nothing goes before."""
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    return ids


def _within(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that goes on from another."""
    before = _before(tokenizer, text)
    return _alone(tokenizer, before + text)[len(_alone(tokenizer, before)) :] if before else _alone(tokenizer, text)


def _continued(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that goes on from another, with no control token among them."""
    parts = _parts(text, layout.cuts(tokenizer, text))
    return [token for part in parts for token in _within(tokenizer, part)]


def _placed(tokenizer: Any, text: str) -> tuple[list[int], list[int]]:
    """Those of `_continued`, and the characters at which they begin."""
    ids: list[int] = []
    begins: list[int] = []
    done = 0
    for part in _parts(text, layout.cuts(tokenizer, text)):
        before = _before(tokenizer, part)
        known = len(_alone(tokenizer, before)) if before else 0
        written = tokenizer(before + part, add_special_tokens=False, return_offsets_mapping=True)
        ids += written.input_ids[known:]
        begins += [done + max(0, begin - len(before)) for begin, _ in written["offset_mapping"][known:]]
        done += len(part)
    return ids, begins


def _begins(tokenizer: Any, tokens: Sequence[int]) -> list[int]:
    """The characters at which sampled tokens begin: of several that are one character, each begins where that does."""
    begins: list[int] = []
    pending: list[int] = []  # tokens whose last character is not whole yet
    done, text = 0, ""
    for token in tokens:
        begins.append(done + len(text))
        pending.append(token)
        whole = _decoded(tokenizer, pending)
        text = whole.rstrip(_NO_TEXT)
        if text == whole:
            done, text, pending = done + len(whole), "", []
    return begins


def _parts(text: str, cuts: Sequence[int]) -> list[str]:
    """`text`, cut at these places."""
    return [text[first:last] for first, last in pairwise([0, *cuts, len(text)])]


def _decoded(tokenizer: Any, tokens: Sequence[int]) -> str:
    """The text of tokens that go on from others."""
    before = _alone(tokenizer, "a") if _begins_texts(tokenizer) else []
    known, text = (
        tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        for ids in (before, [*before, *tokens])
    )
    return str(text[len(known) :])


def _before(tokenizer: Any, text: str) -> str:
    """What `text` is put after, to be encoded as it is within a text; "" where it is encoded so by itself."""
    if not text or not _begins_texts(tokenizer):
        return ""
    return next((before for before in _BEFORE if _kept(tokenizer, before, text)), "")


def _kept(tokenizer: Any, before: str, text: str) -> bool:
    """Whether the tokens of `before` stay as they are when `text` follows."""
    ids = _alone(tokenizer, before)
    return _alone(tokenizer, before + text)[: len(ids)] == ids


@lru_cache(maxsize=8)
def _begins_texts(tokenizer: Any) -> bool:
    """Whether the tokenizer puts a space before every text, so that its first word has other tokens than within one."""
    before = next((before for before in _BEFORE if _kept(tokenizer, before, "a")), None)
    if before is None:
        return False
    return _alone(tokenizer, before + "a")[len(_alone(tokenizer, before)) :] != _alone(tokenizer, "a")


@lru_cache(maxsize=8)
def _beginning(tokenizer: Any) -> list[int]:
    """The tokens that the tokenizer puts before a plain text, such as the one that begins texts. What it may put after
    it is left out: a prompt has no end."""
    body, whole = _alone(tokenizer, "a"), tokenizer("a").input_ids
    first = next((index for index in range(len(whole)) if whole[index : index + len(body)] == body), 0)
    return list(whole[:first])
