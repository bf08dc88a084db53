"""The solution is a program: it runs in the sandbox against the tests of the problem, and is right if it passes all.

The tests are `meta["tests"]`, a list of `{"input": ..., "output": ...}`, for a program on standard input and output,
and `{"assert": ...}`, or that statement alone as MBPP has it, which runs after the solution, in one namespace; or the
JSON text of such a list. MBPP's own column `test_list` is read as well. An output is right where it equals the expected
one, apart from space at the ends of lines and at the very end. Where the solution does not define
`meta["entry_point"]`, the name under test, it continues `meta["prelude"]`; where it does, the prelude still runs before
it, for its imports and definitions.

The solution is the last fenced block of the response, preferably marked as Python and preferably one that defines the
entry point, since an example of its use may follow it; without any fence it is the whole response, if that is Python.
The judgement's answer is the program that was run.
"""

from __future__ import annotations

import ast
import atexit
import json
import os
import re
import textwrap
import warnings
from collections.abc import Mapping
from itertools import chain
from typing import Any, ClassVar, NamedTuple, cast

from pydantic import Field
from typing_extensions import override

from byheart.contracts import ProcessVerifier
from byheart.errors import described
from byheart.types import Judgement, Problem
from byheart.verifiers.core import pool
from byheart.verifiers.sandbox import host


class Code(ProcessVerifier):
    """Judges programs by the tests of the problem."""

    version: ClassVar[int] = 2
    needs_gold: ClassVar[bool] = False
    needs_meta: ClassVar[tuple[str, ...]] = ("tests",)
    reads_answers: ClassVar[bool] = True

    time_limit: float = Field(default=60.0, gt=0, description="seconds for all tests of one response")
    test_time_limit: float = Field(default=5.0, gt=0, description="seconds for one test")
    test_memory: float = Field(default=0.5, gt=0, description="GiB of memory for one test")
    isolation: host.Isolation = Field(
        default="bubblewrap",
        description="how programs are isolated; rlimits is weaker, for machines where bubblewrap can't run",
    )

    @override
    def check(self) -> None:
        host.check(self.isolation)

    @override
    def caveat(self) -> str | None:
        if self.isolation == "bubblewrap":
            return None
        return "Model-written code was run with limits and a filter of system calls, but not in a container of its own."

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        try:
            tests = _tests(problem.meta)
        except ValueError as unreadable:
            return Judgement(None, None, str(unreadable))
        code = solution(problem, response)
        if code is None:
            return Judgement(0.0, None, "no code in the response")
        if error := compile_error(code):
            return Judgement(0.0, code, f"compile error: {error}")
        return _judgement(_results(code, tests, problem.meta.get("entry_point"), self))._replace(answer=code)

    @override
    def unreadable(self, problem: Problem) -> str | None:
        try:
            _tests(problem.meta)
        except ValueError as error:
            return str(error)
        return None


class Result(NamedTuple):
    """The result of one test; `passed` is None where it is not known."""

    passed: bool | None
    reason: str = ""


NOT_RUN = Result(None, "not run")


def solution(problem: Problem, response: str) -> str | None:
    """The program in `response`, with the prelude where that belongs to it; None where there is no program."""
    blocks = _FENCED.findall(response)
    marked = [code for language, code in blocks if language.lower() in ("python", "py", "python3")]
    candidates = marked or [code for _, code in blocks] or [response]
    prelude, entry_point = problem.meta.get("prelude"), problem.meta.get("entry_point")
    defined = re.compile(_DEFINED.format(re.escape(entry_point or "")), re.MULTILINE)
    code = next((code for code in reversed(candidates) if entry_point and defined.search(code)), candidates[-1])
    if prelude and entry_point and not defined.search(code):
        code = f"{prelude}\n{code}"
    else:
        code = textwrap.dedent(code)
        if prelude and not compile_error(f"{prelude}\n{code}"):
            code = f"{prelude}\n{code}"
    return code if code.strip() and (blocks or not compile_error(code)) else None


_FENCED = re.compile(
    r"^[ \t]*+(?:```|~~~)[ \t]*+([\w+-]*+)[^\n]*+\n(.*?)(?:^[ \t]*+(?:```|~~~)|\Z)", re.MULTILINE | re.DOTALL
)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DEFINED = r"^[ \t]*(?:(?:async +)?def +|class +){0}\b|^[ \t]*{0} *="


def assertion(statement: str, row: Mapping[str, Any]) -> dict[str, str]:
    """A statement of MBPP's `test_list` as a test: imports and set-up code in its row go before it. Raises ValueError
    where these are no text."""
    imports, code = row.get("test_imports") or [], row.get("test_setup_code") or ""
    before = [*(imports if isinstance(imports, list) else [imports]), code]
    if not all(isinstance(text, str) for text in before):
        raise ValueError("test_imports and test_setup_code of the problem have to be text")
    setup = "\n".join(before).strip()
    return {"assert": f"{setup}\n{statement}".strip()}


def _tests(meta: Mapping[str, Any]) -> list[dict[str, str]]:
    """The tests in a problem's meta. Raises ValueError where there are none, or one is none."""
    tests = meta.get("tests") or meta.get("test_list")
    if isinstance(tests, str):
        try:
            tests = json.loads(tests)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the tests of the problem are text, and not JSON: {error}") from None
    if not tests:
        raise ValueError("the problem has no tests")
    if not isinstance(tests, list):
        raise ValueError(f"the tests of the problem are {described(tests)}; a list is wanted")
    return [_test(number, test, meta) for number, test in enumerate(tests, 1)]


def _test(number: int, given: Any, meta: Mapping[str, Any]) -> dict[str, str]:
    test = assertion(given, meta) if isinstance(given, str) else given
    texts = isinstance(test, dict) and all(isinstance(text, str) for text in test.values())
    if not texts or set(test) not in ({"assert"}, {"input", "output"}):
        raise ValueError(f"test {number} of the problem is neither input and output nor an assert")
    if "assert" in test and (error := compile_error(test["assert"])):
        raise ValueError(f"test {number} of the problem is not Python: {error}")
    if "assert" in test and not _asserts(test["assert"], alone=isinstance(given, str)):
        raise ValueError(f"test {number} of the problem asserts nothing: {test['assert'][-60:]!r}")
    return cast("dict[str, str]", test)


def _asserts(test: str, alone: bool) -> bool:
    """Whether the test can fail: what it runs asserts something, or calls what may do so. Functions that it defines do
    not run, and a tuple is always true. A statement that stands `alone` has to hold the assert itself."""
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(test)
    calls = False
    for node in chain.from_iterable(ast.walk(part) for part in tree.body if not isinstance(part, _DEFINITIONS)):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Assert) and not isinstance(node.test, ast.Tuple)):
            return True
        calls |= isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return calls and (not alone or any(isinstance(node, ast.Assert) for node in ast.walk(tree)))


def compile_error(code: str) -> str:
    """Where and why `code` does not compile; "" where it does. Compiling runs nothing of it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            compile(code, "solution.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _results(code: str, tests: list[dict[str, str]], entry_point: str | None, options: Code) -> list[Result]:
    """The result of each test. After a test that exceeds its time, no other test of its kind is run."""
    box = warm(options)
    asserts = [test["assert"] for test in tests if "assert" in test]
    judged = iter(box.run_asserts(code, asserts, entry_point) if asserts else [])
    results: list[Result] = []
    late = False
    for test in tests:
        if "assert" in test:
            results.append(_of_assert(next(judged), options))
        elif late:
            results.append(NOT_RUN)
        else:
            ran = box.run_program(code, test["input"])
            results.append(_of_program(ran, test["output"], options))
            late = ran.ended == "timeout"
    return results


def _of_assert(outcome: host.Outcome, options: Code) -> Result:
    match outcome.ended:
        case "timeout":
            return Result(False, f"time limit of {options.test_time_limit:g} s {outcome.reason}".strip())
        case "not run":
            return NOT_RUN
        case "not loaded":
            return Result(False, f"the solution does not load: {outcome.reason}")
        case _:
            return Result(outcome.passed, outcome.reason)


def _of_program(ran: host.Ran, expected: str, options: Code) -> Result:
    if result := unfinished(ran, options):
        return result
    got, wanted = _lines(ran.stdout), _lines(expected)
    if got == wanted:
        return Result(True)
    number = next((n for n, (line, other) in enumerate(zip(got, wanted, strict=False)) if line != other), None)
    if number is None:
        return Result(False, f"{len(got)} lines of output, not {len(wanted)}")
    return Result(False, f"line {number + 1} of the output is {got[number][:60]!r}, not {wanted[number][:60]!r}")


def unfinished(ran: host.Ran, options: Code) -> Result | None:
    """Why a program did not end as it should; None where it did."""
    match ran.ended:
        case "lost":
            return Result(None, "the sandbox failed")
        case "timeout":
            return Result(False, f"time limit of {options.test_time_limit:g} s")
        case "memory":
            return Result(False, f"memory limit of {options.test_memory:g} GiB")
        case "output":
            return Result(False, "too much output")
        case "killed":
            return Result(False, "runtime error: killed by a signal")
    if ran.exit_code:
        error = ran.stderr.rstrip().rpartition("\n")[2]
        return Result(False, f"runtime error: {error or f'exit code {ran.exit_code}'}")
    return None


def _lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.rstrip().split("\n")]


def _judgement(results: list[Result]) -> Judgement:
    failed = [number for number, result in enumerate(results, 1) if result.passed is False]
    unknown = [number for number, result in enumerate(results, 1) if result.passed is None]
    if not failed and not unknown:
        return Judgement(1.0, None)
    first = (failed or unknown)[0]
    reason = f"test {first}: {' '.join(results[first - 1].reason.split())[:400]}"
    if len(results) > 1 and failed:
        skipped = f", {len(unknown)} not run" if unknown else ""
        reason = f"{len(failed)} of {len(results)} tests failed{skipped}; first: {reason}"
    return Judgement(0.0 if failed else None, None, reason)


_boxes: dict[tuple[int, float, float, str], host.Sandbox] = {}
"""The warm sandboxes of this process (its id is in the key: a fork has none yet)."""


def warm(options: Code) -> host.Sandbox:
    """This process's own warm sandbox with these limits; `close` closes it, at the latest when the process exits."""
    key = os.getpid(), options.test_time_limit, options.test_memory, options.isolation
    if key not in _boxes:
        limits = host.Limits(seconds=options.test_time_limit, memory=int(options.test_memory * pool.GIB))
        _boxes[key] = host.Sandbox(limits, options.isolation)
    return _boxes[key]


@atexit.register
def close() -> None:
    """Close this process's own warm sandboxes; the next verification starts new ones. Closing twice is harmless."""
    for key in [key for key in _boxes if key[0] == os.getpid()]:
        _boxes.pop(key).close()
