"""From a key in a recipe to the code behind it: `task.name: arithmetic` -> byheart/tasks/arithmetic.py.

Each family (tasks, engines, strategies, verifiers, objectives) has one literal dict, key -> "module:name", in its
`__init__.py`; a key equals its file's name. Other people's packages add keys through the entry-point group
`byheart.<family>`. Nothing is imported until its key is asked for. A module's options are its class `Options`.
"""

from __future__ import annotations

import difflib
import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from byheart.errors import RecipeError


def known(family: str) -> dict[str, str]:
    """Every key of `family`, built in and from installed packages, with where it lives."""
    builtin: dict[str, str] = import_module(f"byheart.{family}").REGISTRY
    return _installed(family) | builtin


UNLISTED = {"engines": {"scripted"}}
"""Keys that work and that no message offers: an engine for tests, which has no model."""


def listed(family: str) -> list[str]:
    """The keys of `family` to choose from, sorted."""
    return sorted(known(family).keys() - UNLISTED.get(family, set()))


@cache
def _installed(family: str) -> dict[str, str]:
    """What installed packages add; looking through them takes some hundredths of a second."""
    return {entry.name: entry.value for entry in entry_points(group=f"byheart.{family}")}


def resolve(family: str, key: str) -> Any:
    """The function or class behind `key`. Raises RecipeError, naming the nearest known key, where there is none."""
    places = known(family)
    if key not in places:
        names = listed(family)
        raise RecipeError(f"{family}: there is no {key!r}{nearest(key, names)}; known: {', '.join(names)}")
    return load(places[key])


def options(family: str, key: str) -> Any:
    """The `Options` class beside the code behind `key`."""
    return sys.modules[resolve(family, key).__module__].Options


def load(place: str) -> Any:
    """The object that "module:name" names."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def nearest(key: str, choices: Any) -> str:
    """', did you mean ...?' or nothing."""
    close = difflib.get_close_matches(key, list(choices), n=1, cutoff=0.5)
    return f", did you mean {close[0]!r}?" if close else ""
