"""The connection of solution and checker: one JSON value a message, and values as plain data."""

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
"""The file name of the solution's code in tracebacks."""

MAX_MESSAGE = 16 * 2**20
"""The most bytes of a message."""

ENDED = "the solution ended its process"
SENSELESS = "the solution's process sent an invalid message"


class Gone(BaseException):
    """The other process has ended, or sent an invalid message. A BaseException, so that a test that expects an error
    does not catch it."""


class Line:
    """One end of the socket between solution and checker. A message is its length in 4 bytes, and JSON."""

    def __init__(self, fd: int) -> None:
        """`fd` is the file descriptor of a connected socket."""
        self._socket = socket.socket(fileno=fd)

    def send(self, message: list[Any]) -> None:
        """Send a message. Raises ValueError for one that is too long, before anything is sent, and Gone."""
        data = json.dumps(message).encode()
        if len(data) > MAX_MESSAGE:
            raise ValueError("a value of more than 16 MiB is not sent")
        try:
            self._socket.sendall(len(data).to_bytes(4, "big") + data)
        except OSError:
            raise Gone(ENDED) from None

    def receive(self) -> list[Any]:
        """Wait for the next message. Raises Gone."""
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
    """`value` for JSON. An object of a subclass of a plain type is packed as the plain value that it holds, whatever
    methods the subclass overrides. What is not plain data is left to `hold`."""
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else ["int", hex(value)]
    if isinstance(value, dict):
        return ["dict", [[pack(key, hold), pack(item, hold)] for key, item in dict.items(value)]]
    for name, kind in SEQUENCES.items():
        if isinstance(value, kind):
            return [name, [pack(item, hold) for item in value]]
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
    """The value that was packed as `packed`; `find` returns what was left to `hold`. Raises some Exception for anything
    that `pack` does not return."""
    if not isinstance(packed, list):
        if isinstance(packed, dict):
            raise ValueError("not a packed value")
        return packed
    kind, content = packed
    if kind in SEQUENCES:
        return SEQUENCES[kind](unpack(item, find) for item in content)
    if kind == "dict":
        return {unpack(key, find): unpack(value, find) for key, value in content}
    if kind in SCALARS:
        return SCALARS[kind](content)
    return find(packed)


def raised(error: BaseException) -> list[Any]:
    """The message for a raised `error`: the names of its class and base classes, its text, and the solution's line."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == FILE]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    text = error.args[0] if len(error.args) == 1 and isinstance(error.args[0], str) else str(error)
    return ["raised", [kind.__name__ for kind in type(error).__mro__], text[:1000], line]


class SolutionError(Exception):
    """Stands for an error that is not a built-in Exception, such as SystemExit."""


_ENDS_LOOPS = (StopIteration, StopAsyncIteration)


def revived(names: list[str], text: str, line: int | None) -> Exception:
    """The error of a message from `raised`, as the nearest built-in Exception, with its text and line as `in_solution`.
    Those that end loops are never used: raised within an `all(map(...))` of a test, one would make the test pass."""
    error: Exception = SolutionError(text)
    for name in names:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _ENDS_LOOPS):
            with contextlib.suppress(TypeError):
                error = kind(text)
                break
    where = f" (line {line} of the solution)" if line else ""
    error.in_solution = f"{names[0]}: {text}"[:300] + where  # type: ignore[attr-defined]  # for the checker
    return error
