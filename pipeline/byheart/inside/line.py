"""Between solution and checker: one JSON value a message, and values as plain data."""

from __future__ import annotations

import builtins
import contextlib
import json
import socket
import traceback
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

FILE = "solution.py"
"""What the solution's code is called in tracebacks."""

MAX_MESSAGE = 16 * 2**20
"""Bytes of one message."""

ENDED = "the solution ended its process"
SENSELESS = "the solution's process sent something that makes no sense"


class Gone(BaseException):
    """There is no talking on: the other process has ended, or sent nonsense. A BaseException, so that no test that
    expects an error takes this for it."""


class Line:
    """One end of the socket between solution and checker. A message is its length in 4 bytes, and JSON."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)

    def send(self, message: list[Any]) -> None:
        """Raises ValueError for a message that is too long, before anything is sent."""
        data = json.dumps(message).encode()
        if len(data) > MAX_MESSAGE:
            raise ValueError("a value of more than 16 MiB is not passed on")
        try:
            self._socket.sendall(len(data).to_bytes(4, "big") + data)
        except OSError:
            raise Gone(ENDED) from None

    def receive(self) -> list[Any]:
        size = int.from_bytes(self._bytes(4), "big")
        if size > MAX_MESSAGE:
            raise Gone(SENSELESS)
        message: list[Any] = json.loads(self._bytes(size))
        return message

    def _bytes(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self._socket.recv(min(size - len(data), 2**20))
            except OSError:
                part = b""
            if not part:
                raise Gone(ENDED)
            data += part
        return bytes(data)


SEQUENCES: dict[str, Any] = {kind.__name__: kind for kind in (list, tuple, set, frozenset, deque, bytearray)}
SCALARS: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "bytes": bytes.fromhex,
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
    "Fraction": lambda parts: Fraction(int(parts[0], 16), int(parts[1], 16)),
    "Decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
}


def pack(value: Any, hold: Callable[[Any], list[Any]]) -> Any:
    """`value` for JSON. An object of a subclass of a plain type goes as the plain value it holds, whatever methods the
    subclass overrides. What is no plain data is left to `hold`."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else ["int", hex(value)]
    if isinstance(value, dict):
        return ["dict", [[pack(key, hold), pack(one, hold)] for key, one in dict.items(value)]]
    for name, kind in SEQUENCES.items():
        if isinstance(value, kind):
            return [name, [pack(one, hold) for one in value]]
    match value:
        case bytes():
            return ["bytes", value.hex()]
        case complex():
            return ["complex", [value.real, value.imag]]
        case range():
            return ["range", [value.start, value.stop, value.step]]
        case Fraction():
            return ["Fraction", [hex(value.numerator), hex(value.denominator)]]
        case Decimal():
            return ["Decimal", str(value)]
        case datetime():
            return ["datetime", value.isoformat()]
        case date():
            return ["date", value.isoformat()]
        case timedelta():
            return ["timedelta", [value.days, value.seconds, value.microseconds]]
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return pack(value.tolist(), hold)
    return hold(value)


def unpack(packed: Any, find: Callable[[list[Any]], Any]) -> Any:
    """The value that `pack` made `packed` of; `find` finds what was left to `hold`. Raises some Exception for anything
    that `pack` does not make."""
    if not isinstance(packed, list):
        if isinstance(packed, dict):
            raise ValueError("no packed value")
        return packed
    kind, content = packed
    if kind in SEQUENCES:
        return SEQUENCES[kind](unpack(one, find) for one in content)
    if kind == "dict":
        return {unpack(key, find): unpack(value, find) for key, value in content}
    if kind in SCALARS:
        return SCALARS[kind](content)
    return find(packed)


def raised(error: BaseException) -> list[Any]:
    """The message that says that `error` was raised: its class and those above it, its text, the solution's line."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == FILE]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    text = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else str(error)
    return ["raised", [kind.__name__ for kind in type(error).__mro__], text[:1000], line]


class SolutionError(Exception):
    """In place of what is no built-in Exception, such as SystemExit."""


_ENDS_LOOPS = (StopIteration, StopAsyncIteration)


def revived(names: list[str], text: str, line: int | None) -> Exception:
    """The error that `raised` tells of, as the nearest built-in Exception, with `told` to say what it was. None of
    those that end loops: raised in the middle of an `all(map(...))` of the tests, it would make that pass."""
    error: Exception = SolutionError(text)
    for name in names:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _ENDS_LOOPS):
            with contextlib.suppress(TypeError):
                error = kind(text)
                break
    where = f" (line {line} of the solution)" if line else ""
    error.told = f"{names[0]}: {text}"[:300] + where  # type: ignore[attr-defined]
    return error
