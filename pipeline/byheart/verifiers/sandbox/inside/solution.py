"""The process that runs what a model wrote. Whatever happens in it can change only what it prints or answers."""

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

from .line import FILE, Gone, Line, pack, raised, revived, unpack

CALM = frozenset(["cmath", "collections", "datetime", "decimal", "fractions", "itertools", "math", "string", "typing"])
"""Modules in which nothing runs text as code: the tests may use what a solution has imported from them."""

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
"""What a test may do with an object of the solution besides calling it, iterating over it and using attributes."""


def run_program() -> NoReturn:
    """Run the code as a program and end. Files: standard input, output and error, and the code."""
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
    threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end: threads first
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        status = status or 120
    os._exit(status)


def _uncaught(error: BaseException) -> int:
    """The exit status of a program that `error` ends; prints on standard error what Python prints."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    traceback.print_exception(error)
    return 1


def read_all(fd: int) -> bytes:
    """The whole content of a file descriptor."""
    with open(fd, "rb") as file:
        return file.read()


def run_solution() -> None:
    """Load the code, then serve the checker's requests until it is gone. Files: three empty ones, the code, and the
    line to the checker."""
    solution = Solution(Line(4))
    solution.load(read_all(3))
    while True:
        solution.answer(*solution.line.receive())


class Solution:
    """The solution's end of the line. Objects that are not plain data stay here, under a number; the module is number
    0."""

    def __init__(self, line: Line) -> None:
        """`line` leads to the checker."""
        self.line = line
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def load(self, source: bytes) -> None:
        """Run the code and report its globals, or the error that it raised."""
        module = sys.modules["solution"] = types.ModuleType("solution")
        self._hold(module)
        try:
            exec(compile(source, FILE, "exec", dont_inherit=True), module.__dict__)
            self.line.send(["loaded", [[name, _origin(name, value)] for name, value in vars(module).items()]])
        except BaseException as error:
            self.line.send(raised(error))

    def answer(self, action: str, number: int, packed: list[Any], extra: Any = None) -> None:
        """Do `action` with object `number` and the packed arguments, and send the result or the error."""
        try:
            arguments = [unpack(argument, self._find) for argument in packed]
            target = self._objects[number]
            result = self._done(action, target, arguments, extra)
            is_instance = action == "call" and isinstance(target, type) and target.__module__ == "solution"
            value = (
                self._hold(result) if is_instance else self._pack(result)
            )  # an instance stays, even of a list's class
            # A function may change a list that it is given, so its new content is sent back as well.
            mutable = [index for index, argument in enumerate(packed) if isinstance(argument, list)]
            now = [(index, self._pack(arguments[index])) for index in mutable]
            self.line.send(["value", value, [[index, content] for index, content in now if content != packed[index]]])
        except Gone:
            raise
        except BaseException as error:
            self.line.send(raised(error))

    def _done(self, action: str, target: Any, arguments: list[Any], extra: Any) -> Any:
        match action:
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
            """A function of a test."""
            self.line.send(["call", content, [self._pack(argument) for argument in arguments], self._pack(named)])
            while (message := self.line.receive())[0] not in ("value", "raised"):
                self.answer(*message)  # that function calls the solution itself
            if message[0] == "raised":
                raise revived(*message[1:])
            return unpack(message[1], self._find)

        return function


def _origin(name: str, value: Any) -> list[str] | None:
    """How a global of the solution was imported: ["import", module], as `import math as m`, or ["from", module]."""
    if isinstance(value, types.ModuleType):
        return ["import", value.__name__]
    for module in CALM:
        if vars(sys.modules[module]).get(name, _NOTHING) is value:
            return ["from", module]
    return None


_NOTHING = object()
