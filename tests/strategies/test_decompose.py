"""Smaller questions first: the teacher of these tests divides 2 + 2 as it is told to."""

from byheart.types import Problem

from tests.fakes import PLAIN, SUM, attempts, saying, summary

OPTIONS = {
    "name": "decompose",
    "divide": "{problem} Divide!",
    "part": "{problem}\n{known}Q: {question}",
    "compose": "{known}So, {problem}",
    "samples": 1,
}


def dividing(prompt: str) -> str:
    last = prompt.splitlines()[-1]
    if last.endswith("Divide!"):
        return "1. What is 1 + 1?\n2. What is twice that?\n3. Is that all?"
    return "So it is 4." if "So, " in last else {"Q: What is 1 + 1?": " 2 "}.get(last, "4")


def test_parts_are_answered_in_turn_with_the_answers_before_them_in_view() -> None:
    teacher = saying(dividing)
    ended = attempts(SUM, teacher, OPTIONS | {"width": 2, "max_tokens": 9, "divide_tokens": 7})
    assert teacher.prompts == [
        ["USER: What is 2 + 2? Divide!"],
        ["USER: What is 2 + 2?\nQ: What is 1 + 1?"],
        ["USER: What is 2 + 2?\nQ: What is 1 + 1?\nA: 2\nQ: What is twice that?"],
        ["USER: Q: What is 1 + 1?\nA: 2\nQ: What is twice that?\nA: 4\nSo, What is 2 + 2?"],
    ]
    assert [turn[0].max_tokens for turn in teacher.turns] == [7, 9, 9, 9]
    assert summary(ended.rollouts) == [("So it is 4.", "divided", True)]
    assert ended.rollouts[0].num_tokens == 5
    assert [verdict.score for verdict in ended.verdicts] == [1.0]


def test_samples_go_on_side_by_side_though_they_divide_differently() -> None:
    lists = iter(["1. one?", "1. one?\n2. two?", "I'd rather not."])
    teacher = saying(lambda prompt: next(lists) if "Divide!" in prompt else "4")
    ended = attempts(SUM, teacher, OPTIONS | {"samples": 3})
    assert [len(turn) for turn in teacher.turns] == [3, 3, 2, 1]
    assert [rollout.note for rollout in ended.rollouts] == ["divided", "divided", "undivided"]


def test_where_no_question_can_be_read_the_problem_is_answered_plainly() -> None:
    teacher = saying(lambda prompt: "No need to~" if "Divide!" in prompt else "It is 4.")
    ended = attempts(SUM, teacher, OPTIONS | {"rows": "trace"})
    assert teacher.prompts == [["USER: What is 2 + 2? Divide!"], ["USER: What is 2 + 2?"]]
    assert summary(ended.rollouts) == [("It is 4.", "undivided", True)]
    assert ended.num_tokens == 8, "what was asked in vain counts too"


def test_a_part_is_divided_again_while_depth_allows_it() -> None:
    def says(prompt: str) -> str:
        last = prompt.splitlines()[-1]
        if last == "USER: What is 2 + 2? Divide!":
            return "1. What is 1 + 1?"
        if last == "Q: What is 1 + 1? Divide!":
            return "1. What is 1?"
        return "1" if last == "Q: What is 1?" else "2" if last == "Q: What is 1 + 1?" else "4"

    teacher = saying(says)
    [rollout] = attempts(SUM, teacher, OPTIONS | {"depth": 2, "rows": "trace"}).rollouts
    assert teacher.prompts[2:] == [
        ["USER: What is 2 + 2?\nQ: What is 1 + 1?\nQ: What is 1?"],
        ["USER: Q: What is 1?\nA: 1\nSo, What is 2 + 2?\nQ: What is 1 + 1?"],
        ["USER: Q: What is 1 + 1?\nA: 2\nSo, What is 2 + 2?"],
    ]
    assert rollout.response == "1. What is 1 + 1?\n\nWhat is 1 + 1?\n1. What is 1?\n\nWhat is 1?\n1\n\n2\n\n4"


def test_a_trace_holds_all_that_was_said_and_is_judged_and_counted_as_a_whole() -> None:
    ended = attempts(SUM, saying(dividing), OPTIONS | {"rows": "trace", "width": 1})
    [trace] = ended.rollouts
    assert trace.response.endswith("3. Is that all?\n\nWhat is 1 + 1?\n 2 \n\nSo it is 4.")
    assert trace.num_tokens == ended.num_tokens
    assert [verdict.score for verdict in ended.verdicts] == [1.0]


def test_an_answer_that_was_cut_off_is_not_chosen_but_one_from_cut_off_parts_may_be() -> None:
    parts = saying(lambda prompt: "1. one?\n2. two" if "Divide!" in prompt else "4~" if "Q: one?" in prompt else "4")
    assert attempts(SUM, parts, OPTIONS).rollouts[0].selected is False
    compose = {"compose": "{problem} (known: {known})"}
    last = saying(lambda prompt: "1. one?" if "Divide!" in prompt else "4" if "known" in prompt else "2~")
    assert attempts(SUM, last, OPTIONS | compose).rollouts[0].selected is True
    assert attempts(SUM, last, OPTIONS | compose | {"rows": "trace"}).rollouts[0].selected is False


def test_a_base_model_is_asked_in_plain_text_up_to_a_blank_line() -> None:
    teacher = saying(lambda prompt: "1. one?" if prompt.endswith("one a line:\n") else " 4")
    [rollout] = attempts(PLAIN, teacher, {"name": "decompose", "samples": 1}).rollouts
    assert [prompt for [prompt] in teacher.prompts][1:] == ["2 + 2 =\n\nQ: one?\nA:", "Q: one?\nA: 4\n\n2 + 2 ="]
    assert {request.stop for turn in teacher.turns for request in turn} == {("\n\n",)}
    assert (rollout.response, rollout.note) == (" 4", "divided")


def test_braces_in_what_is_asked_and_answered_stand_for_themselves() -> None:
    problem = Problem.of("{2} + {2} =", "4", "number")
    teacher = saying(lambda prompt: "1. {x}?" if prompt.endswith("Divide!") else "{4}")
    assert attempts(problem, teacher, OPTIONS).rollouts[0].response == " {4}"
    assert teacher.prompts[-1] == ["Q: {x}?\nA: {4}\nSo, {2} + {2} ="]
