"""The engine that reads its answers from a file: what is no script is refused before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from byheart.config import recipe
from byheart.engines.scripted import Scripted
from byheart.errors import RecipeError
from byheart.models import checkpoint
from byheart.types import Generate, Policy, Score


def made(folder: Path, script: str) -> recipe.Recipe:
    raw = {"name": "r", "model": {"name": "m"}, "task": {"name": "arithmetic"}}
    return recipe.parse(raw | {"engine": {"name": "scripted", "script": script}}, folders=(folder,))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no file script.json; looked for"),
        ("{", "is not a JSON file"),
        (b"\xff\xfe{}", "is not a JSON file"),
        ("[1]", "has to be a JSON object"),
        ('{"1 + 1": "2"}', "has to be a JSON object"),
        ('{"1 + 1": []}', "has to be a JSON object"),
        ('{"1 + 1": [2]}', "has to be a JSON object"),
        ('{"score: 2": "high"}', "has to be a JSON object"),
    ],
)
def test_what_is_no_script_is_refused(tmp_path: Path, content: Any, why: str) -> None:
    if content is not None:
        (tmp_path / "script.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    asked = made(tmp_path, "script.json")
    with pytest.raises(RecipeError, match=f"engine.script: .*{why}") as raised:
        asked.engine.check(asked)
    assert "\n" not in str(raised.value)
    with pytest.raises(RecipeError, match=r"engine\.script: "):
        asked.engine.start(tmp_path, asked.model, tmp_path / "log")


def test_a_script_answers_by_seed_and_by_policy(tmp_path: Path) -> None:
    answers = {"1 + 1": ["2", "so 2"], "adapter: 1 + 1": ["3"], "score: 2": 0.5, "score: 3": None}
    (tmp_path / "script.json").write_text(json.dumps(answers))
    options = Scripted(name="scripted", script=str(tmp_path / "script.json"))
    session = options.start(tmp_path, checkpoint.ModelOptions(name="m"), tmp_path / "log")
    tickets = [session.submit(Generate("1 + 1", n=2, seed=3)), session.submit(Score("1 + 1", ["2", "3"]))]
    replies = dict(session.poll())
    assert [one.text for one in replies[tickets[0]]] == ["so 2", "2"] and replies[tickets[1]] == [None, None]
    session.load(Policy("m", tmp_path, "adapter-1", tmp_path))
    tickets = [session.submit(Generate("1 + 1", temperature=0)), session.submit(Score("1 + 1", ["2", "3"]))]
    replies = dict(session.poll())
    assert [one.text for one in replies[tickets[0]]] == ["3"] and replies[tickets[1]] == [0.5, None]
