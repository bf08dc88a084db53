"""A solution is right where it passes all of its problem's tests, and what it fails at is said."""

import json
import os
import time
from typing import Any

import psutil
import pytest
from byheart.errors import SandboxError
from byheart.types import Judgement, Problem
from byheart.verifiers import code
from byheart.verifiers.code import Code
from byheart.verifiers.sandbox import host

CODE = Code(test_time_limit=1.0, test_memory=0.25)
pytestmark = pytest.mark.sandbox

ADD = "def add(a, b):\n    return a + b\n"


def judged(response: str, *tests: Any, **meta: Any) -> Judgement:
    return CODE.verify(Problem.of("", None, "code", {"tests": list(tests), **meta}), response)


def on(given: str, expected: str) -> dict[str, str]:
    return {"input": given, "output": expected}


def says(statement: str) -> dict[str, str]:
    return {"assert": statement}


def test_one_that_passes_all_is_right() -> None:
    assert judged(f"```python\n{ADD}```", says("assert add(1, 2) == 3"), says("assert add('a', 'b') == 'ab'")) == (
        Judgement(1.0, ADD)
    )
    program = "```python\na, b = map(int, input().split())\nprint(a + b)\n```"
    assert judged(program, on("1 2", "3"), on("2 2\n", "4\n"))[::2] == (1.0, "")


FAILING = [
    ("I can't do that.", [says("assert add(1, 2) == 3")], "no code in the response"),
    ("", [on("", "")], "no code in the response"),
    ("```python\n\n```", [on("", "")], "no code in the response"),
    ("```python\nx = 1\ndef f(:\n```", [on("", "")], "compile error: line 2: invalid syntax"),
    ("```python\nreturn 1\n```", [on("", "")], "compile error: line 1: 'return' outside function"),
    ("```python\nx = 1\nx.y\n```", [on("", "")],
     "test 1: runtime error: AttributeError: 'int' object has no attribute 'y'"),
    ("```python\nexit(3)\n```", [on("", "")], "test 1: runtime error: exit code 3"),
    ("```python\nprint(4)\n```", [on("", "4"), on("", "5")],
     "1 of 2 tests failed; first: test 2: line 1 of the output is '4', not '5'"),
    ("```python\nprint(4)\n```", [on("", "4\n5\n6")], "test 1: 1 lines of output, not 3"),
    ("```python\nwhile True: pass\n```", [on("", "4"), on("", "5")],
     "1 of 2 tests failed, 1 not run; first: test 1: time limit of 1 s"),
    ("```python\nx = [0] * 10**9\n```", [on("", "4")], "test 1: memory limit of 0.25 GiB"),
    ("```python\nwhile True: print('x' * 9999)\n```", [on("", "4")], "test 1: too much output"),
    (f"```python\n{ADD}```", [says("assert add(1, 2) == 3"), says("assert add(1, 2) == 4")],
     "1 of 2 tests failed; first: test 2: assert add(1, 2) == 4: got 3"),
    (f"```python\n{ADD}```", [says("assert add(1, None) == 3")],
     "test 1: assert add(1, None) == 3: TypeError: unsupported operand type(s) for +: 'int' and 'NoneType' "
     "(line 2 of the solution)"),
    (f"```python\n{ADD}```", [says("assert sub(1, 2) == 3")],
     "test 1: assert sub(1, 2) == 3: NameError: name 'sub' is not defined"),
    (f"```python\n{ADD}1 / 0\n```", [says("assert add(1, 2) == 3")],
     "test 1: the solution does not load: ZeroDivisionError: division by zero (line 3 of the solution)"),
    ("```python\ndef add(a, b):\n    while True: pass\n```", [says("assert add(1, 2) == 3"), says("assert add")],
     "1 of 2 tests failed, 1 not run; first: test 1: time limit of 1 s"),
    ("```python\nprint(4)\n```", [says("assert 2 == 2"), on("", "5"), on("", "4")],
     "1 of 3 tests failed; first: test 2: line 1 of the output is '4', not '5'"),
]  # fmt: skip


@pytest.mark.parametrize(("response", "tests", "reason"), FAILING)
def test_one_that_does_not_is_wrong_and_told_why(response: str, tests: list[Any], reason: str) -> None:
    judgement = judged(response, *tests)
    assert (judgement.score, judgement.reason) == (0.0, reason)


PRINTED = [
    ("4", "4\n", True),
    ("4 \n\n", "4", True),
    ("1  \n2", "1\n2\n", True),
    ("4.0", "4", False),
    (" 4", "4", False),
    ("1\n\n2", "1\n2", False),
    ("YES", "yes", False),
    ("", "", True),
]


@pytest.mark.parametrize(("printed", "expected", "right"), PRINTED)
def test_output_is_compared_but_for_space_at_the_ends_of_lines(printed: str, expected: str, right: bool) -> None:
    assert judged(f"```python\nprint({printed!r})\n```", on("", expected)).score == float(right)


PRELUDE = {"entry_point": "add", "prelude": 'from math import floor\n\ndef add(a, b):\n    """The sum."""'}


COMPLETING = [
    "    return floor(a + b)",
    "```python\n    return floor(a + b)\n```",
    "```python\nfrom math import floor\ndef add(a, b):\n    return floor(a + b)\n```",
    "```python\nadd = lambda a, b: a + b\n```",
]


@pytest.mark.parametrize("response", COMPLETING)
def test_what_does_not_define_the_entry_point_completes_the_prelude(response: str) -> None:
    assert judged(response, says("assert add(1, 2) == 3"), **PRELUDE).score == 1.0
    assert judged(response, says("assert add(1, 2) == 4"), **PRELUDE).score == 0.0


SHAPES: list[dict[str, Any]] = [
    {"tests": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]},
    {"tests": ["import math\nassert add(1, 2) == math.isqrt(9)"]},
    {"tests": json.dumps([{"assert": "assert add(1, 2) == 3"}, {"assert": "assert add(0, 0) == 0"}])},
    {"tests": json.dumps(["assert add(1, 2) == 3"])},
    {"test_list": ["assert add(1, 2) == 3"]},
    {"test_list": ["assert add(1, 2) == isqrt(9)"], "test_imports": ["from math import isqrt"]},
    {"test_list": ["assert add(1, 2) == isqrt(9)"], "test_imports": "from math import isqrt"},
    {"test_list": ["assert add(one, 2) == 3"], "test_setup_code": "one = 1"},
    {"test_list": ["    assert add(1, 2) == 3"], "test_setup_code": "if True:"},
    {"tests": ["def test_add():\n    assert add(1, 2) == 3\ntest_add()"]},
    {"tests": [{"assert": "if add(1, 2) != 3: raise ValueError"}]},
]
"""Tests of a sum, as data sets have them."""


def test_what_stands_before_a_test_is_written_as_it_always_was() -> None:
    row = {"test_imports": ["import math", "import re"], "test_setup_code": ""}
    assert code.assertion("assert f(1)", row) == {"assert": "import math\nimport re\nassert f(1)"}
    assert code.assertion("assert f(1)", row | {"test_setup_code": "n = 1"})["assert"].splitlines()[2] == "n = 1"
    assert code.assertion("assert f(1)", {"test_imports": [], "test_setup_code": ""}) == {"assert": "assert f(1)"}


@pytest.mark.parametrize("meta", SHAPES, ids=str)
def test_tests_are_run_in_whatever_shape_a_data_set_has_them(meta: dict[str, Any]) -> None:
    problem = Problem.of("", None, "code", meta)
    assert CODE.unreadable(problem) is None
    assert CODE.verify(problem, f"```python\n{ADD}```").score == 1.0
    assert CODE.verify(problem, "```python\ndef add(a, b):\n    return a - b\n```").score == 0.0


def test_what_is_tested_may_be_named_like_something_built_in() -> None:
    response = "```python\ndef sum(a, b): return a + b\n```"
    assert judged(response, says("assert sum(1, 2) == 3"), entry_point="sum").score == 1.0


def test_a_test_that_is_no_python_is_not_judged() -> None:
    judgement = judged(f"```python\n{ADD}```", says("assert add(1, 2) =="))
    assert judgement.score is None
    assert "not Python" in judgement.reason


def test_no_sandbox_is_no_verdict_and_is_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    host.check.cache_clear()
    CODE.check()
    host.check.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        CODE.check()
    Code(isolation="rlimits").check()


def test_a_weaker_isolation_works_by_its_name_and_is_said_to_be_weaker() -> None:
    weaker = Code(isolation="rlimits", test_time_limit=1.0)
    problem = Problem.of("", None, "code", {"tests": [says("assert add(1, 2) == 3")]})
    assert weaker.verify(problem, f"```python\n{ADD}```").score == 1.0
    assert CODE.caveat() is None
    assert "not in a container" in str(weaker.caveat())


def test_the_sandbox_stays_warm_from_one_response_to_the_next_and_is_not_shared_with_a_fork() -> None:
    judged(f"```python\n{ADD}```", says("assert add(1, 2) == 3"))
    warm = set(psutil.Process().children(recursive=True))
    judged("```python\nprint(4)\n```", on("", "4"))
    assert not set(psutil.Process().children(recursive=True)) - warm
    pid = os.fork()
    if pid == 0:
        score = judged("```python\nprint(4)\n```", on("", "4")).score
        own = psutil.Process().children(recursive=True)
        code.close()
        os._exit(0 if score == 1.0 and own and not set(own) & warm else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert judged("```python\nprint(4)\n```", on("", "4")).score == 1.0
    assert not set(psutil.Process().children(recursive=True)) - warm


def test_what_the_prelude_imports_is_there_for_a_solution_that_is_whole() -> None:
    stub = 'from typing import List\n\n\ndef total(numbers: List[int]) -> int:\n    """Their sum."""\n'
    meta = {"tests": [{"assert": "assert total([1, 2]) == 3"}], "entry_point": "total", "prelude": stub}
    problem = Problem("", "", None, "code", meta)
    for whole in (
        "def total(numbers: List[int]) -> int:\n    return sum(numbers)",
        "from __future__ import annotations\ndef total(numbers: List[int]) -> int:\n    return sum(numbers)",
        "    return sum(numbers)",
    ):
        assert Code().verify(problem, f"```python\n{whole}\n```").score == 1.0
    assert Code().verify(problem, f"```python\n{stub}\n```").score == 0.0


def test_an_example_of_its_use_after_the_solution_does_not_hide_it() -> None:
    problem = Problem("", "", None, "code", {"tests": [says("assert add(1, 2) == 3")], "entry_point": "add"})
    response = f"```python\n{ADD}```\nUse it so:\n```python\nprint(add(1, 2))\n```"
    assert CODE.verify(problem, response).score == 1.0


DOUBLE = "def double(n):\n    return 2 * n\n"
DOCUMENTED = '''def double(n):
    """Twice a number.

    ```
    double(2)
    ```
    """
    return 2 * n
'''
ENCLOSED = {
    "a fence in a docstring": f"```python\n{DOCUMENTED}```",
    "no fence but that in a docstring": DOCUMENTED,
    "a longer fence": f'````python\n{DOUBLE}QUOTED = """```\n```"""\n````',
    "tildes": f"So:\n~~~python\n{DOUBLE}~~~",
    "a list item": "1. So:\n\n   ```python\n   def double(n):\n       return 2 * n\n   ```\n2. Done.",
    "a list item that the code is not indented with": f"1. So:\n   ```python\n{DOUBLE}   ```\n",
    "an indented fence": "So:\n    ```python\n    def double(n):\n        return 2 * n\n    ```",
    "a fence that nothing closes": f"```python\n{DOUBLE}",
    "a fence after a word": f"Sure!```python\n{DOUBLE}```\nUse it:\n```python\nprint(double(2))\n```",
    "a fence that closes after a word": "```python\ndef double(n):\n    return 2 * n```\nThat is all.",
    "tags": f"Sure: [PYTHON]\n{DOUBLE}[/PYTHON] It doubles.",
    "the tags of MBPP": f"[BEGIN]\n{DOUBLE}[DONE]\nAnd more:\n[BEGIN]\ndef other(): pass\n[DONE]",
    "the last tag alone": f"{DOUBLE}[DONE]\nYou are an expert.",
    "a span": "`def double(n): return 2 * n`",
    "an indented block": "So:\n\n    def double(n):\n        return 2 * n\n\nThat is all.",
    "a use of it after it": f"```python\n{DOUBLE}```\n```python\nassert double(3) == 6\n```\n```\n6\n```",
    "a session after it": f"```python\n{DOUBLE}```\n```python\n>>> double(3)\n6\n```",
    "a better one that is not marked": f"```python\ndef double(n):\n    return n\n```\n~~~\n{DOUBLE}~~~",
    "a later one that is cut off": f"```python\n{DOUBLE}```\n```python\ndef double(n):\n    return (2 *",
}


@pytest.mark.parametrize("response", ENCLOSED.values(), ids=ENCLOSED.keys())
def test_the_program_is_read_from_a_response_as_people_write_them(response: str) -> None:
    assert judged(response, says("assert double(2) == 4")).score == 1.0
    assert (
        judged(response.replace("2 * n", "3 * n").replace("(2 *", "(3 *"), says("assert double(2) == 4")).score == 0.0
    )


@pytest.mark.parametrize(
    "unit", ["`", "```\n", "- ", "- a\n  ", "> ```\na\n", "> a\nb\n", "a```\n", "[BEGIN] ", "(", "\ta\n"]
)
def test_no_response_takes_long_to_read(unit: str) -> None:
    problem = Problem.of("", None, "code", {"tests": ["assert double(2) == 4"]})
    started = time.process_time()
    assert CODE.verify(problem, (unit * 50_000)[:50_000]).score == 0.0
    assert time.process_time() - started < 10


WITHOUT_IMPORTS = [
    ("def f(x):\n    return deque(x, maxlen=1)[0]", 3, "from collections import deque\n"),
    ("def f(x):\n    return math.prod(x)", 6, "import math\n"),
    ("def f(x):\n    return copy.copy(x)[-1]", 3, "import copy\n"),
    ("def f(x):\n    return copy(x)[-1]", 3, "from copy import copy\n"),
    ("def f(x: List[int]) -> int:\n    return gcd(*x)", 1, "from typing import List\nfrom math import gcd\n"),
    ("def f(x):\n    return datetime(1, *x[1:]).day", 3, "from datetime import datetime\n"),
    ("def f(x):\n    return datetime.date(1, *x[1:]).day", 3, "import datetime\n"),
    ("def f(x):\n    return pow(x[1], x[2])", 8, ""),
    ("def f(x):\n    count = len(x)\n    return count", 3, ""),
]


@pytest.mark.parametrize(("program", "value", "imports"), WITHOUT_IMPORTS)
def test_usual_imports_that_a_solution_lacks_are_made_before_asserts(program: str, value: int, imports: str) -> None:
    judgement = judged(f"```python\n{program}\n```", says(f"assert f([1, 2, 3]) == {value}"))
    assert (judgement.score, judgement.answer) == (1.0, f"{imports}{program}\n")
    assert judged(f"```python\n{program}\n```", says("assert f([1, 2, 3]) == -1")).score == 0.0


def test_imports_from_the_future_stay_first() -> None:
    program = "from __future__ import annotations\ndef f(x: List[int]) -> int:\n    return prod(x)"
    judgement = judged(f"```python\n{program}\n```", says("assert f([1, 2, 3]) == 6"))
    assert judgement.score == 1.0
    assert str(judgement.answer).startswith("from __future__ import annotations\nfrom math import prod\n")


def test_names_of_no_module_and_names_under_test_are_not_imported() -> None:
    judgement = judged("```python\ndef f(x):\n    return helper(x)\n```", says("assert f(1) == 1"))
    assert "NameError: name 'helper' is not defined" in judgement.reason
    judgement = judged("```python\nprint(gcd(4, 6))\n```", says("assert gcd(4, 6) == 2"))
    assert "NameError: name 'gcd' is not defined" in judgement.reason
    judgement = judged("```python\nprint(math.gcd(4, 6))\n```", on("", "2"))
    assert "NameError: name 'math' is not defined" in judgement.reason


WITHIN = [
    ("0.30000000000000004", "0.3", True),
    ("1.2500e+03", "1250.0", True),
    ("3", "3.0", True),
    ("3.0", "3", True),
    ("3.0000001", "3", False),
    ("4", "3", False),
    ("1000000.5", "1000000.0", True),
    ("0.301", "0.3", False),
    ("x 0.30001  2.0", "x 0.3 2.0", False),
    ("x 0.3000001  2.0", "x 0.3 2.0", True),
    ("y 0.3", "x 0.3", False),
    ("0.3", "0.3 0.3", False),
    ("0.3 0.3", "0.3\n0.3", False),
    ("0.3", "0.3\n0.3", False),
    ("nan", "0.3", False),
    ("inf", "1e999", False),
]


@pytest.mark.parametrize(("printed", "expected", "right"), WITHIN)
def test_with_a_tolerance_floats_are_compared_by_value(printed: str, expected: str, right: bool) -> None:
    problem = Problem.of("", None, "code", {"tests": [on("", expected)]})
    tolerant = Code(test_time_limit=1.0, tolerance=1e-6)
    assert tolerant.verify(problem, f"```python\nprint({printed!r})\n```").score == float(right)


DIGITS = [
    ("0.30000000000000004", "0.3", None),
    ("x 2.50", "x 2.5", None),
    ("0.3 4.0", "0.3 4", 0.0),
    ("0.3000001", "0.3", 0.0),
    ("0.30  1", "0.3 1", 0.0),
    ("0.3\n1", "0.30\n2", 0.0),
]


@pytest.mark.parametrize(("printed", "expected", "score"), DIGITS)
def test_without_one_the_last_digits_of_floats_decide_nothing(printed: str, expected: str, score: float | None) -> None:
    judgement = judged(f"```python\nprint({printed!r})\n```", on("", expected))
    assert judgement.score == score
    assert ("`tolerance`" in judgement.reason) == (score is None)
