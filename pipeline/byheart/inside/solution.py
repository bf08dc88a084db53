"""The process that runs what a model wrote. Whatever happens in it changes nothing but what it prints or answers."""

from __future__ import annotations

import atexit
import builtins
import itertools
import operator
import os
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

from byheart.inside.line import FILE, Gone, Line, pack, raised, revived, unpack

CALM = frozenset(["cmath", "collections", "datetime", "decimal", "fractions", "itertools", "math", "string", "typing"])
"""Modules with nothing in them that runs text as code: what a solution has imported from them, its tests may use."""

ARITHMETIC: dict[str, Callable[..., Any]] = {
    f"__{name}__": getattr(operator, name)
    for name in ["neg", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]
}
SPECIAL: dict[str, Callable[..., Any]] = {
    "__len__": len,
    "__str__": str,
    "__repr__": repr,
    **{f"__{name}__": getattr(operator, name) for name in ("getitem", "setitem", "delitem")},
    **ARITHMETIC,
}
"""What a test may do to an object of the solution's own, beside calling it, iterating over it and using attributes."""


def run_program() -> NoReturn:
    """Files: standard input, output and error, and the code."""
    source = read_all(3)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = [FILE]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    status = 0
    try:
        exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        status = _uncaught(error)
    threading._shutdown()  # type: ignore[attr-defined]  # the interpreter's own way to end: threads first
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        status = status or 120
    os._exit(status)


def _uncaught(error: BaseException) -> int:
    """The exit status of a program that `error` ends; says on standard error what Python says."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    traceback.print_exception(error)
    return 1


def read_all(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


def run_solution() -> None:
    """Loads the code, then does what the checker asks until that has gone. Files: three empty ones, the code, and the
    line to the checker."""
    solution = Solution(Line(4))
    solution.load(read_all(3))
    while True:
        solution.answer(*solution.line.receive())


class Solution:
    """What is no plain data stays here, under a number; the module of the solution is number 0."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def load(self, source: bytes) -> None:
        module = sys.modules["solution"] = types.ModuleType("solution")
        self._hold(module)
        try:
            exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
            self.line.send(["loaded", [[name, _origin(name, value)] for name, value in vars(module).items()]])
        except BaseException as error:
            self.line.send(raised(error))

    def answer(self, what: str, number: int, packed: list[Any], extra: Any = None) -> None:
        try:
            arguments = [unpack(one, self._find) for one in packed]
            target = self._objects[number]
            done = self._done(what, target, arguments, extra)
            made = what == "call" and isinstance(target, type) and target.__module__ == "solution"
            value = self._hold(done) if made else self._pack(done)  # an object of its own class stays, be it a list's
            # A function may work on a list that it is given, so what has become of it goes back as well.
            now = [(place, self._pack(arguments[place])) for place, one in enumerate(packed) if isinstance(one, list)]
            self.line.send(["value", value, [[place, one] for place, one in now if one != packed[place]]])
        except Gone:
            raise
        except BaseException as error:
            self.line.send(raised(error))

    def _done(self, what: str, target: Any, arguments: list[Any], extra: Any) -> Any:
        match what:
            case "call":
                return target(*arguments, **unpack(extra, self._find))
            case "get":
                return getattr(target, extra)
            case "set":
                return setattr(target, extra, arguments[0])
            case "iterate":
                return iter(target)
            case "step":
                return list(itertools.islice(target, 1))
            case _:
                return SPECIAL[extra](target, *arguments)

    def _pack(self, value: Any) -> Any:
        return pack(value, self._hold)

    def _hold(self, value: Any) -> list[Any]:
        number = self._numbers.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        return ["held", [number, type(value).__name__]]

    def _find(self, packed: list[Any]) -> Any:
        kind, content = packed
        if kind == "held":
            return self._objects[content]
        if kind == "builtin":
            return getattr(builtins, content)

        def function(*arguments: Any, **named: Any) -> Any:
            """A function of the test's."""
            self.line.send(["call", content, [self._pack(one) for one in arguments], self._pack(named)])
            while (message := self.line.receive())[0] not in ("value", "raised"):
                self.answer(*message)  # that function asks something itself
            if message[0] == "raised":
                raise revived(*message[1:])
            return unpack(message[1], self._find)

        return function


def _origin(name: str, value: Any) -> list[str] | None:
    """Where a global of the solution was imported from: `import math as m`, or `from math import pi`."""
    if isinstance(value, types.ModuleType):
        return ["import", value.__name__]
    for module in CALM:
        if vars(sys.modules[module]).get(name, _NOTHING) is value:
            return ["from", module]
    return None


_NOTHING = object()
