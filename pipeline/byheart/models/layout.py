"""How a model's tokenizer lays out a conversation by its chat template: how a turn ends, which tokens are control
tokens, which roles the template knows.

`tokenizer` is a transformers tokenizer throughout; this file does not import transformers. What is found out about one
is remembered, so it has to stay as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from byheart.errors import PromptError
from byheart.types import Message

_ROLES = ("system", "user", "assistant", "tool")
"""The roles that transformers documents: a template need not name one of them to know it."""
_MARK = re.compile("([\U000f0000-\U000ffffd])")
"""Characters for private use, which stand for what messages say of control tokens while a template is rendered."""
_WORD = "ANSWER"

_TOLD = Message(role="system", content="instruction")
_ASKED = Message(role="user", content="question")


def lay_out(tokenizer: Any, messages: Sequence[Message], today: date | None) -> tuple[str, list[int]]:
    """A prompt as the chat template writes it, up to and including the opening of the assistant's turn, and the places
    at which it has to be cut so that no control token is read that a message spells out. `today` is the date that the
    template may write; without it, that of the clock.

    Raises PromptError where the template refuses the prompt.
    """
    control, contents = control_tokens(tokenizer), "".join(message["content"] for message in messages)
    free = (char for char in map(chr, range(0xF0000, 0xFFFFE)) if char not in contents)
    marks = dict(zip(dict.fromkeys(control.findall(contents)), free, strict=False))
    tokens = {char: token for token, char in marks.items()}
    marked = [
        Message(role=message["role"], content=control.sub(lambda token: marks[token[0]], message["content"]))
        for message in messages
    ]
    text, places = "", list[int]()
    for part in map(str, _MARK.split(_rendered(tokenizer, marked, today, opened=True))):
        if part in tokens:
            places.append(len(text) + 1)
        text += tokens.get(part, part)
    return text, places


def cuts(tokenizer: Any, text: str) -> list[int]:
    """The places at which `text` has to be cut so that no control token is read in it: each after the first character
    of one."""
    return [match.start() + 1 for match in control_tokens(tokenizer).finditer(text)]


def unknown_role(tokenizer: Any, prompt: Sequence[Message]) -> str | None:
    """The first role in `prompt` that the chat template does not know, or None: it leaves out what such messages say,
    or it neither names the role nor is the role one that templates are made for. Many templates write any role, also
    one that the model has never seen. Raises PromptError where the template refuses the prompt."""
    return _unknown_role(tokenizer, tuple(message["role"] for message in prompt))


@lru_cache(maxsize=64)
def _unknown_role(tokenizer: Any, roles: tuple[str, ...]) -> str | None:
    template = tokenizer.get_chat_template()
    for index, role in enumerate(roles):
        turns = [Message(role=each, content=_WORD if n == index else "text") for n, each in enumerate(roles)]
        named = role in _ROLES or f"'{role}'" in template or f'"{role}"' in template
        if not named or _WORD not in _rendered(tokenizer, turns, None, opened=True):
            return role
    return None


@lru_cache(maxsize=8)
def end_of_turn(tokenizer: Any) -> int | None:
    """The id of the token that the chat template writes after an assistant's message, the last or an earlier one; None
    where it writes none."""
    answer, added = Message(role="assistant", content=_WORD), tokenizer.added_tokens_decoder
    for shape in ([_ASKED, answer], [_TOLD, _ASKED, answer], [_ASKED, answer, _ASKED], [_TOLD, _ASKED, answer, _ASKED]):
        _, word, after = _tried(tokenizer, shape).rpartition(_WORD)
        ids = tokenizer(after.lstrip(), add_special_tokens=False).input_ids if word else []
        if ids and (ids[0] in added or ids[0] in tokenizer.all_special_ids):
            return int(ids[0])
    return None


@lru_cache(maxsize=8)
def control_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches control tokens in a text: the special ones, and those that the chat template writes around messages.
    Other tokens that were added to the vocabulary are text, such as <think>, also where the instructions that a
    template writes by itself name them."""
    added = tokenizer.added_tokens_decoder
    ids = {token for token, each in added.items() if each.special}
    if tokenizer.chat_template:
        answer = Message(role="assistant", content=_WORD)
        shortest, *longer = (
            Counter(tokenizer(_tried(tokenizer, shape), add_special_tokens=False).input_ids)
            for shape in ([_ASKED], [_TOLD, _ASKED], [_ASKED, answer, _ASKED], [_TOLD, _ASKED, answer, _ASKED])
        )
        around = {token for more in longer for token in more - shortest} | {end_of_turn(tokenizer)}
        ids |= added.keys() & around
    names = {str(added[token].content) for token in ids} | set(tokenizer.all_special_tokens)
    longest_first = sorted((name for name in names if len(name) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _tried(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The conversation as the chat template writes it; "" where it refuses it."""
    try:
        return _rendered(tokenizer, messages, None, opened=False)
    except PromptError:
        return ""


def _rendered(tokenizer: Any, messages: Sequence[Message], today: date | None, opened: bool) -> str:
    """The conversation as the chat template writes it, with the opening of the assistant's turn if `opened`. Raises
    PromptError where it refuses it."""
    clock = {"strftime_now": datetime.combine(today, time()).strftime} if today else {}
    try:
        text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=opened, **clock)
    except (TemplateError, TypeError, ValueError) as error:
        raise PromptError(f"the model's chat template refuses it: {' '.join(str(error).split())}") from None
    return text
