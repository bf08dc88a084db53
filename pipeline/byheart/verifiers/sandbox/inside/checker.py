"""The process that runs assert statements. No code of the solution is ever executed in it."""

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

from .line import Gone, Line
from .solution import CALM, read_all
from .stand_in import Solution, Unjudged


def run_checker() -> NoReturn:
    """Write a JSON line about the solution and the tests as a whole, then one for each test: [passed, reason], where
    `passed` is None for a test that can't be judged.

    When a test exceeds its time, in its own code or in the solution's, the kernel ends the process. Files: three empty
    ones, the tests, the results, and the line to the solution.
    """
    job = json.loads(read_all(3))
    Checker(Solution(Line(5)), **job).run()
    os._exit(0)


class Checker:
    """Runs `tests` against the solution, each for at most `seconds`."""

    def __init__(self, solution: Solution, tests: list[str], entry_point: str | None, seconds: float) -> None:
        """`seconds` is the time limit of one test."""
        self._solution, self._entry_point, self._seconds = solution, entry_point, seconds
        self._tests = {f"test {number}": test for number, test in enumerate(tests, 1)}
        self._seen: tuple[int, Any] | None = None

    def run(self) -> None:
        """Run the tests and report on each."""
        try:
            trees = {name: ast.parse(test) for name, test in self._tests.items()}
            codes = {name: compile(_watched(tree), name, "exec", dont_inherit=True) for name, tree in trees.items()}
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return self._report(None, f"a test is not Python: {error}")
        try:
            with self._limited():
                names = self._names([node for tree in trees.values() for node in ast.walk(tree)])
        except Gone as gone:
            return self._report(False, str(gone))
        except Exception as error:
            return self._report(False, _how(error))
        self._report(True, "")
        namespace = {**names, "__name__": "tests", "__seen__": self._see}
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
        """The solution's globals that the tests use. The name of a built-in keeps its meaning, and so does the name of
        a module of the standard library before a dot: only the entry point, which is tested, may replace them. What the
        solution has imported is imported again here."""
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
            with contextlib.suppress(BaseException):  # it may have to call the solution
                reason = self._describe(error)
        if self._solution.unjudged:
            reason = self._solution.unjudged
            if not self._solution.gone:  # else no later test can be judged either
                self._solution.unjudged = None
            return None, reason
        if self._solution.gone:
            return False, self._solution.gone
        return passed, reason

    def _see(self, line: int, value: Any) -> Any:
        self._seen = line, value
        return value

    def _describe(self, error: BaseException) -> str:
        """The statement that failed, and how."""
        frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        frames = [(name, line) for name, line in frames if name in self._tests]
        if not frames:
            return _how(error)
        test, line = self._tests[frames[-1][0]], frames[-1][1]
        nodes = [node for node in ast.walk(ast.parse(test)) if isinstance(node, ast.stmt)]
        node = [node for node in nodes if node.lineno <= line <= (node.end_lineno or line)][-1]
        statement = " ".join((ast.get_source_segment(test, node) or "").split())
        statement = statement if len(statement) <= 200 else statement[:200] + "..."
        if isinstance(error, AssertionError) and not hasattr(error, "in_solution"):
            if self._seen is not None and self._seen[0] == node.lineno:
                return f"{statement}: got {_shown(self._seen[1])}"
            return f"{statement}: {error}" if str(error) else f"{statement}: false"
        return f"{statement}: {_how(error)}"


def _how(error: BaseException) -> str:
    return getattr(error, "in_solution", None) or f"{type(error).__name__}: {error}"


def _watched(tree: ast.Module) -> ast.Module:
    """The same test, in which `assert f(3) == 4` is `assert __seen__(1, f(3)) == 4`, with the line 1, so that a failure
    can show the value. Of two sides, the one that is not a constant is recorded."""
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
