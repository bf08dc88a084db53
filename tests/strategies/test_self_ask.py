"""A draft is questioned, and written again; a model has the last word on which is good."""

from tests.conftest import verifier_by
from tests.fakes import PLAIN, SUM, FakeEngine, attempts, saying, summary

OPTIONS = {"name": "self_ask", "test": "Up to {number} questions!", "rewrite": "{answers}\nOnce more."}
JUDGE = {"name": "model_judge", "votes": 1, "alone": True}


def says(prompt: str) -> str:
    last = prompt.splitlines()[-1]
    if "Verdict" in last:
        return "Verdict: right" if "scattered" in prompt else "Verdict: wrong"
    if last.endswith("questions!"):
        return "1. Which light?\n2. Scattered by what?\n3. Why not violet?"
    return "Blue light is scattered most." if last == "Once more." else " By air. " if last.endswith("?") else "It is."


def test_questions_are_answered_all_at_once_and_the_rewrite_sees_them() -> None:
    teacher = saying(says)
    ended = attempts(SUM, teacher, OPTIONS | {"prompt": "{problem} Say.", "questions": 2}, verifier_by(JUDGE))
    talk = "USER: What is 2 + 2? Say.\nASSISTANT: It is.\nUSER: "
    assert teacher.prompts[:4] == [
        ["USER: What is 2 + 2? Say."],
        [f"{talk}Up to 2 questions!"],
        [f"{talk}Which light?", f"{talk}Scattered by what?"],
        [f"{talk}Q: Which light?\nA: By air.\nQ: Scattered by what?\nA: By air.\nOnce more."],
    ]
    assert summary(ended.rollouts) == [("It is.", "draft", False), ("Blue light is scattered most.", "fixed", True)]
    assert [verdict.score for verdict in ended.verdicts] == [0.0, 1.0]


def test_dozens_of_questions_of_several_drafts_go_out_together() -> None:
    dozens = "\n".join(f"{n}. Is it {n}?" for n in range(1, 31))
    teacher = saying(lambda prompt: dozens if prompt.endswith("questions!") else "4")
    tokens = {"max_tokens": 9, "test_tokens": 8, "answer_tokens": 7}
    attempts(SUM, teacher, OPTIONS | {"samples": 2, "questions": 24} | tokens)
    assert [len(turn) for turn in teacher.turns] == [2, 2, 48, 2]
    assert [turn[0].max_tokens for turn in teacher.turns] == [9, 8, 7, 9]
    default = saying(lambda prompt: dozens if prompt.endswith("questions!") else "4")
    attempts(SUM, default, OPTIONS)
    assert len(default.turns[2]) == 12


def test_where_no_question_can_be_read_the_draft_stands() -> None:
    teacher = saying(lambda prompt: "None." if prompt.endswith("questions!") else "It is 4.")
    assert summary(attempts(SUM, teacher, OPTIONS).rollouts) == [("It is 4.", "draft", True)]
    assert len(teacher.turns) == 2


def test_a_rewrite_that_was_cut_off_is_never_chosen() -> None:
    def cut(draft: str) -> FakeEngine:
        return saying(
            lambda prompt: "1. Sure?" if prompt.endswith("questions!") else "4~" if "Once more" in prompt else draft
        )

    assert summary(attempts(SUM, cut("It is 4."), OPTIONS).rollouts) == [
        ("It is 4.", "draft", True),
        ("4", "broken", False),
    ]
    assert not any(rollout.selected for rollout in attempts(SUM, cut("5"), OPTIONS).rollouts)


def test_a_rewrite_for_a_base_model_has_the_space_that_its_own_answers_have() -> None:
    teacher = saying(lambda p: "1. Sure?" if p.endswith("questions!\n") else "4" if p.endswith("more.\n") else " 5")
    assert summary(attempts(PLAIN, teacher, OPTIONS).rollouts) == [(" 5", "draft", False), (" 4", "fixed", True)]


def test_a_base_model_is_questioned_in_plain_text() -> None:
    teacher = saying(lambda prompt: "1. Sure?" if prompt.endswith("questions!\n") else " 4")
    assert attempts(PLAIN, teacher, OPTIONS).rollouts[-1].note == "kept"
    assert teacher.prompts[-1] == ["2 + 2 = 4\n\nQ: Sure?\nA: 4\nOnce more.\n"]
    assert {request.stop for turn in teacher.turns for request in turn} == {("\n\n",)}
