"""The solution is a program: it runs in the sandbox against the tests of the problem, and is right if it passes all.

The tests are `meta["tests"]`, a list of `{"input": ..., "output": ...}`, for a program on standard input and output,
and `{"assert": ...}`, or that statement alone as MBPP has it, which runs after the solution, in one namespace; or the
JSON text of such a list. MBPP's own column `test_list` is read as well. An output is right where it equals the expected
one, apart from space at the ends of lines and at the very end. With the option `tolerance`, numbers written as floats
are compared by value; without it, a test whose output differs in the last digits of floats alone is not judged.

The solution is one of the response's fenced blocks, read as CommonMark has it. Of several it is the last that defines
what is tested, `meta["entry_point"]` or else what the asserts use, since an example of its use may follow it; where
none does, the last block, preferably marked as Python. Without any fence it is what stands between [PYTHON] and
[/PYTHON] or [BEGIN] and [DONE], else the whole response, an indented block or the only span in backticks, if that is
Python. Where it does not define `meta["entry_point"]`, it continues `meta["prelude"]`; where it does, the prelude still
runs before it, for its imports and definitions.

Before the asserts run, names that the solution uses and nowhere binds, such as `deque` or `math`, are imported from the
usual modules of the standard library, unless the asserts use them. The judgement's answer is the program that was run.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import importlib
import json
import math
import os
import re
import symtable
import sys
import textwrap
import warnings
from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Any, ClassVar, NamedTuple, cast

from markdown_it import MarkdownIt
from pydantic import Field
from typing_extensions import override

from byheart.contracts import ProcessVerifier
from byheart.errors import described
from byheart.types import Judgement, Problem
from byheart.verifiers.core import pool
from byheart.verifiers.sandbox import host


class Sandboxed(ProcessVerifier):
    """Base of verifiers that run the program in a response."""

    needs_gold: ClassVar[bool] = False
    reads_answers: ClassVar[bool] = True

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
    def found(self, response: str) -> str:
        return "a fenced block" if "```" in response or "~~~" in response else "code without fences"


class Code(Sandboxed):
    """Judges programs by the tests of the problem."""

    version: ClassVar[int] = 3
    needs_meta: ClassVar[tuple[str, ...]] = ("tests",)

    time_limit: float = Field(default=60.0, gt=0, description="seconds for all tests of one response")
    tolerance: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="how far a printed number may be from an expected float, absolutely or relative to it; 0: as text",
    )

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
        if any("assert" in test for test in tests):
            code = _with_imports(code, _asked(tests))
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
    tested = [re.compile(_DEFINED.format(re.escape(name)), re.MULTILINE) for name in _tested(problem.meta)]

    def rank(block: tuple[str, str]) -> tuple[bool, int, bool, bool]:
        language, code = block
        defined = sum(pattern.search(code) is not None for pattern in tested)
        return language in ("", *_PYTHON), defined, defined > 0 or language in _PYTHON, compiles(block)

    def compiles(block: tuple[str, str]) -> bool:
        return not compile_error(_complete(block[1], problem.meta))

    fenced, others = _blocks(response)
    blocks = [block for block in others if compiles(block)][:1]
    if not blocks or blocks[0][1] != response:
        blocks = fenced if any(map(compiles, fenced)) else [*fenced, *_anyhow_fenced(response)] or blocks
    return _complete(max(reversed(blocks), key=rank)[1], problem.meta) if blocks else None


def _blocks(response: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The language and the code of each fenced block; and what else may be the program."""
    tokens = _COMMONMARK.parse(_AFTER_WORDS.sub("\n", response))
    fenced = [(token.info.strip().lower(), token.content) for token in tokens if token.type == "fence"]
    parts = [_OPENED.split(part)[-1] for part in _CLOSED.split(response)]
    indented = [token.content for token in tokens if token.type == "code_block"]
    spans = _SPAN.findall(response)
    others = [*parts, *indented, *(spans if len(spans) == 1 else [])]
    return [block for block in fenced if block[1].strip()], [("", code) for code in others if code.strip()]


def _anyhow_fenced(response: str) -> list[tuple[str, str]]:
    """Blocks whose fences stand at any indentation, since in a list what is between them is not always indented with
    it, or right after the code."""
    return [(language.lower(), code) for language, code in _FENCED.findall(response) if code.strip()]


_PYTHON = ("python", "py", "python3")
_COMMONMARK = MarkdownIt("zero").disable(["inline", "text_join"]).enable(["fence", "list", "code"])
_FENCED = re.compile(
    r"^[ \t]*+(?:```|~~~)[ \t]*+([\w+-]*+)[^\n]*+\n(.*?)(?:```|^[ \t]*+~~~|\Z)", re.MULTILINE | re.DOTALL
)
_AFTER_WORDS = re.compile(r"(?<=[^\s`])(?=```(?:python3?|py)[ \t]*\n)")
_OPENED, _CLOSED = re.compile(r"\[(?:PYTHON|BEGIN)\]"), re.compile(r"\[/PYTHON\]|\[DONE\]")
"""The tags of prompts for MBPP (2108.07732), of which the first may have been in the prompt."""
_SPAN = re.compile(r"(?<!`)`([^`\n]++)`(?!`)")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DEFINED = r"^[ \t]*(?:(?:async +)?def +|class +){0}\b|^[ \t]*{0} *="


def _complete(code: str, meta: Mapping[str, Any]) -> str:
    """The program of which `code` is the end, if there is a prelude that it goes with."""
    prelude, entry_point = meta.get("prelude"), meta.get("entry_point")
    if prelude and entry_point and not re.search(_DEFINED.format(re.escape(entry_point)), code, re.MULTILINE):
        return f"{prelude}\n{code}"
    code = textwrap.dedent(code)
    return f"{prelude}\n{code}" if prelude and not compile_error(f"{prelude}\n{code}") else code


def _tested(meta: Mapping[str, Any]) -> set[str]:
    """The names under test."""
    if entry_point := meta.get("entry_point"):
        return {entry_point}
    try:
        return _asked(_tests(meta))
    except ValueError:
        return set()


def _asked(tests: list[dict[str, str]]) -> set[str]:
    """The names that asserts expect of the solution, apart from modules."""
    asserts = "\n".join(test["assert"] for test in tests if "assert" in test)
    modules = sys.stdlib_module_names & set(re.findall(r"\b(\w+)\.", asserts))
    return _unbound(asserts) - modules


def _with_imports(code: str, asked: set[str]) -> str:
    """The program with the imports that it lacks. What the tests ask of it is for the program to define."""
    homes = _homes()
    imports = []
    for name in sorted((_unbound(code) - asked) & {*homes, *_USUAL}):
        attributes = re.findall(rf"(?<![\w.]){name}\.(\w+)", code) if name in _USUAL else []
        of_module = name not in homes or any(hasattr(importlib.import_module(name), key) for key in attributes)
        imports.append(f"import {name}" if of_module else f"from {homes[name]} import {name}")
    if not imports:
        return code
    future = [node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    lines, start = code.split("\n"), max((node.end_lineno or 0 for node in future), default=0)
    return "\n".join([*lines[:start], *imports, *lines[start:]])


_USUAL = (
    *("math", "re", "sys", "itertools", "collections", "functools", "heapq", "bisect", "random", "string", "operator"),
    *("copy", "typing", "time", "datetime", "json", "fractions", "decimal", "statistics", "dataclasses", "enum", "abc"),
)
"""The modules whose names are imported for a solution that uses them; of two that have a name, the first."""


@cache
def _homes() -> dict[str, str]:
    """Each public name of the usual modules, but for those of built-ins -> its module."""
    homes: dict[str, str] = {}
    for name in _USUAL:
        module = importlib.import_module(name)
        public = getattr(module, "__all__", [key for key in vars(module) if key[0] != "_" and key not in _USUAL])
        homes |= {key: name for key in public if key not in homes and not hasattr(builtins, key)}
    return homes


def _unbound(code: str) -> set[str]:
    """The names that a program uses and that neither it nor Python binds; none where it does not compile."""
    if compile_error(code):
        return set()
    tables = [symtable.symtable(code, "solution.py", "exec")]
    used: set[str] = set()
    bound = set(vars(builtins)) | {"__name__"}
    for table in tables:
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table is tables[0] or symbol.is_global():
                used |= {symbol.get_name()} if symbol.is_referenced() else set()
                is_bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
                bound |= {symbol.get_name()} if is_bound else set()
    return used - bound


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
    unlike = [
        number
        for number, (line, other) in enumerate(zip(got, wanted, strict=False))
        if line != other and not (options.tolerance and _near(*_words(line, other), options.tolerance))
    ]
    if not unlike and len(got) == len(wanted):
        return Result(True)
    if not unlike:
        return Result(False, f"{len(got)} lines of output, not {len(wanted)}")
    line, other = got[unlike[0]], wanted[unlike[0]]
    difference = f"line {unlike[0] + 1} of the output is {line[:60]!r}, not {other[:60]!r}"
    of_digits = not options.tolerance and len(got) == len(wanted)
    if of_digits and all(_near(got[number].split(" "), wanted[number].split(" ")) for number in unlike):
        return Result(None, f"{difference}: the digits of floats differ; the option `tolerance` compares them by value")
    return Result(False, difference)


_DIGITS = 1e-9
"""Floats nearer to each other than this may be one value, computed or written in two ways."""
_NUMBER = re.compile(r"[+-]?+(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?+\d++)?+", re.ASCII)
_WHOLE = re.compile(r"[+-]?+\d++", re.ASCII)


def _words(line: str, wanted: str) -> tuple[list[str], list[str]]:
    """The words of two lines; where floats are wanted, the spaces between them do not matter."""
    floats = any(_NUMBER.fullmatch(word) and not _WHOLE.fullmatch(word) for word in wanted.split())
    return (line.split(), wanted.split()) if floats else (line.split(" "), wanted.split(" "))


def _near(words: list[str], wanted: list[str], tolerance: float = 0.0) -> bool:
    """Whether these are the same words, and the same numbers where a float is wanted. With a tolerance, a float may
    also stand for the whole number that it equals."""

    def near(word: str, other: str) -> bool:
        if word == other:
            return True
        if not (_NUMBER.fullmatch(word) and _NUMBER.fullmatch(other)):
            return False
        value, expected = float(word), float(other)
        if _WHOLE.fullmatch(other):
            return tolerance > 0 and not _WHOLE.fullmatch(word) and value == expected and abs(expected) < 2**53
        allowed = (tolerance or _DIGITS) * max(1.0, abs(expected))
        return math.isfinite(value) and math.isfinite(expected) and abs(value - expected) <= allowed

    return len(words) == len(wanted) and all(map(near, words, wanted))


def unfinished(ran: host.Ran, options: Sandboxed) -> Result | None:
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
        skipped = f", {results.count(NOT_RUN)} not run" if NOT_RUN in results else ""
        reason = f"{len(failed)} of {len(results)} tests failed{skipped}; first: {reason}"
    return Judgement(0.0 if failed else None, None, reason)


_boxes: dict[tuple[int, float, float, str], host.Sandbox] = {}
"""The warm sandboxes of this process (its id is in the key: a fork has none yet)."""


def warm(options: Sandboxed) -> host.Sandbox:
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
