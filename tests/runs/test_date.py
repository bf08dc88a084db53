"""The date that a chat template writes is one for the whole run, and decides its results."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from byheart.config import recipe
from byheart.runs.run import Run, changes, dated, identity

from tests.models import directories

TODAY = date(2026, 3, 4)
TEMPLATES = {
    "clock": "{{ strftime_now('%d %b %Y %H:%M:%S') }}{% for m in messages %}{{ m['content'] }}{% endfor %}",
    "llama 3.1": "{% set date_string = strftime_now('%d %b %Y') %}{{ date_string }}",
    "none": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
}


def asked(folder: Path, template: str, **model: Any) -> recipe.Recipe:
    """A recipe with a model that has this template."""
    path = folder / template.replace(" ", "-")
    if not path.exists():
        directories.model(path)
        (path / "chat_template.jinja").write_text(TEMPLATES[template])
    return recipe.parse({"name": "t", "model": {"name": str(path), **model}, "task": {"name": "arithmetic"}})


@pytest.mark.parametrize("template", ["clock", "llama 3.1"])
def test_a_run_is_given_the_date_of_its_beginning_and_keeps_it(tmp_path: Path, template: str) -> None:
    begun = dated(asked(tmp_path, template), tmp_path / "run", TODAY)
    assert begun.model.date == TODAY
    said = dated(asked(tmp_path, template, date="2026-01-02"), tmp_path / "run", TODAY)
    assert said.model.date == date(2026, 1, 2), "as the recipe says"
    Run(tmp_path / "run", said).close()
    later = asked(tmp_path, template)
    assert changes(tmp_path / "run", later) == [], "the same recipe is no other one on another day"
    assert dated(later, tmp_path / "run", TODAY).model == said.model
    assert dated(asked(tmp_path, "none"), tmp_path / "run", TODAY).model.date is None, "another model"
    [change] = changes(tmp_path / "run", asked(tmp_path, template, date="2026-01-03"))
    assert change.startswith("model.date: '2026-01-02' -> '2026-01-03'")


def test_a_run_whose_template_writes_no_date_is_as_it_was(tmp_path: Path) -> None:
    plain = asked(tmp_path, "none")
    assert dated(plain, tmp_path / "run", TODAY) is plain
    assert "date" not in plain.setting and "date" not in plain.resolved()["model"]


def test_the_date_decides_what_is_sampled_and_what_is_trained(tmp_path: Path) -> None:
    first, second = (asked(tmp_path, "clock", date=f"2026-01-0{day}") for day in (1, 2))
    assert first.setting != second.setting and identity(first.model) != identity(second.model)
    assert first.at(1).model.date == date(2026, 1, 1)
    assert recipe.parse(yaml.safe_load(yaml.safe_dump(first.resolved()))).model == first.model


@pytest.mark.torch
def test_commands_of_another_day_go_on_with_the_date_on_record(
    byheart: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, tiny: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny.iterdir():
        (model / file.name).symlink_to(file)
    template = (model / "chat_template.jinja").read_text()
    (model / "chat_template.jinja").unlink()
    (model / "chat_template.jinja").write_text("{{ strftime_now('%A %d %b %Y') }}" + template)
    (tmp_path / "script.json").write_text(
        json.dumps({f"What is {a} + {b}?": ["4"] for a in range(9) for b in range(9)})
    )
    sizes = (
        "task.num_train=4 task.num_dev=2 task.num_held_out=2 task.digits=1 engine=scripted engine.script=script.json"
    )
    command = ["addition", f"model.name={model}", *sizes.split()]
    done = byheart("load", *command, "model.date=2026-01-02")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs/addition"
    before = json.loads((run / "round-001/stages.json").read_text())
    done = byheart("load", *command)
    assert done.returncode == 0 and "was done before" in done.stdout + done.stderr, done.stderr
    assert json.loads((run / "round-001/stages.json").read_text()) == before
    assert yaml.safe_load((run / "recipe.yaml").read_text())["model"]["date"] == "2026-01-02"
    done = byheart("load", *command, "model.date=2026-01-03")
    assert done.returncode == 3 and "model.date: '2026-01-02' -> '2026-01-03'" in done.stderr
