"""A draft, what is wrong with it, and a better one: each of these words is the test's."""

import pytest
from byheart.types import Problem

from tests.fakes import PLAIN, SUM, FakeEngine, attempts, saying, summary

OPTIONS = {"name": "reflect", "critique": "What is wrong?", "rewrite": "Again.", "samples": 1}


def teacher(draft: str, rewrite: str, critique: str = "Count again.") -> FakeEngine:
    def says(prompt: str) -> str:
        last = prompt.strip().splitlines()[-1]
        return critique if last.endswith("What is wrong?") else rewrite if last.endswith("Again.") else draft

    return saying(says)


@pytest.mark.parametrize(
    ("draft", "rewrite", "note", "chosen"),
    [
        ("It is 5.", "It is 4.", "fixed", "It is 4."),
        ("It is 4.", "Yes, 4.", "kept", "Yes, 4."),
        ("It is 4.", "No, 5.", "broken", "It is 4."),
        ("It is 5.", "It is 6.", "unsolved", "It is 6."),
        ("It is 4.", "It is 4~", "broken", "It is 4."),
        ("It is 5.", "It is 4~", "unsolved", None),
        ("It is 4~", "It is 4.", "fixed", "It is 4."),
    ],
)
def test_what_became_of_a_draft_is_noted_and_a_rewrite_is_preferred_if_it_verifies(
    draft: str, rewrite: str, note: str, chosen: str | None
) -> None:
    ended = attempts(SUM, teacher(draft, rewrite), OPTIONS)
    first, last = ended.rollouts
    assert (first.response, first.note) == (draft.strip("~"), "draft")
    assert (last.response, last.note) == (rewrite.strip("~"), note)
    assert [rollout.response for rollout in ended.rollouts if rollout.selected] == [chosen] * (chosen is not None)
    assert last.num_tokens == len(rewrite.split()) + 1
    assert len(ended.verdicts) == 2


def test_where_nobody_can_judge_that_is_noted() -> None:
    unknown = Problem.of(SUM.prompt, None, "number")
    [_, last] = attempts(unknown, teacher("5", "4"), OPTIONS).rollouts
    assert (last.note, last.selected) == ("unjudged", True)


def test_all_drafts_go_out_at_once_and_so_do_all_critiques_and_all_rewrites() -> None:
    told_off = teacher("5", "4")
    rollouts = attempts(SUM, told_off, OPTIONS | {"samples": 3, "turns": 2, "max_tokens": 9, "critique_tokens": 7})
    assert [len(turn) for turn in told_off.turns] == [3] * 5
    assert [turn[0].max_tokens for turn in told_off.turns] == [9, 7, 9, 7, 9]
    assert len({request.seed for turn in told_off.turns for request in turn}) == 15
    assert len(rollouts.rollouts) == 9


def test_each_turn_is_one_more_of_the_same_conversation() -> None:
    asked = teacher("5", "4", "Too many.")
    attempts(SUM, asked, OPTIONS | {"prompt": "{problem} Think."})
    assert asked.prompts[-1] == [
        "USER: What is 2 + 2? Think.\nASSISTANT: 5\nUSER: What is wrong?\nASSISTANT: Too many.\nUSER: Again."
    ]


def test_the_last_right_version_of_several_is_the_one_to_keep() -> None:
    drafts = iter(["5", "wrong", "4", "wrong", "6"])
    ended = attempts(SUM, saying(lambda _: next(drafts)), OPTIONS | {"turns": 2})
    assert summary(ended.rollouts) == [("5", "draft", False), ("4", "draft", True), ("6", "unsolved", False)]


def test_a_trace_is_draft_critique_and_rewrite_and_is_judged_as_a_whole() -> None:
    ended = attempts(SUM, teacher("It is 5.", "It is 4.", "No, count."), OPTIONS | {"rows": "trace"})
    _, trace = ended.rollouts
    assert (trace.response, trace.note, trace.selected) == ("It is 5.\n\nNo, count.\n\nIt is 4.", "fixed", True)
    assert trace.num_tokens == 4 + 3 + 4 == ended.num_tokens
    assert [verdict.score for verdict in ended.verdicts] == [0.0, 1.0]
    cut_off = attempts(SUM, teacher("It is 5.", "It is 4.", "No~"), OPTIONS | {"rows": "trace"}).rollouts[-1]
    assert (cut_off.finish_reason, cut_off.note, cut_off.selected) == ("length", "unsolved", False)


def test_an_attempt_whose_critique_does_not_fit_is_dropped_and_the_others_stay() -> None:
    drafts = iter(["5", "5 at great length", "5"])
    teacher = saying(lambda _: next(drafts, "4"), refuses="at great length")
    ended = attempts(SUM, teacher, OPTIONS | {"samples": 3})
    assert ([rollout.note for rollout in ended.rollouts], ended.failure) == (["draft", "fixed"] * 2, None)


def test_a_base_model_goes_on_in_plain_text_up_to_a_blank_line() -> None:
    asked = teacher(" 5", "4")
    [draft, rewrite] = attempts(PLAIN, asked, OPTIONS).rollouts
    assert asked.prompts[-1] == ["2 + 2 = 5\n\nWhat is wrong?\nCount again.\n\nAgain.\n"]
    assert {request.stop for turn in asked.turns for request in turn} == {("\n\n",)}
    assert (draft.response, rewrite.response, rewrite.prompt) == (" 5", " 4", "2 + 2 =")
