"""What is printed for the user: text is shown as it is, and nothing in it colours, clears or moves anything.

Names, paths, problems and responses come from outside. Rich would take `[/x]` in them for its markup, and the terminal
their control characters for commands. What is to be styled is said apart, by `styled`.
"""

from __future__ import annotations

from typing import Any

import rich.console
from rich.text import Text
from typing_extensions import override

from byheart.text import visible


class Console(rich.console.Console):
    """Prints strings without markup, their control characters made visible."""

    def __init__(self, **options: Any) -> None:
        """`options` are those of rich's Console."""
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    @override
    def render_str(self, text: str, **options: Any) -> Text:
        """What rich makes of every string that it is given, alone or in a table or tree."""
        return super().render_str(visible(text), **options)


def styled(*parts: str | tuple[str, str]) -> Text:
    """A text of several parts, each plain or with its style: `styled(("Note", "bold"), ": ", note)`."""
    return Text.assemble(*(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts))
