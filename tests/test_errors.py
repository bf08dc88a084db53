"""The exception tree is the one that is drawn, and every exit code is documented."""

from __future__ import annotations

import inspect

from pipeline import errors


def test_every_error_is_drawn_with_its_exit_code() -> None:
    drawn = errors.__doc__ or ""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(kind, errors.ByheartError) and f" {kind.__name__} " in drawn for kind in kinds)
    for kind in kinds:
        owner = kind if "exit_code" in vars(kind) else kind.__mro__[1]
        line = next(line for line in drawn.splitlines() if f" {owner.__name__} " in line)
        assert f"exit code {owner.exit_code}" in line
