"""The model of these tests writes programs; the sandbox that runs them is the real one."""

from collections.abc import Iterator
from typing import Any

import pytest
from byheart.config import recipe
from byheart.errors import SandboxError
from byheart.types import Problem, Rollout, Verdict
from byheart.verifiers.sandbox import host

from tests.fakes import PLAIN, SUM, FakeVerifier, attempts, ends_right, saying, summary, text

OPTIONS = {"name": "program", "prompt": "{problem} Write!", "retry_prompt": "{error}|{output}|Mend!", "samples": 1}
RIGHT = "```python\nanswer = 2 + 2\nprint(answer)\n```"
WRONG = "So:\n```python\nprint('x is')\nprint(x)\n```"


def failing_first(prompt: str) -> str:
    return RIGHT if "Mend!" in prompt else WRONG


@pytest.mark.sandbox
def test_an_error_is_shown_to_the_model_whose_fixed_program_prints_the_answer() -> None:
    teacher = saying(failing_first)
    ended = attempts(SUM, teacher, OPTIONS)
    assert teacher.prompts == [
        ["USER: What is 2 + 2? Write!"],
        [
            f"USER: What is 2 + 2? Write!\nASSISTANT: {WRONG}\n"
            "USER: runtime error: NameError: name 'x' is not defined|x is|Mend!"
        ],
    ]
    assert summary(ended.rollouts) == [("4", "fixed", True)]
    assert ended.rollouts[0].num_tokens == len(RIGHT.split()) + 1 < ended.num_tokens
    assert [(verdict.score, verdict.verifier[:7]) for verdict in ended.verdicts] == [(1.0, "number@")]


@pytest.mark.sandbox
def test_several_programs_are_written_at_once_and_only_those_that_fail_are_fixed() -> None:
    written = iter([RIGHT, WRONG, "I can't.", "```python\nprint(5)\n```"])
    no_code = "no code in the response|nothing|Mend!"
    teacher = saying(lambda prompt: next(written) if "Mend!" not in prompt else WRONG if no_code in prompt else RIGHT)
    ended = attempts(SUM, teacher, OPTIONS | {"samples": 4})
    assert (len(teacher.turns[0]), len(teacher.taken)) == (4, 6), "which is fixed first is up to the sandbox"
    assert sum(no_code in text(request.prompt) for request in teacher.taken) == 1
    assert summary(ended.rollouts) == [
        ("4", "ran", True),
        ("4", "fixed", True),
        ("", "failed", False),
        ("5", "ran", True),
    ]
    assert [[step.text for step in rollout.steps] for rollout in ended.rollouts] == [
        [RIGHT],
        [WRONG, RIGHT],
        ["I can't.", WRONG],
        ["```python\nprint(5)\n```"],
    ]
    assert [verdict.score for verdict in ended.verdicts][-1] == 0.0


@pytest.mark.sandbox
def test_the_program_itself_can_be_taught_with_its_output_as_the_answer() -> None:
    ended = attempts(SUM, saying(failing_first), OPTIONS | {"rows": "program"})
    assert summary(ended.rollouts) == [(f"{RIGHT}\nAnswer: 4", "fixed", True)]
    assert [(verdict.score, verdict.answer) for verdict in ended.verdicts] == [(1.0, "4")]


def played(verdicts: list[Verdict], text: str = "print(4)", **rest: Any) -> list[Rollout]:
    """What comes of a program that ran as `verdicts` say, one for each try."""
    given = iter(verdicts)
    verifier = FakeVerifier(lambda request: [next(given)] if request.by else ends_right(request))
    engine = saying(lambda _: text)
    rollouts = attempts(PLAIN, engine, OPTIONS | rest, verifier).rollouts
    assert {request.stop for request in engine.taken} == {("\n```",)}
    assert not list(given), "it did not try as often"
    return rollouts


ERROR, RAN = Verdict("", "e", 0.0, None, "it printed nothing"), Verdict("", "e", 1.0, "4", "")
NOBODY_KNOWS = Verdict("", "e", None, None, "the sandbox failed")


@pytest.mark.parametrize(
    ("verdicts", "retries", "expected"),
    [
        ([RAN], 3, (" 4", "ran", True)),
        ([ERROR, ERROR, RAN], 3, (" 4", "fixed", True)),
        ([ERROR, ERROR, ERROR], 2, ("", "failed", False)),
        ([ERROR], 0, ("", "failed", False)),
        ([NOBODY_KNOWS], 3, ("", "unjudged", False)),
        ([ERROR, NOBODY_KNOWS], 3, ("", "unjudged", False)),
    ],
)
def test_it_is_tried_again_only_for_the_programs_own_errors(
    verdicts: list[Verdict], retries: int, expected: tuple[str, str, bool]
) -> None:
    assert summary(played(verdicts, retries=retries)) == [expected]


def test_a_program_that_was_cut_off_is_not_chosen_though_it_ran() -> None:
    [rollout] = played([RAN], "print(4)~")
    assert (rollout.response, rollout.selected, rollout.finish_reason) == (" 4", False, "length")


@pytest.fixture
def _fresh_check() -> Iterator[None]:
    host.check.cache_clear()
    yield
    host.check.cache_clear()


@pytest.mark.sandbox
@pytest.mark.usefixtures("_fresh_check")
def test_a_machine_without_a_sandbox_is_told_before_a_model_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {"name": "x", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    parsed = recipe.parse(raw | {"strategy": {"name": "program"}})
    parsed.strategy.check(parsed)
    host.check.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
        parsed.strategy.check(parsed)


@pytest.mark.sandbox
def test_what_it_prints_in_a_task_of_plain_text_stands_alone() -> None:
    problem = Problem.of("2 + 2 =", "4", "number")
    written = iter(["print('It is')\n\nprint(x)", "```python\nprint('It is')\n\nprint(2 + 2)"])
    teacher = saying(lambda _: next(written))
    [rollout] = attempts(problem, teacher, OPTIONS).rollouts
    assert (rollout.response, rollout.note) == (" It is\n4", "fixed")
    assert teacher.prompts == [
        ["2 + 2 = Write!\n```python\n"],
        [
            "2 + 2 = Write!\n```python\nprint('It is')\n\nprint(x)\n```\n\n"
            "runtime error: NameError: name 'x' is not defined|It is|Mend!\n```python\n"
        ],
    ]


@pytest.mark.sandbox
def test_a_failed_program_that_holds_the_answer_is_not_right_by_accident() -> None:
    written = "The answer is 4.\n```python\nx = 1 / 0  # 4\n```\n4"
    ended = attempts(SUM, saying(lambda _: written), OPTIONS | {"retries": 0})
    assert summary(ended.rollouts) == [("", "failed", False)]
    assert [verdict.score for verdict in ended.verdicts] == [0.0]
    assert [step.text for step in ended.rollouts[0].steps] == [written]


@pytest.mark.sandbox
def test_a_long_error_and_a_long_output_are_clipped_for_the_next_prompt() -> None:
    loud = "```python\nprint('a' * 900 + 'end')\nraise ValueError('b' * 900)\n```"
    teacher = saying(lambda prompt: RIGHT if "Mend!" in prompt else loud)
    attempts(SUM, teacher, OPTIONS)
    again = teacher.prompts[1][0].partition(loud)[2]
    assert len(again) < 700
    assert f"{'a' * 200} ... {'a' * 97}end|" in again
