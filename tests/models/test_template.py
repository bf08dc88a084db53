"""A chat template that is of no use is found before a model is loaded; one that wants certain roles is given them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from byheart.errors import ModelError
from byheart.models import checkpoint, template
from byheart.types import Prompt

from tests.models.directories import SETTINGS, TEMPLATE, model

ASKED: Prompt = [{"role": "user", "content": "2 + 2"}]
TOLD: Prompt = [{"role": "system", "content": "words"}, *ASKED]
FIRST = "{% if messages[0]['role'] OP 'system' %}{{ raise_exception('WHY') }}{% endif %}" + TEMPLATE
WANTS_SYSTEM = FIRST.replace("OP", "!=").replace("WHY", "The first message must be a system message")
NO_SYSTEM = FIRST.replace("OP", "==").replace("WHY", "System role not supported")


def without_file(path: Path, chat_template: Any) -> Path:
    """A model whose chat template is in the settings of its tokenizer."""
    return model(path, "chat_template.jinja", tokenizer_config__json=SETTINGS | {"chat_template": chat_template})


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "template": TEMPLATE} for name in names]


def refused(path: Path, *prompts: Prompt) -> str:
    with pytest.raises(ModelError) as raised:
        checkpoint.check(path, prompts or [ASKED])
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("chat_template", [None, [], {}, 7])
def test_without_a_template_there_is_none(tmp_path: Path, chat_template: Any) -> None:
    path = without_file(tmp_path / "m", chat_template)
    assert "has no chat template and the problems are chats; set task.chat=false" in refused(path)
    checkpoint.check(path, ["2 + 2 ="])


def test_a_template_for_a_processor_is_not_the_tokenizers(tmp_path: Path) -> None:
    path = model(tmp_path / "m", "chat_template.jinja", chat_template__json={"chat_template": TEMPLATE})
    assert "processor of images only, chat_template.json; copy the template's text to chat_template.jinja" in refused(
        path
    )


def test_of_several_templates_one_has_to_be_the_default(tmp_path: Path) -> None:
    path = without_file(tmp_path / "m", named("tool_use", "rag"))
    assert "has several chat templates, rag, tool_use, and none is the default" in refused(path)
    checkpoint.check(without_file(tmp_path / "default", named("tool_use", "default")), [ASKED])
    files = model(tmp_path / "files", "chat_template.jinja")
    (files / "additional_chat_templates").mkdir()
    (files / "additional_chat_templates/rag.jinja").write_text(TEMPLATE)
    assert "several chat templates, rag, and none is the default" in refused(files)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("{% for message in messages %}{{ message['content'] }}", "Unexpected end of template"),
        ("{{ messages[0]['content'] ", "unexpected end of template"),
        ("{{ messages | no_such_filter }}", "No filter named 'no_such_filter'"),
        ("{{ messages[0]['content'] + 1 }}", "can only concatenate str"),
        ("{{ messages[0].__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_fails_is_said_with_the_reason(tmp_path: Path, broken: str, why: str) -> None:
    said = refused(model(tmp_path / "m", chat_template__jinja=broken))
    assert "the chat template can't write a chat of user: " in said and why in said


def test_roles_that_a_template_wants_or_refuses(tmp_path: Path) -> None:
    wants, refuses = (
        model(tmp_path / name, chat_template__jinja=text)
        for name, text in (("wants", WANTS_SYSTEM), ("refuses", NO_SYSTEM))
    )
    assert "a chat of user: The first message must be a system message" in refused(wants)
    assert "a chat of system, user: System role not supported" in refused(refuses, ASKED, TOLD)
    checkpoint.check(wants, [TOLD])
    checkpoint.check(refuses, [ASKED])


def test_it_is_written_with_the_special_tokens_and_the_tags_that_transformers_knows(tmp_path: Path) -> None:
    text = "{{ bos_token }}{% generation %}{{ messages | tojson }}{% endgeneration %}{{ eos_token }}{% break %}"
    looped = "{% for message in messages %}" + text + "{% endfor %}"
    settings = {"bos_token": {"content": "<|user|>"}, "eos_token": "<|end|>", "unk_token": None}
    path = model(tmp_path / "m", chat_template__jinja=looped, tokenizer_config__json=settings)
    first, _ = template.check(path, [ASKED])
    assert first == '<|user|>[{"role": "user", "content": "2 + 2"}]<|end|>'


def test_prompts_of_the_same_roles_are_tried_once(tmp_path: Path) -> None:
    assert len(template.check(model(tmp_path / "m"), [ASKED] * 9 + [TOLD] * 9)) == 2 * 2
