"""A verifier's identity: its key with a fingerprint of its options, its code and its libraries. Verdicts of a verifier
whose fingerprint changed are computed again."""

from __future__ import annotations

import ast
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from byheart.contracts import Verifier
from byheart.types import digest

_OURS = ("byheart.verifiers",)
"""The packages whose code verdicts can depend on, besides types.py."""


def fingerprint(verifier: Verifier) -> str:
    """ "number@1a2b3c4d", for `verifier` and all verifiers that it is made of."""
    parts = [part for part in verifier.walk() if isinstance(part, Verifier)]
    code = [sources(type(part).__module__) for part in parts]
    libraries = {name: version(name) for part in parts for name in part.libraries}
    return f"{verifier.name}@{digest(verifier.model_dump(mode='json'), code, libraries)[:8]}"


@cache
def sources(name: str) -> dict[str, str]:
    """Module -> digest of its source, for the module `name` and those of this package that it imports."""
    digests: dict[str, str] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        path = None if name in digests else _file(name)
        if path is not None:
            text = path.read_text("utf-8")
            digests[name] = digest(text)
            imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
            homes = {
                node: f"{name.rpartition('.')[0]}.{node.module}" if node.level else node.module for node in imports
            }
            imported = {f"{home}.{alias.name}" for node, home in homes.items() for alias in node.names}
            imported |= {str(home) for home in homes.values()}
            waiting += sorted(module for module in imported if module.startswith(_OURS))
    return digests


def _file(name: str) -> Path | None:
    """The source file of a module; None where `name` is no module, such as a function that is imported by name."""
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # the part before its last dot is no package
        return None
    return Path(spec.origin) if spec and spec.origin else None
