"""The recipes that come with byheart: what each does, on what, for how long, and what to expect of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from byheart.config.recipe import Recipe, read, shipped
from byheart.errors import InputError, RecipeError
from byheart.files import dump_yaml, user_path, write_text
from byheart.plugins import registry
from byheart.plugins.plugin import SHIPPED

SCHEMA = SHIPPED / "schema.json"
"""The JSON schema of a recipe, to which every recipe points its editor."""

POINTER = re.compile(r"^# yaml-language-server: \$schema=.*$", re.MULTILINE)


class Header(NamedTuple):
    """What the comment at the top of a recipe says."""

    summary: str
    hardware: str
    time: str
    expect: str


def header(path: Path) -> Header:
    """The header of a recipe's file: its first line, and what stands after Hardware, Time and Expect, each over as many
    lines as are indented below it. Raises ValueError where one of them is missing."""
    lines: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:])
    fields: dict[str, list[str]] = {}
    current = None
    for line in lines[1:]:
        if match := re.match(r" (\w+) {3,}(.*)", line):
            current = match[1].lower()
            fields[current] = [match[2]]
        elif current and line.startswith("            "):
            fields[current].append(line.strip())
        else:
            current = None
    missing = [name for name in ("hardware", "time", "expect") if name not in fields]
    if missing or not lines:
        raise ValueError(f"{path}: its header does not say {', '.join(missing)}")
    return Header(lines[0].strip(), *(" ".join(fields[name]) for name in ("hardware", "time", "expect")))


def read_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in the file `name`, or the shipped one of that name, with `overrides` such as "task.digits=3" put over
    it. Raises RecipeError where there is none, or it does not fit."""
    path = user_path(str(name))
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        path = shipped().get(str(name), path)
    return read(path, overrides)


def find(name: str) -> Path:
    """The file of a shipped recipe. Raises InputError, with the nearest name, where there is none."""
    known = shipped()
    if name not in known:
        raise InputError(f"recipes: there is no {name!r}{registry.nearest(name, known)}; `byheart recipes` lists them")
    return known[name]


def text(name: str, resolved: bool = False) -> str:
    """A shipped recipe as it is written, or `resolved`, with every key and its value."""
    path = find(name)
    return dump_yaml(read(path).resolved()) if resolved else path.read_text("utf-8")


def copy(name: str, target: Path, resolved: bool = False) -> None:
    """Write a shipped recipe to `target`, to start from, as it is written or `resolved`; it points its editor to the
    schema of this installation, and names the files of byheart that it needs. Raises RecipeError where there is a file
    already."""
    if target.exists():
        raise RecipeError(f"{target}: there is a file already; name another")
    written = POINTER.sub(f"# yaml-language-server: $schema={SCHEMA}", text(name, resolved))
    data = re.compile(r"^(\s+path: )(data/\S+)$", re.MULTILINE)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, data.sub(lambda match: f"{match[1]}{SHIPPED / match[2]}", written))
