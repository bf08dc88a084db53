"""The exception tree is the one that is drawn, and every exit code is documented."""

from __future__ import annotations

import inspect

from byheart import errors


def test_every_error_is_drawn_with_its_exit_code() -> None:
    drawn = errors.__doc__ or ""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    kinds = [kind for kind in found if issubclass(kind, errors.ByheartError)]
    assert kinds == found
    for kind in kinds:
        line = next(line for line in drawn.splitlines() if f" {kind.__name__} " in f" {line.strip('| -`')} ")
        if "exit_code" in vars(kind):
            assert f"exit code {kind.exit_code}" in line
