"""A model's chat template, found and tried without its tokenizer: as text, by the renderer of transformers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from byheart.errors import ModelError
from byheart.models import folder
from byheart.types import Message, Prompt

FILE = "chat_template.jinja"
_ADVICE = "set task.chat=false to put problems as plain text, or name an instruction-tuned model"


def check(path: Path, prompts: Iterable[Prompt]) -> list[str]:
    """What the chat template of the model in `path` makes of the chats among `prompts`, and of an answer to each; one
    prompt stands for all that have the same roles. Raises ModelError where there is no template, or it can't write
    them."""
    by_roles = {tuple(turn["role"] for turn in prompt): prompt for prompt in prompts if not isinstance(prompt, str)}
    if not by_roles:
        return []
    template, words = read(path), special_tokens(path)
    answer = Message(role="assistant", content="yes")
    texts = []
    for prompt in by_roles.values():
        try:
            texts.append(_rendered(template, prompt, words, add_generation_prompt=True))
        except Exception as error:  # of the template, which is a program of the model's author
            raise ModelError(
                f"{path}: the chat template can't write a chat of {', '.join(turn['role'] for turn in prompt)}: "
                f"{' '.join(str(error).split())}; the problems need other roles, or the model another template ({FILE})"
            ) from None
        with contextlib.suppress(Exception):  # what ends an answer is looked for in other ways too
            texts.append(_rendered(template, [*prompt, answer], words))
    return texts


def read(path: Path) -> str:
    """The chat template of the model in `path`. Raises ModelError where it has none, or several and no default one."""
    file, settings = path / FILE, path / "tokenizer_config.json"
    if file.is_file():
        return _text(file)
    template: Any = folder.read(settings).get("chat_template") if settings.is_file() else None
    if isinstance(template, str):
        return template
    by_name = _named(template)
    if "default" in by_name:
        return by_name["default"]
    named = sorted(by_name) + sorted(file.stem for file in path.glob("additional_chat_templates/*.jinja"))
    if named:
        raise ModelError(
            f"{path} has several chat templates, {', '.join(named)}, and none is the default; copy the one to use to "
            f"{FILE} in it"
        )
    if (path / "chat_template.json").is_file():
        raise ModelError(
            f"{path} has a chat template for its processor of images only, chat_template.json; copy the template's "
            f"text to {FILE} in it, or {_ADVICE}"
        )
    raise ModelError(f"{path} has no chat template and the problems are chats; {_ADVICE}")


def tells_date(path: Path) -> bool:
    """Whether the model in `path` has a chat template that writes what the clock says."""
    try:
        return "strftime_now" in read(path)
    except ModelError:
        return False


def special_tokens(path: Path) -> dict[str, str]:
    """The special tokens of the model in `path` by what they are for, such as {"eos_token": "<|im_end|>"}."""
    files = [path / "special_tokens_map.json", path / "tokenizer_config.json"]
    settings = {key: value for file in files if file.is_file() for key, value in folder.read(file).items()}
    texts = {key: value.get("content") if isinstance(value, dict) else value for key, value in settings.items()}
    return {key: text for key, text in texts.items() if key.endswith("_token") and isinstance(text, str)}


def _rendered(template: str, chat: list[Message], words: dict[str, str], add_generation_prompt: bool = False) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    [text], _ = render_jinja_template(
        [chat], chat_template=template, add_generation_prompt=add_generation_prompt, **words
    )
    return str(text)


def _named(templates: Any) -> dict[str, str]:
    """The templates of a list of {"name": ..., "template": ...}, as they were kept before each had a file."""
    rows = [row for row in templates if isinstance(row, dict)] if isinstance(templates, list) else []
    return {str(row["name"]): str(row["template"]) for row in rows if {"name", "template"} <= row.keys()}


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} can't be read: {error}") from None
