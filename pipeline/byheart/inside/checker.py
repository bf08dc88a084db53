"""The process that runs assert statements. Nothing of the solution's is ever executed in it."""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import json
import os
import reprlib
import signal
import sys
import traceback
import types
from collections.abc import Iterator
from typing import Any, NoReturn

from byheart.inside.line import Gone, Line
from byheart.inside.solution import CALM, read_all
from byheart.inside.stand_in import Solution, Unjudged


def run_checker() -> NoReturn:
    """Writes a JSON line about solution and tests as such, then one a test: passed or not or unjudged, and the reason.

    A test that is over its time, be it the solution that takes it or the test, ends the process: the kernel sees to
    that. Files: three empty ones, the tests, the results, and the line to the solution."""
    job = json.loads(read_all(3))
    Checker(Solution(Line(5)), **job).run()
    os._exit(0)


class Checker:
    def __init__(self, solution: Solution, tests: list[str], entry_point: str | None, seconds: float) -> None:
        self._solution, self._entry_point, self._seconds = solution, entry_point, seconds
        self._tests = {f"test {number}": test for number, test in enumerate(tests, 1)}
        self._seen: tuple[int, Any] | None = None

    def run(self) -> None:
        try:
            trees = {name: ast.parse(test) for name, test in self._tests.items()}
            codes = {name: compile(_watched(tree), name, "exec", dont_inherit=True) for name, tree in trees.items()}
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return self._report(None, f"a test is no Python: {error}")
        try:
            with self._limited():
                names = self._names([node for tree in trees.values() for node in ast.walk(tree)])
        except Gone as gone:
            return self._report(False, str(gone))
        except Exception as error:
            return self._report(False, _how(error))
        self._report(True, "")
        namespace = {**names, "__name__": "tests", "__seen__": self._sees}
        for code in codes.values():
            with self._limited():
                passed, reason = self._outcome(code, namespace)
            self._report(passed, reason)
        return None

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _report(self, passed: bool | None, reason: str) -> None:
        os.write(4, json.dumps([passed, reason[:500]]).encode() + b"\n")

    def _names(self, nodes: list[ast.AST]) -> dict[str, Any]:
        """Those of the solution's globals that the tests use. A name that Python has built in stays Python's, and one
        that stands before a dot and is a module's in the standard library stays the module's: only what is tested, the
        entry point, may take its place. What the solution has imported is imported here anew."""
        origins = self._solution.loaded()
        used = {node.id for node in nodes if isinstance(node, ast.Name)} & set(origins)
        bases = {
            node.value.id for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        names: dict[str, Any] = {}
        for name in sorted(used):
            how, module = origins[name] or ("", "")
            if name == self._entry_point:
                names[name] = self._solution.ask("get", 0, (), name)
            elif name[:2] == "__" or hasattr(builtins, name):
                continue
            elif name in bases & sys.stdlib_module_names:
                names[name] = importlib.import_module(name)
            elif how == "import" and module in CALM:
                names[name] = sys.modules[module]
            elif how == "from" and module in CALM and name in vars(sys.modules[module]):
                names[name] = vars(sys.modules[module])[name]
            else:
                names[name] = self._solution.ask("get", 0, (), name)
        return names

    def _outcome(self, code: types.CodeType, namespace: dict[str, Any]) -> tuple[bool | None, str]:
        self._seen = None
        passed, reason = True, ""
        try:
            exec(code, namespace)
        except Unjudged:
            pass
        except BaseException as error:
            passed = False
            with contextlib.suppress(BaseException):  # to say it may mean to ask the solution
                reason = self._told(error)
        if self._solution.unjudged:
            why = self._solution.unjudged
            if not self._solution.gone:  # else no later test can be judged either
                self._solution.unjudged = None
            return None, why
        if self._solution.gone:
            return False, self._solution.gone
        return passed, reason

    def _sees(self, line: int, value: Any) -> Any:
        self._seen = line, value
        return value

    def _told(self, error: BaseException) -> str:
        """The statement that failed, and how."""
        places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        places = [(name, line) for name, line in places if name in self._tests]
        if not places:
            return _how(error)
        test, line = self._tests[places[-1][0]], places[-1][1]
        nodes = [node for node in ast.walk(ast.parse(test)) if isinstance(node, ast.stmt)]
        node = [node for node in nodes if node.lineno <= line <= (node.end_lineno or line)][-1]
        statement = " ".join((ast.get_source_segment(test, node) or "").split())
        statement = statement if len(statement) <= 200 else statement[:200] + "..."
        if isinstance(error, AssertionError) and not hasattr(error, "told"):
            if self._seen is not None and self._seen[0] == node.lineno:
                return f"{statement}: got {_shown(self._seen[1])}"
            return f"{statement}: {error}" if str(error) else f"{statement}: it is not so"
        return f"{statement}: {_how(error)}"


def _how(error: BaseException) -> str:
    return getattr(error, "told", None) or f"{type(error).__name__}: {error}"


def _watched(tree: ast.Module) -> ast.Module:
    """The same test, where `assert f(3) == 4` is `assert __seen__(1, f(3)) == 4`, 1 being the line: so a failure can
    show what there was. Of two sides it is the one that is no constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            compare = node.test
            if isinstance(compare.left, ast.Constant):
                compare.comparators[0] = _seen(compare.comparators[0], node.lineno)
            else:
                compare.left = _seen(compare.left, node.lineno)
    return ast.fix_missing_locations(tree)


def _seen(side: ast.expr, line: int) -> ast.expr:
    return ast.copy_location(ast.Call(ast.Name("__seen__", ast.Load()), [ast.Constant(line), side], []), side)


def _shown(value: Any) -> str:
    form = reprlib.Repr()
    form.maxstring = form.maxlong = form.maxother = 100
    try:
        return form.repr(value)
    except BaseException:
        return f"a {type(value).__name__}"
