"""The sandbox does what honest programs need, says how they ended, and starts, restarts and goes as it should."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from byheart.errors import SandboxError
from byheart.verifiers.sandbox import host
from byheart.verifiers.sandbox.host import Limits, Outcome, Sandbox

pytestmark = pytest.mark.sandbox

LIMITS = Limits(seconds=2.0, memory=2**28, output=2**20)


@pytest.fixture(scope="module", params=["bubblewrap", "rlimits"])
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(LIMITS, request.param) as box:
        yield box


def passed(box: Sandbox, code: str, *tests: str, entry_point: str | None = None) -> list[bool | None]:
    return [outcome.passed for outcome in box.run_asserts(code, tests, entry_point)]


@pytest.mark.parametrize(
    ("code", "stdin", "stdout"),
    [
        ("print(int(input()) + 1)", "41", "42\n"),
        ("import sys\nsys.stdout.write(sys.stdin.read()[::-1])", "añ\u2192", "\u2192ña"),
        ("print(sum(map(int, open(0).read().split())))", "1 2\n" * 10000, "30000\n"),
        ("import threading\nt = threading.Thread(target=lambda: print(input()))\nt.start()", "x", "x\n"),
        ("import asyncio\nasync def f():\n  await asyncio.sleep(0)\n  print(7)\nasyncio.run(f())", "", "7\n"),
        (
            "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(50000))",
            "",
            "50000\n",
        ),
        ("import atexit\natexit.register(print, 'end')\nif __name__ == '__main__': print('main')", "", "main\nend\n"),
        ("open('x', 'w').write('y')\nprint(open('x').read())", "", "y\n"),
        ("import os\nprint(os.listdir('.'))", "", "[]\n"),
        ("print(sorted([*map(hash, 'ab')]) != 0, 'x' in globals())\nx = 1", "", "True False\n"),
        ("import numpy\nprint(numpy.arange(4).sum())", "", "6\n"),
        ("import dataclasses\n@dataclasses.dataclass\nclass A:\n  x: int\nprint(A(1))", "", "A(x=1)\n"),
    ],
)
def test_a_program_runs_as_it_would_alone(box: Sandbox, code: str, stdin: str, stdout: str) -> None:
    assert box.run_program(code, stdin) == host.Ran(stdout, "", 0, "exited")


@pytest.mark.parametrize(
    ("code", "ended", "exit_code", "stderr"),
    [
        ("exit(3)", "exited", 3, ""),
        ("import sys\nsys.exit('no')", "exited", 1, "no\n"),
        ("print(1 / 0)", "exited", 1, "ZeroDivisionError: division by zero\n"),
        ("def f(", "exited", 1, "SyntaxError: '(' was never closed\n"),
        ("x = [0] * 10**9", "memory", 1, "MemoryError\n"),
        ("while True: pass", "timeout", None, ""),
        ("while True: print('x' * 1000)", "output", None, ""),
        ("import ctypes\nctypes.string_at(0)", "killed", None, ""),
    ],
)
def test_how_a_program_ended(box: Sandbox, code: str, ended: str, exit_code: int | None, stderr: str) -> None:
    ran = box.run_program(code)
    assert (ran.ended, ran.exit_code) == (ended, exit_code)
    assert ran.stderr.endswith(stderr)
    assert len(ran.stdout) <= LIMITS.output


def test_a_failing_program_names_its_own_line_only(box: Sandbox) -> None:
    assert box.run_program("x = 1\n\nx.y").stderr.split("\n")[1:-2] == ['  File "solution.py", line 3, in <module>']


def test_each_assert_has_its_own_outcome(box: Sandbox) -> None:
    tests = ["assert f(1) == 2", "assert f(2) == 4", "assert 9 == f(3)", "assert f('x')", "assert not f(1), 'why'"]
    assert box.run_asserts("def f(x):\n  return x + 1", tests) == [
        Outcome(True),
        Outcome(False, "assert f(2) == 4: got 3"),
        Outcome(False, "assert 9 == f(3): got 4"),
        Outcome(
            False, "assert f('x'): TypeError: can only concatenate str (not \"int\") to str (line 2 of the solution)"
        ),
        Outcome(False, "assert not f(1), 'why': why"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        *[
            "None",
            "True",
            "7",
            "-(10**30)",
            "1.5",
            "float('inf')",
            "2 + 3j",
            "'a\\ud800→'",
            "b'\\x00'",
            "bytearray(b'x')",
        ],
        *["[1, [2, (3, {4})]]", "{1: 'a', (2, 3): {'b': None}}", "frozenset({1})", "range(1, 9, 2)", "()", "[]", "{}"],
        *["decimal.Decimal('1.10')", "fractions.Fraction(1, 3)", "datetime.datetime(2024, 1, 2, 3)"],
        *["datetime.date(2024, 1, 2)", "datetime.timedelta(1, 2, 3)", "collections.deque([1, 2])", "10**5000"],
    ],
)
def test_plain_data_passes_both_ways_as_it_is(box: Sandbox, value: str) -> None:
    solution = f"import collections, datetime, decimal, fractions\ndef f(x):\n  assert x == {value}\n  return x"
    test = f"import collections, datetime, decimal, fractions\nassert f({value}) == {value}"
    kind = "assert type(f(x := eval(compile(VALUE, '', 'eval')))) is type(x)".replace("VALUE", repr(value))
    assert passed(box, solution, test, kind) == [True, True]


PAIR = """
class Pair:
    def __init__(self, a, b): self.a, self.b = a, b
    def __add__(self, other): return Pair(self.a + other.a, self.b + other.b)
    def __len__(self): return 2
    def __iter__(self): return iter((self.a, self.b))
    def __str__(self): return f"<{self.a} {self.b}>"
    def swap(self): self.a, self.b = self.b, self.a
def widest(pairs): return max(pairs, key=lambda pair: pair.b - pair.a)
def same(pair): return pair
"""


@pytest.mark.parametrize(
    "test",
    [
        "assert widest([Pair(1, 4), Pair(2, 9), Pair(3, 4)]).b == 9",
        "assert (Pair(1, 2) + Pair(3, 4)).b == 6",
        "p = Pair(1, 2)\np.swap()\nassert p.a == 2 and p.b == 1",
        "p = Pair(1, 2)\np.a = [7]\nassert p.a == [7] and list(p) == [[7], 2] and len(p) == 2 and str(p) == '<[7] 2>'",
        "p = Pair(1, Pair(2, None))\nassert p.b.b is None and p.b.a == 2 and same(p) is p and hasattr(p, 'a')",
        "assert not hasattr(Pair(1, 2), 'c')",
    ],
)
def test_objects_of_the_solution_can_be_used(box: Sandbox, test: str) -> None:
    assert passed(box, PAIR, test) == [True]


def test_an_object_of_the_solution_is_not_compared(box: Sandbox) -> None:
    assert box.run_asserts(PAIR, ["assert Pair(1, 2) == Pair(1, 2)"]) == [
        Outcome(False, "assert Pair(1, 2) == Pair(1, 2): TypeError: the solution gave a Pair, which can't be compared")
    ]


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(x): x.sort()", "x = [3, 1, 2]\nf(x)\nassert x == [1, 2, 3]"),
        ("def f(x): x[0].append(1); del x[1:]", "x = [[], 2]\nf(x)\nassert x == [[1]]"),
        ("def f(x): x['a'] = 1", "x = {}\nf(x)\nassert x == {'a': 1}"),
        ("def f(g, x): return g(g(x))", "assert f(lambda x: x * 2, 3) == 12 and f(str, 3) == '3'"),
        ("def f(g):\n  try: g()\n  except ValueError as e: return str(e)", "assert f(lambda: int('x'))[:3] == 'inv'"),
        ("def f(): yield from range(9)", "assert [x for x, _ in zip(f(), 'ab')] == [0, 1] and max(f()) == 8"),
        ("def f():\n  yield 1", "g = f()\nassert next(g) == 1 and next(g, 5) == 5"),
        ("def f(x): raise KeyError(x)", "try:\n  f(1)\n  assert False\nexcept KeyError: pass"),
        ("class E(ValueError): pass\ndef f(): raise E('m')", "try: f()\nexcept ValueError as e: assert str(e) == 'm'"),
        ("from collections import Counter\ndef f(x): return Counter(x)", "assert f('aa') == Counter('aa') == {'a': 2}"),
        ("import math as m\ndef f(x): return m.sqrt(x)", "assert m.isclose(f(4), 2)"),
        ("import numpy as np\ndef f(x): return np.array(x) * 2", "assert f([1, 2]) == [2, 4]"),
        ("limit = [7]\ndef f(): return sum(limit)", "assert f() == 7 and limit == [7]"),
        ("def f(*a, b=0): return a, b", "assert f(1, 2, b=3) == ((1, 2), 3)"),
        ("count = 0\ndef f():\n  global count\n  count += 1\n  return count", "assert f() == 1\nassert f() == 2"),
        ("def f(x): return x", "def check(g):\n  for x in range(3): assert g(x) == x\ncheck(f)"),
    ],
)  # fmt: skip
def test_what_tests_do(box: Sandbox, code: str, test: str) -> None:
    assert box.run_asserts(code, [test]) == [Outcome(True)]


def test_tests_share_a_namespace_that_the_solution_does_not_see(box: Sandbox) -> None:
    assert (
        passed(box, "def f(): return sorted(globals())[-1]", "z = 3", "assert z == 3", "assert f() == 'f'")
        == [True] * 3
    )


def test_a_built_in_name_is_pythons_unless_it_is_what_is_tested(box: Sandbox) -> None:
    code = "def sum(a, b): return a + b"
    assert passed(box, code, "assert sum(10, 15) == 25") == [False]
    assert passed(box, code, "assert sum(10, 15) == 25", entry_point="sum") == [True]


def test_what_can_not_be_passed_on_is_unjudged(box: Sandbox) -> None:
    code, test = "def f(x): return 1", "class Node: pass\ntry: f(Node())\nexcept BaseException as e: raise"
    assert box.run_asserts(code, [test, "assert f(1) == 1"]) == [
        Outcome(None, "the test passes a Node to the solution, which is impossible"),
        Outcome(True),
    ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = 1\ny = x / 0", "ZeroDivisionError: division by zero (line 2 of the solution)"),
        ("import sys\nsys.exit(0)", "SystemExit: 0 (line 2 of the solution)"),
        ("import os\nos._exit(0)", "the solution ended its process"),
    ],
)
def test_a_solution_that_does_not_load_fails_every_test(box: Sandbox, code: str, reason: str) -> None:
    assert box.run_asserts(code, ["assert f(1)"] * 2) == [Outcome(False, reason, "not loaded")] * 2


def test_a_test_that_is_no_python_is_no_verdict(box: Sandbox) -> None:
    outcomes = box.run_asserts("def f(x): return x", ["assert f(1) == 1", "assert f(1) =="])
    assert [(outcome.passed, outcome.ended) for outcome in outcomes] == [(None, "malformed")] * 2


def test_nothing_is_run_after_a_test_that_is_over_its_time() -> None:
    with Sandbox(Limits(seconds=0.3)) as box:
        code = "def f(x):\n  while x > 1: pass\n  return x"
        assert box.run_asserts(code, [f"assert f({x}) == {x}" for x in (1, 2, 0)]) == [
            Outcome(True),
            Outcome(False, "", "timeout"),
            Outcome(None, "", "not run"),
        ]
        assert box.run_asserts("while True: pass", ["assert f(1)"]) == [
            Outcome(False, "loading the solution", "timeout")
        ]
        assert box.run_asserts("def f(x): return x", ["while True: f(1)"]) == [Outcome(False, "", "timeout")]
        assert box.run_asserts("def f(x): return x", ["assert f(1)"]) == [Outcome(True)]


def processes() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_the_container_stays_warm_and_is_replaced_once_its_tmp_was_touched() -> None:
    with Sandbox(LIMITS) as box:
        before = processes()
        box.run_program("1")
        warm = set(processes()) - set(before)
        box.run_asserts("def f(): return 1", ["assert f() == 1"])
        assert set(processes()) - set(before) == warm != set()
        box.run_program("import os\nopen('x', 'w').close()\nos.remove('x')")
        assert box.run_program("print(1)").stdout == "1\n"
        assert not (set(processes()) & warm)
    assert not set(processes()) - set(before)
    box.close()


def test_a_container_that_dies_costs_the_check_it_was_at() -> None:
    with Sandbox(LIMITS) as box:
        before = processes()
        assert box.run_program("print(1)").stdout == "1\n"
        kill(set(processes()) - set(before))
        time.sleep(0.2)
        assert box.run_program("print(2)").stdout == "2\n"  # died between two checks: none is lost
        later = threading.Timer(0.3, lambda: kill(set(processes()) - set(before)))
        later.start()
        assert box.run_program("import time; time.sleep(1.5)").ended == "lost"
        later.join()
        later = threading.Timer(0.3, lambda: kill(set(processes()) - set(before)))
        later.start()
        assert [one.ended for one in box.run_asserts("import time; time.sleep(1.5)", ["assert 1"])] == ["lost"]
        later.join()
        assert box.run_program("print(3)").stdout == "3\n"


def kill(those: set[psutil.Process]) -> None:
    for process in those:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize("isolation", ["bubblewrap", "rlimits"])
def test_nothing_outlives_an_owner_that_is_killed(isolation: str, tmp_path: Path) -> None:
    script = f"""
from byheart.verifiers.sandbox.host import Sandbox
box = Sandbox(isolation="{isolation}")
assert box.run_program("print(1)").stdout == "1\\n"
print("begun", flush=True)
box.run_program("import time\\nwhile True: time.sleep(1)")
"""
    env = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=env) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        time.sleep(0.3)
        children = psutil.Process(owner.pid).children(recursive=True)
        assert len(children) == {"bubblewrap": 3, "rlimits": 2}[isolation]
        os.kill(owner.pid, signal.SIGKILL)
    assert psutil.wait_procs(children, timeout=5)[1] == []
    for left in tmp_path.iterdir():
        assert isolation == "rlimits"
        left.rmdir()  # of rlimits an empty directory is left


def test_without_bubblewrap_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.check.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        host.check("bubblewrap")
    with pytest.raises(SandboxError, match="dnf install bubblewrap"), Sandbox() as box:
        box.run_program("print(1)")
    host.check("rlimits")


def test_where_bubblewrap_does_not_start_it_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    before = processes()
    with pytest.raises(SandboxError, match="setting up uid map: Permission denied") as raised, Sandbox() as box:
        box.run_asserts("def f(): return 1", ["assert f()"])
    assert "isolation: rlimits" in str(raised.value)
    assert processes() == before


def test_without_libseccomp_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    host.syscall_filter.cache_clear()
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(SandboxError, match="libseccomp"), Sandbox(isolation="rlimits") as box:
        box.run_program("print(1)")


def test_the_sandbox_of_this_machine_is_there() -> None:
    host.check.cache_clear()
    host.check("bubblewrap")


def test_rlimits_still_refuses_processes_sockets_and_signals_and_tidies_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Sandbox(LIMITS, "rlimits") as box:
        for code in ("os.fork()", "os.kill(os.getppid(), 0)", "socket.socket()", "os.execv('/bin/true', ['true'])"):
            assert "PermissionError" in box.run_program(f"import os, socket\n{code}").stderr
        code = "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').close()\nprint(os.getcwd())"
        assert Path(box.run_program(code).stdout.strip()).name.startswith("byheart-")
        assert not list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_honest_solutions_that_use_more_of_the_language() -> None:
    cases = {
        "from collections import OrderedDict\nclass LRU(OrderedDict):\n    def put(self, k, v): self[k] = v\n"
        "    def first(self): return next(iter(self))": "c = LRU()\nc.put(1, 2)\nassert c.first() == 1",
        "class P:\n    def __init__(self, x): self.x = x\n"
        "def f(g, p): return g(p)": "assert f(lambda p: p.x, P(5)) == 5",
        "def f(d): return d['a']": "try: f({})\nexcept KeyError as e: assert e.args[0] == 'a'",
    }
    with Sandbox(LIMITS) as box:
        for solution, test in cases.items():
            assert box.run_asserts(solution, [test]) == [Outcome(True)], solution
