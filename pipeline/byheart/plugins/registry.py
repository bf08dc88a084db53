"""From a key in a recipe to the code behind it: `task.name: arithmetic` -> byheart/tasks/arithmetic.py.

Each family (tasks, engines, strategies, verifiers, objectives) has one literal dict, key -> "module:Class", in its
`__init__.py`; a key equals its file's name. Other packages add keys through the entry-point group `byheart.<family>`.
Nothing is imported until its key is looked up. A member is one class: see byheart/contracts.
"""

from __future__ import annotations

import difflib
import warnings
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from byheart.errors import RecipeError


def known(family: str) -> dict[str, str]:
    """Every key of `family`, built in or from an installed package, and its "module:Class"."""
    return _installed(family) | _builtin(family)


def _builtin(family: str) -> dict[str, str]:
    members: dict[str, str] = import_module(f"byheart.{family}").REGISTRY
    return members


UNLISTED = {"engines": {"scripted"}}
"""Keys that work but are not listed: an engine for tests, without a model."""


def listed(family: str) -> list[str]:
    """The keys of `family` that are offered to users, sorted."""
    return sorted(known(family).keys() - UNLISTED.get(family, set()))


@cache
def _installed(family: str) -> dict[str, str]:
    """The keys of installed packages; looking for them takes some hundredths of a second. Warns of those that can't be
    meant."""
    keys = {}
    for entry in entry_points(group=f"byheart.{family}"):
        if entry.name in _builtin(family):
            warnings.warn(
                f"{entry.group}: {entry.value} is not used, since byheart has a {entry.name!r} of its own; register it "
                "under another name",
                stacklevel=2,
            )
        keys[entry.name] = entry.value
    _warn_of_groups()
    return keys


@cache
def _warn_of_groups() -> None:
    groups = {f"byheart.{family}" for family in load("byheart.contracts:CONTRACTS")}
    for group in entry_points().groups:
        if group.startswith("byheart.") and group not in groups:
            warnings.warn(f"{group}: no such group of entry points{nearest(group, groups)}", stacklevel=2)


def refresh() -> None:
    """Look for installed packages again, after some were installed or removed in this process."""
    _installed.cache_clear()


def resolve(family: str, key: str) -> Any:
    """The class of `key`. Raises RecipeError, naming the nearest known key, where it is unknown, can't be imported, or
    is no member of the family."""
    members = known(family)
    if key not in members:
        names = listed(family)
        raise RecipeError(f"{family}: there is no {key!r}{nearest(key, names)}; known: {', '.join(names)}")
    if key in _builtin(family):
        return load(members[key])
    where = f"{family}: {key!r}, {members[key]}, can't be used"
    if members[key].count(":") != 1:
        raise RecipeError(f"{where}: an entry point is written module:Class")
    try:
        member = load(members[key])
    except Exception as error:
        raise RecipeError(f"{where}: {type(error).__name__}: {error}") from error
    if reason := _unfit(load("byheart.contracts:CONTRACTS")[family], member):
        raise RecipeError(f"{where}: {reason}")
    return member


def _unfit(contract: Any, member: Any) -> str:
    """Why `member` is none of the family of `contract`; "" where it is one."""
    base = contract.__name__
    if not (isinstance(member, type) and issubclass(member, contract)):
        return f"it is no class that derives from byheart.{base}"
    own = [method for method in contract.necessary if getattr(member, method) is not getattr(contract, method)]
    if not own:
        return f"{member.__name__} has no {' or '.join(contract.necessary)} of its own, which every {base} needs"
    return f"{member.__name__} has {' and '.join(own)}; give it one of them" if len(own) > 1 else ""


def key_of(family: str, member: type) -> str | None:
    """The key of the class `member`; None where it is not registered."""
    target = f"{member.__module__}:{member.__qualname__}"
    return next((key for key, value in known(family).items() if value == target), None)


def load(target: str) -> Any:
    """The object that `target`, "module:name", names."""
    module, name = target.split(":")
    return getattr(import_module(module), name)


def nearest(key: str, choices: Any) -> str:
    """ ", did you mean ...?" with the nearest of `choices`, or "" if none is near."""
    close = difflib.get_close_matches(key, list(choices), n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""
