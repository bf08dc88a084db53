"""The same worked examples before every problem."""

from __future__ import annotations

from byheart.strategies.core.driver import drive
from byheart.strategies.core.shown import Shown
from byheart.types import Message, Problem, WorkedExample

from tests.conftest import verifier_by
from tests.fakes import PLAIN, SUM, FakeEngine, saying


def asked(problem: Problem, *examples: WorkedExample, prompt: str = "{problem}") -> FakeEngine:
    engine = saying(lambda _: "4")
    solver = Shown(examples=list(examples), prompt=prompt, samples=1, max_samples=1, temperature=0).solve(problem)
    [group] = drive([(problem, solver)], engine, verifier_by())
    assert group.rollouts[0].prompt == problem.prompt, "the examples are for the teacher alone"
    return engine


def test_in_a_chat_they_are_turns_in_the_order_given_and_the_prompt_is_put_around_each() -> None:
    def user(content: str) -> Message:
        return Message(role="user", content=content)

    examples = [WorkedExample([user(f"{n}?")], f"it is {n}") for n in (3, 1, 2)]
    [request] = asked(SUM, *examples, prompt="{problem} Think.").taken
    assert request.prompt == [
        turn for n in (3, 1, 2) for turn in (user(f"{n}? Think."), Message(role="assistant", content=f"it is {n}"))
    ] + [user("What is 2 + 2? Think.")]
    assert request.stop == ()


def test_in_plain_text_they_are_blocks_and_a_blank_line_ends_the_answer() -> None:
    [request] = asked(PLAIN, WorkedExample("1 + 1 =", " 2"), WorkedExample("2 + 1 =", " 3")).taken
    assert (request.prompt, request.stop) == ("1 + 1 = 2\n\n2 + 1 = 3\n\n2 + 2 =", ("\n\n",))
