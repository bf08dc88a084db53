"""The solution as its tests see it: functions and objects that stay where they are, and are asked over the line."""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from byheart.inside.line import SENSELESS, Gone, Line, pack, raised, revived, unpack
from byheart.inside.solution import ARITHMETIC, SPECIAL


class Unjudged(BaseException):
    """The test needs something that can't be done across processes."""


class Solution:
    """The checker's end of the line: asks, and answers while it waits where the solution was given a function.

    `gone` says why there is no talking on, and `unjudged` why a test can't be judged, whatever the test made of what
    was raised."""

    def __init__(self, line: Line) -> None:
        self.gone: str | None = None
        self.unjudged: str | None = None
        self._line = line
        self._functions: list[Callable[..., Any]] = []
        self._stand_ins: dict[int, StandIn] = {}

    def loaded(self) -> dict[str, list[str] | None]:
        """The solution's globals, as soon as it is loaded, with where it says that they were imported from."""
        names: dict[str, list[str] | None] = self._reply("loaded", dict)
        return names

    def ask(self, what: str, number: int, arguments: Sequence[Any] = (), extra: Any = None) -> Any:
        if self.gone is not None:
            raise Gone(self.gone)
        packed = [self.pack(one) for one in arguments]
        try:
            self._line.send([what, number, packed, extra])
        except ValueError as error:
            raise self._unjudged(f"the test hands the solution too much: {error}") from None

        def read(value: Any, changed: list[Any]) -> Any:
            answer = self._unpack(value)
            for place, now in changed:
                _become(arguments[place], self._unpack(now))
            return answer

        return self._reply("value", read)

    def _reply(self, expected: str, read: Callable[..., Any]) -> Any:
        """What `read` makes of the next message that is not a call. Whatever the message is, it can do no worse than to
        end the talk."""
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
            self.gone = "the solution waits for an answer that can't be given"
            raise
        except Exception:
            self.gone = SENSELESS
            raise Gone(SENSELESS) from None
        raise error

    def _answer(self, number: int, packed: list[Any], named: Any) -> None:
        arguments, names = [self._unpack(one) for one in packed], self._unpack(named)
        try:
            answer = ["value", self.pack(self._functions[number](*arguments, **names))]
        except Exception as error:
            answer = raised(error)
        self._line.send(answer)

    def pack(self, value: Any) -> Any:
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
        raise self._unjudged(f"the test hands the solution a {type(value).__name__}, which can't be passed on")

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
            raise ValueError("no packed value")
        return self._stand_ins.setdefault(number, StandIn(self, number, str(name)[:40]))


class StandIn:
    """For an object that stays with the solution. It can be called and passed back, its attributes read and set, and
    what comes of that is plain data or a stand-in again. It is never compared, for its own class would be the judge;
    and arithmetic with it gives no plain data, for `abs(f(2) - 1.41) < 0.01` compares as well."""

    __slots__ = ("__name", "__number", "__solution")

    def __init__(self, solution: Solution, number: int, name: str) -> None:
        object.__setattr__(self, "_StandIn__solution", solution)
        object.__setattr__(self, "_StandIn__number", number)
        object.__setattr__(self, "_StandIn__name", name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.__solution.ask("call", self.__number, arguments, self.__solution.pack(named))

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)
        return self.__solution.ask("get", self.__number, (), name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.__solution.ask("set", self.__number, (value,), name)

    def __iter__(self) -> Iterator[Any]:
        iterator = self.__solution.ask("iterate", self.__number)
        while found := self.__solution.ask("step", iterator._StandIn__number):
            yield found[0]

    def __next__(self) -> Any:
        for value in self.__solution.ask("step", self.__number):
            return value
        raise StopIteration

    def __refuse(self, *_: object) -> NoReturn:
        raise TypeError(f"the solution gave a {self.__name}, which can't be compared")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __bool__ = __refuse


def _special(name: str) -> Callable[..., Any]:
    def method(stand_in: Any, *arguments: Any) -> Any:
        scaled = name in ("__mul__", "__truediv__") and all(type(one) in (int, float) for one in arguments)
        if name in ARITHMETIC and not scaled and not all(isinstance(one, StandIn) for one in arguments):
            stand_in._StandIn__refuse()  # before it is asked: what a test would compare with must not reach it
        answer = stand_in._StandIn__solution.ask("special", stand_in._StandIn__number, arguments, name)
        if name in ARITHMETIC and not isinstance(answer, StandIn):
            stand_in._StandIn__refuse()
        return answer

    return method


for _name in SPECIAL:
    setattr(StandIn, _name, _special(_name))


def _become(old: Any, new: Any) -> None:
    """Does to `old`, which a test has given away, what the solution did to its copy."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set, deque)):
        old.clear()
        (old.extend if isinstance(old, deque) else old.update)(new)
