"""A response is a program that comes to its end and prints something, and what it prints is its answer."""

import pytest
from byheart.errors import SandboxError
from byheart.types import Judgement, Problem
from byheart.verifiers import code
from byheart.verifiers.execution import Execution
from byheart.verifiers.sandbox import host

from tests.conftest import verdicts_by

pytestmark = pytest.mark.sandbox

EXECUTION = Execution(test_time_limit=1.0, test_memory=0.25)


def ran(program: str) -> Judgement:
    return EXECUTION.verify(Problem.of("2 + 2", "4", "number"), f"```python\n{program}\n```")


PRINTING = [
    ("print(2 + 2)", "4"),
    ("print('  a\\n b \\n\\n')", "a\n b"),
    ("print('→', flush=True)\nimport sys\nprint('noise', file=sys.stderr)\nsys.exit(0)", "→"),
    ("print('x' * 5000)", "x" * 2000),
]


@pytest.mark.parametrize(("program", "printed"), PRINTING)
def test_what_a_program_prints_is_its_answer_and_right_or_wrong_is_not_asked(program: str, printed: str) -> None:
    assert ran(program) == Judgement(1.0, printed)


FAILING = [
    ("x = 4", None, "it printed nothing"),
    ("print(' ')", None, "it printed nothing"),
    ("print(1)\nprint(1 / 0)", "1", "runtime error: ZeroDivisionError: division by zero"),
    ("raise ValueError('one\\ntwo')", None, "runtime error: two"),
    ("exit(3)", None, "runtime error: exit code 3"),
    ("print(4", None, "compile error: line 1: '(' was never closed"),
    ("print('a', flush=True)\nwhile True: pass", "a", "time limit of 1 s"),
    ("x = [0] * 10**9", None, "memory limit of 0.25 GiB"),
    ("print(input())", None, "runtime error: EOFError: EOF when reading a line"),
    ("", None, "no code in the response"),
]


@pytest.mark.parametrize(("program", "printed", "reason"), FAILING)
def test_one_that_fails_is_told_by_its_last_line(program: str, printed: str | None, reason: str) -> None:
    assert ran(program) == Judgement(0.0, printed, reason)


def test_text_is_no_program() -> None:
    judgement = EXECUTION.verify(Problem.of("2 + 2", "4", "number"), "The answer is 4.")
    assert judgement == Judgement(0.0, None, "no code in the response")


def test_a_sandbox_that_fails_says_nothing_about_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost:
        def run_program(self, program: str) -> host.Ran:
            return host.Ran("4", "", None, "lost")

    monkeypatch.setattr(code, "warm", lambda _: Lost())
    assert ran("print(4)").score is None


def test_half_a_surrogate_pair_and_control_characters_reach_no_file() -> None:
    strange = [
        "```python\nprint('\\ud800')\n```",
        "```python\nprint('\ud800')\n```",
        "```python\nimport os\nos.write(1, b'4 \\xff\\xed\\xa0\\x80')\n```",
        "```python\nraise SystemExit('\\x1b[31m \\ud800')\n```",
    ]
    verdicts = verdicts_by({"name": "execution"}, Problem.of("2 + 2", "4", "number"), strange)
    for verdict in verdicts:
        assert verdict.score is not None
        f"{verdict.answer} {verdict.reason}".encode()
        assert verdict.reason.isprintable()


def test_it_needs_the_sandbox_as_code_does_and_says_that_it_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host.check.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError, match="bubblewrap"):
        EXECUTION.check()
    weaker = Execution(isolation="rlimits")
    weaker.check()
    assert "only had to run" in EXECUTION.caveat()
    assert "not in a container" in weaker.caveat()
    host.check.cache_clear()
