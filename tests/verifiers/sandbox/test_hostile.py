"""Hostile solutions: none is judged right, none does harm, and the next honest one is judged as ever.

Every attack runs as the solution is loaded, when it is called, and as a program. Its answer is what it finds: one that
finds what is expected passes, and what it was not to see or do shows in the reason. Were there no sandbox, nothing here
would do lasting harm.
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import psutil
import pytest
from byheart.types import Judgement, Problem
from byheart.verifiers import code
from byheart.verifiers.sandbox import host

from tests.verifiers.sandbox.attacks import ATTACKS

pytestmark = pytest.mark.sandbox

OPTIONS = code.Code(test_time_limit=0.7, test_memory=0.25)
ANSWER = 40961
ASSERTS = [{"assert": f"assert f(3) == {ANSWER}"}, {"assert": f"assert abs(f(3) - {ANSWER}) < 1e-6"}]
PROGRAM = [{"input": "3\n", "output": f"{ANSWER}\n"}]

FOUND = r"""
def found(text):
    import re
    at = re.search(r"f\(3\) == (\d+)", text) or re.search(r'"output": "(\d+)', text)
    return int(at.group(1)) if at else [word for word in ["".join(["SEC", "RET"])] if word in text]
"""


class Outside(NamedTuple):
    """What a solution must not see or touch."""

    file: Path
    victim: psutil.Popen
    listener: socket.socket
    before: set[psutil.Process]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    code.close()  # what other tests have left warm
    before = set(psutil.Process().children(recursive=True))
    file = tmp_path_factory.mktemp("outside") / "tests.json"
    file.write_text(f"SECRET assert f(3) == {ANSWER}")
    os.environ["BYHEART_CANARY"] = "SECRET"
    scratch, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("scratch"))
    with (
        psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as victim,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        listener.setblocking(False)
        yield Outside(file, victim, listener, before)
        victim.kill()
    del os.environ["BYHEART_CANARY"]
    code.close()
    assert not set(psutil.Process().children(recursive=True)) - before
    assert not any(Path(tempfile.gettempdir()).iterdir())
    tempfile.tempdir = scratch


def hostile(attack: str, outside: Outside) -> str:
    """The attack, with the names of what it goes for."""
    names = {
        "CANARY": str(outside.file),
        "FOLDER": str(outside.file.parent),
        "PORT": outside.listener.getsockname()[1],
        "OWNER": str(os.getpid()),
        "VICTIM": str(outside.victim.pid),
        "CHECKER": str(Path(host.__file__).parent / "inside" / "checker.py"),
    }
    constants = "\n".join(f"{name} = {value!r}" for name, value in names.items())
    return f"{constants}\n{FOUND}\n{dedent(attack)}\n"


def judged(solution: str, tests: list[dict[str, str]], entry_point: str = "f") -> Judgement:
    problem = Problem.of("", None, "code", {"tests": tests, "entry_point": entry_point})
    return OPTIONS.verify(problem, f"```python\n{solution}\n```")


def assert_unharmed(outside: Outside, judgement: Judgement) -> None:
    assert judgement.score in (0.0, None), judgement
    words = ("SECRET", "WROTE", "FORKED", "MEMFD", "CHANGED", "SOCKET", "CONNECTED", "PROC", "SIGNALLED", "TRACED")
    for word in (*words, "FREED", "OUT", "LINKED", "SHADOWED", "SPAWNED"):
        assert word not in judgement.reason
    assert outside.file.read_text() == f"SECRET assert f(3) == {ANSWER}"
    assert [path.name for path in outside.file.parent.iterdir()] == ["tests.json"]
    assert outside.victim.poll() is None
    with pytest.raises(BlockingIOError):
        outside.listener.accept()
    ours = set(psutil.Process().children(recursive=True)) - outside.before
    assert len(ours - {outside.victim}) <= 2  # bwrap and the zygote
    assert judged(f"def f(x): return x + {ANSWER - 3}", ASSERTS).score == 1.0
    assert judged(f"print(int(input()) + {ANSWER - 3})", PROGRAM).score == 1.0


@pytest.mark.parametrize("name", ATTACKS)
def test_against_asserts(name: str, outside: Outside) -> None:
    attack = hostile(ATTACKS[name], outside)
    assert_unharmed(outside, judged(f"{attack}\ndef f(x): return attack()", ASSERTS))


@pytest.mark.parametrize("name", ATTACKS)
def test_as_it_is_loaded(name: str, outside: Outside) -> None:
    attack = hostile(ATTACKS[name], outside)
    assert_unharmed(outside, judged(f"{attack}\nanswer = attack()\ndef f(x): return answer", ASSERTS[:1]))


@pytest.mark.parametrize("name", ATTACKS)
def test_as_a_program(name: str, outside: Outside) -> None:
    attack = hostile(ATTACKS[name], outside)
    assert_unharmed(outside, judged(f"{attack}\nprint(attack())", PROGRAM))


@pytest.mark.parametrize(
    ("solution", "test"),
    [
        # Arithmetic would hand it what it is compared with, or take its word for the difference.
        (
            "class Z:\n  def __sub__(s, o): return s\n  def __len__(s): return 0\n  def __iter__(s): return iter(())\n"
            "  def __getitem__(s, i): raise IndexError\ndef f(x): return Z()",
            "assert list(f(3) - [1]) == []",
        ),
        ("class Z:\n  def __sub__(s, o): return type(s)()\n  def __len__(s): return 0\ndef f(x): return Z()",
         "assert len(f(3) - {1, 2}) == 0"),
        # A test that swallows everything does not make its own failure a pass.
        ("def f(x): return 1", "caught = False\ntry: f(object())\nexcept BaseException: caught = True\nassert caught"),
        # What a solution imports is not what a test runs.
        ("decode = eval\ndef encode(x): return '\"abc\"'", "assert decode(encode('abc')) == 'abc' and f(1)"),
        ("from os import _exit as f", "assert f(0) == 1"),
        ("class math:\n  isclose = lambda *_: True\ndef f(x): return 1", "assert math.isclose(f(3), 7)"),
        ("import builtins as math\ndef f(x): return 1", "assert math.isclose(f(3), 7)"),
        ("def abs(x): return 0\ndef f(x): return 1", "assert abs(f(3) - 7) < 1e-6"),
        ("def all(x): return True\ndef f(x): return 1", "assert all(f(x) == 7 for x in range(3))"),
        ("def check(f): pass\ndef f(x): return 1", "def check(g):\n  assert g(3) == 7\ncheck(f)"),
        # An error that ends a loop does not end the loops of a test.
        ("def f(x): raise StopIteration", "assert all(map(lambda x: f(x) == 7, range(3)))"),
        ("def f(x): raise StopIteration", "assert [*map(f, [])] == [] and list(map(f, [3])) == []"),
        ("def f(x): raise AssertionError", "assert f(3) == 7"),
        # Nor is an end of the process, or nonsense, the error that a test expects.
        ("import os\ndef f(x): os._exit(0)", "try: f(3)\nexcept: pass"),
        ("import os\ndef f(x): os.write(4, bytes(4))", "try: f(3)\nexcept: pass"),
        # Objects of the solution's own are not compared, in whatever way.
        ("class Y:\n  __iter__ = lambda y: iter([y])\n  __eq__ = lambda *_: 1\nf = lambda x: Y()", "assert 7 in f(3)"),
        ("class Y:\n  __mod__ = __sub__ = lambda *_: 0\ndef f(x): return Y()", "assert f(3) % 2 == 0"),
        ("class Y:\n  __bool__ = lambda _: True\ndef f(x): return Y()", "assert f(3)"),
        ("class Y(dict):\n  __getitem__ = get = lambda *_: 7\ndef f(x): return Y()", "assert f(3).get('a') == 7"),
        ("class Y(str):\n  startswith = lambda *_: True\ndef f(x): return Y()", "assert f(3).startswith('a')"),
        ("class Y(list):\n  __len__ = lambda _: 7\ndef f(x): return Y()", "assert len(f(3)) == 7"),
        ("class Y(type):\n  __instancecheck__ = lambda *_: True\nclass X(metaclass=Y): pass\ndef f(x): return 1",
         "assert isinstance(f(3), X)"),
        # Values that cost the checker more than they cost the solution.
        ("def f(x): return 2**(8 * 10**6)", "assert str(f(3)) == '7'"),
        ("def f(x):\n  y = []\n  for _ in range(10**5): y = [y]\n  return y", "assert f(3) == 7"),
        ("def f(x):\n  y = []\n  y.append(y)\n  return y", "assert f(3) == 7"),
        ("def f(x): return 'x' * 10**8", "assert f(3) == 7"),
        ("def f(x):\n  while True: yield 8", "assert 7 in f(3)"),
    ],
)  # fmt: skip
def test_tricks_on_a_test(solution: str, test: str, outside: Outside) -> None:
    assert_unharmed(outside, judged(solution, [{"assert": test}]))


def test_throughput_is_what_it_was(outside: Outside) -> None:
    """After all of the above in the same process, against a sandbox of a process that has seen none of it."""
    script = """
import time
from byheart.types import Problem
from byheart.verifiers import code
from tests.verifiers.sandbox.attacks import ATTACKS
options = code.Code(test_time_limit=1.0, test_memory=0.25)
problem = Problem.of("", None, "code", {"tests": [{"assert": "assert f(3) == 4"}, {"input": "", "output": "4"}]})
def rate():
    for _ in range(3):
        assert options.verify(problem, "```python\\ndef f(x): return x + 1\\nprint(4)\\n```").score == 1.0
    best = 9e9
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(10):
            options.verify(problem, "```python\\ndef f(x): return x + 1\\nprint(4)\\n```")
        best = min(best, time.perf_counter() - start)
    return best
"""
    names: dict[str, object] = {}
    exec(script, names)
    fresh = subprocess.run([sys.executable, "-c", f"{script}\nprint(rate())"], stdout=subprocess.PIPE, check=True)
    assert names["rate"]() < 2 * float(fresh.stdout)  # type: ignore[operator]  # what the script defined


def test_the_devices_of_the_host_keep_their_modes_and_no_attribute_takes_memory() -> None:
    attack = """
import os, stat
for path in ("/dev/null", "/dev/zero"):
    for change in (lambda: os.chmod(path, stat.S_IMODE(os.stat(path).st_mode)), lambda: os.utime(path)):
        try:
            change()
            print("done")
        except PermissionError:
            print("refused")
open("attributes", "w").close()
try:
    os.setxattr("attributes", "user.k", bytes(60000))
    print("done")
except PermissionError:
    print("refused")
"""
    with host.Sandbox() as box:
        assert box.run_program(attack).stdout.split() == ["refused"] * 5
