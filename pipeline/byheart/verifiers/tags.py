"""What a verifier is, in one word: its key with a fingerprint of its options, its code and its libraries. Where that
changed, what it said before is judged anew."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from byheart import registry
from byheart.recipe import Choice
from byheart.types import digest

_OURS = ("byheart.verifiers", "byheart.mathematics", "byheart.sandbox", "byheart.inside")
"""What verdicts can depend on, besides the nouns."""


def tag(by: Choice) -> str:
    """ "number@1a2b3c4d", for the verifier with the options `by` and all that it is made of."""
    code = [sources(place(one).partition(":")[0]) for one in tree(by)]
    libraries = {name: version(name) for one in tree(by) for name in getattr(module(one), "LIBRARIES", ())}
    return f"{by.name}@{digest(by.model_dump(mode='json'), code, libraries)[:8]}"


def tree(by: Choice) -> Iterator[Choice]:
    """A verifier's options and those of all the verifiers it is made of."""
    yield by
    for one in parts(by):
        yield from tree(one)


def parts(by: Choice) -> list[Choice]:
    """The verifiers that `by` is made of: those of its options that are themselves a choice, or a list of them."""
    lists = [value if isinstance(value, list) else [value] for _, value in by]
    return [one for values in lists for one in values if isinstance(one, Choice)]


def place(by: Choice) -> str:
    """Where its function is, as "module:name"."""
    return registry.known("verifiers")[by.name]


def module(by: Choice) -> Any:
    """The module that its options, and so whatever stands beside them, are in."""
    return sys.modules[type(by).__module__]


@cache
def sources(name: str) -> dict[str, str]:
    """Module -> digest of its source, for the module `name` and those of this package that its verdicts depend on."""
    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file(name)
        if path is not None:
            text = path.read_text("utf-8")
            found[name] = digest(text)
            imports = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.ImportFrom)]
            named = {f"{one.module}.{alias.name}" for one in imports for alias in one.names}
            named |= {str(one.module) for one in imports}
            waiting += sorted(one for one in named if one.startswith(_OURS))
    return found


def _file(name: str) -> Path | None:
    """The source of a module; None for what is none, such as a function that is imported by name."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # what stands before its last dot is no package
        return None
    return Path(spec.origin) if spec and spec.origin else None
