"""Going back: what stands before the mark is struck out, left, or can't happen."""

from collections.abc import Sequence
from typing import Any

from byheart.text import BACK
from byheart.types import Completion, FinishReason, Generate, Problem, Rollout

from tests.fakes import FakeEngine, FakeVerifier, attempts

PROBLEM = Problem.of("2 + 2", "4", "number")


def played(says: Sequence[tuple[str, FinishReason]], **rest: Any) -> tuple[list[Rollout], list[Generate]]:
    """One sample, whose pieces and the reasons why they end are `says`; and what was asked for."""
    pieces = iter(says)

    def piece(request: Generate) -> list[Completion]:
        text, reason = next(pieces)
        return [Completion(text, [1] * 4, reason, "base", request.seed)]

    engine = FakeEngine(piece)
    strategy = {"name": "backtrack", "samples": 1, "max_tokens": 20, **rest}
    return attempts(PROBLEM, engine, strategy, FakeVerifier()).rollouts, engine.taken


def test_a_wrong_step_and_its_mark_are_struck_out() -> None:
    [rollout], asked = played([("a\nslip\n" + BACK, "step"), ("b\n4", "stop")])
    assert (rollout.response, rollout.note) == ("a\nb\n4", "fixed")
    assert [request.prefill for request in asked] == ["", "a\n"]
    assert [request.max_tokens for request in asked] == [20, 16], "what was struck out is paid for"
    assert all(request.step_stop == (BACK,) and not request.bad_words for request in asked)


def test_after_so_many_times_all_is_left_as_it_is() -> None:
    slips: tuple[str, FinishReason] = ("slip\n" + BACK, "step")
    [rollout], asked = played([slips, slips, (f"slip\n{BACK}5", "stop")], max_backs=2)
    assert (rollout.response, rollout.note) == (f"slip\n{BACK}5", "unsolved")
    assert [request.step_stop for request in asked] == [(BACK,), (BACK,), ()]


def test_what_has_no_room_left_was_cut_off() -> None:
    [rollout], _ = played([("a\nslip\n" + BACK, "step")] * 5, max_backs=9)
    assert (rollout.finish_reason, rollout.response) == ("length", "a\n" * 5)


def test_slips_can_be_left_or_forbidden() -> None:
    [left], [asked] = played([(f"slip\n{BACK}4", "stop")], slips="left")
    assert (left.response, left.note, asked.step_stop, asked.bad_words) == (f"slip\n{BACK}4", "fixed", (), ())
    [straight], [asked] = played([("4", "stop")], slips="forbidden")
    assert (straight.response, straight.note, asked.step_stop, asked.bad_words) == ("4", "", (), ("Wait",))
    assert BACK.startswith("Wait")
