"""The solution as its tests see it: stand-ins for functions and objects, which stay in the solution's process."""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from .line import SENSELESS, Gone, Line, pack, raised, revived, unpack
from .solution import ARITHMETIC, SPECIAL


class Unjudged(BaseException):
    """The test needs something that is impossible across processes."""


class Solution:
    """The checker's end of the line. While it waits for an answer, it serves the solution's calls of functions of a
    test.

    `gone` is the reason why the connection ended, `unjudged` the reason why a test can't be judged; both remain even if
    the test catches what was raised.
    """

    def __init__(self, line: Line) -> None:
        """`line` leads to the process that holds the solution."""
        self.gone: str | None = None
        self.unjudged: str | None = None
        self._line = line
        self._functions: list[Callable[..., Any]] = []
        self._stand_ins: dict[int, StandIn] = {}

    def loaded(self) -> dict[str, list[str] | None]:
        """The solution's globals once it is loaded, each with its origin (see solution.py)."""
        names: dict[str, list[str] | None] = self._reply("loaded", dict)
        return names

    def ask(self, action: str, number: int, arguments: Sequence[Any] = (), extra: Any = None) -> Any:
        """The result of `action` with object `number` of the solution; raises what it raised there, Gone or
        Unjudged."""
        if self.gone is not None:
            raise Gone(self.gone)
        packed = [self.pack(argument) for argument in arguments]
        try:
            self._line.send([action, number, packed, extra])
        except ValueError as error:
            raise self._unjudged(f"the test passes too much to the solution: {error}") from None

        def read(value: Any, changed: list[Any]) -> Any:
            answer = self._unpack(value)
            for index, content in changed:
                _become(arguments[index], self._unpack(content))
            return answer

        return self._reply("value", read)

    def _reply(self, expected: str, read: Callable[..., Any]) -> Any:
        """The result of `read` for the next message that is not a call. Whatever the message is, the worst it can do is
        to end the connection."""
        try:
            while (message := self._line.receive())[0] == "call":
                self._answer(*message[1:])
            if message[0] == expected:
                return read(*message[1:])
            error = revived(*message[1:])
        except Gone as gone:
            self.gone = str(gone)
            raise
        except Unjudged:
            self.gone = "the solution waits for an answer that is impossible"
            raise
        except Exception:
            self.gone = SENSELESS
            raise Gone(SENSELESS) from None
        raise error

    def _answer(self, number: int, packed: list[Any], named: Any) -> None:
        arguments, names = [self._unpack(argument) for argument in packed], self._unpack(named)
        try:
            answer = ["value", self.pack(self._functions[number](*arguments, **names))]
        except Exception as error:
            answer = raised(error)
        self._line.send(answer)

    def pack(self, value: Any) -> Any:
        """`value` for the solution: plain data, a stand-in, or a function. Raises Unjudged for anything else."""
        return pack(value, self._hold)

    def _hold(self, value: Any) -> list[Any]:
        if isinstance(value, StandIn):
            return ["held", value._StandIn__number]
        if callable(value):
            name = getattr(value, "__name__", "")
            if vars(builtins).get(name) is value:
                return ["builtin", name]
            self._functions.append(value)
            return ["test", len(self._functions) - 1]
        raise self._unjudged(f"the test passes a {type(value).__name__} to the solution, which is impossible")

    def _unjudged(self, why: str) -> Unjudged:
        self.unjudged = why
        return Unjudged(why)

    def _unpack(self, packed: Any) -> Any:
        return unpack(packed, self._find)

    def _find(self, packed: list[Any]) -> Any:
        kind, content = packed
        if kind == "test":
            return self._functions[content]
        number, name = content
        if kind != "held" or not isinstance(number, int):
            raise ValueError("not a packed value")
        return self._stand_ins.setdefault(number, StandIn(self, number, str(name)[:40]))


class StandIn:
    """Stands for an object in the solution's process. It can be called and passed back, and its attributes read and
    set; the results are plain data or stand-ins. It is never compared, since its own class would decide; and arithmetic
    with it gives no plain data, since `abs(f(2) - 1.41) < 0.01` is a comparison as well."""

    __slots__ = ("__name", "__number", "__solution")

    def __init__(self, solution: Solution, number: int, name: str) -> None:
        """Stands for object `number` of the solution, called `name`."""
        object.__setattr__(self, "_StandIn__solution", solution)
        object.__setattr__(self, "_StandIn__number", number)
        object.__setattr__(self, "_StandIn__name", name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The result of the call in the solution's process."""
        return self.__solution.ask("call", self.__number, arguments, self.__solution.pack(named))

    def __getattr__(self, name: str) -> Any:
        """An attribute of the object in the solution's process."""
        if name[:2] == "__":
            raise AttributeError(name)
        return self.__solution.ask("get", self.__number, (), name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute of the object in the solution's process."""
        self.__solution.ask("set", self.__number, (value,), name)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the object in the solution's process."""
        iterator = self.__solution.ask("iterate", self.__number)
        while items := self.__solution.ask("step", iterator._StandIn__number):
            yield items[0]

    def __next__(self) -> Any:
        """The next item of the iterator in the solution's process."""
        for value in self.__solution.ask("step", self.__number):
            return value
        raise StopIteration

    def __refuse(self, *_: object) -> NoReturn:
        raise TypeError(f"the solution gave a {self.__name}, which can't be compared")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __bool__ = __refuse


def _special(name: str) -> Callable[..., Any]:
    def method(stand_in: Any, *arguments: Any) -> Any:
        scaled = name in ("__mul__", "__truediv__") and all(type(argument) in (int, float) for argument in arguments)
        if name in ARITHMETIC and not scaled and not all(isinstance(argument, StandIn) for argument in arguments):
            stand_in._StandIn__refuse()  # before the call: a value to compare with must not reach the solution
        answer = stand_in._StandIn__solution.ask("special", stand_in._StandIn__number, arguments, name)
        if name in ARITHMETIC and not isinstance(answer, StandIn):
            stand_in._StandIn__refuse()
        return answer

    return method


for _name in SPECIAL:
    setattr(StandIn, _name, _special(_name))


def _become(old: Any, new: Any) -> None:
    """Change `old`, an argument of a test, as the solution changed its copy."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set, deque)):
        old.clear()
        (old.extend if isinstance(old, deque) else old.update)(new)
