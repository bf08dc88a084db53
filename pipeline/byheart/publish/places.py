"""What is published says nothing of the machines that it was made on."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

_FILE = re.compile(r".*\.(jsonl?|parquet|csv|txt|ya?ml|py|gz|safetensors|gguf|bin)", re.IGNORECASE)
"""A name with the ending of a file."""


def without_places(value: Any) -> Any:
    """`value`, options as JSON, without the places that its texts are: of a path there is its last part, of an address
    no host."""
    if isinstance(value, dict):
        return {key: without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_places(inner) for inner in value]
    return _without_place(value) if isinstance(value, str) else value


def _without_place(text: str) -> str:
    if re.fullmatch(r"\w+://\S+", text):
        address = urlsplit(text)
        return f"{address.scheme}://localhost/{PurePosixPath(address.path).name}"
    if _is_path(text):
        return (PureWindowsPath if "\\" in text else PurePosixPath)(text).name
    return text.replace(str(Path.home()), "~") if len(Path.home().parts) > 2 else text


def _is_path(text: str) -> bool:
    """Whether this is a path, and no name, such as OWNER/NAME, or prose."""
    if not re.search(r"[/\\]", text) or re.search(r"[\n{}]", text):
        return False
    if re.match(r"\.{1,2}/|~[\w-]*/|[A-Za-z]:[/\\]", text):
        return True
    path, one_word = Path(text), not re.search(r"\s", text)
    alike = (path.is_absolute() and len(path.parts) > 2) or _FILE.fullmatch(text)
    return bool(alike and one_word) or (len(text) < 256 and path.is_absolute() and path.exists())
