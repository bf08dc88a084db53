"""What could not be solved is tried once more by who knows the answer, and says so, or does not."""

from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Strategy
from byheart.errors import RecipeError
from byheart.strategies import rationalize
from byheart.types import Problem, Solver, Verify
from typing_extensions import override

from tests.fakes import PLAIN, SUM, FakeEngine, attempts, saying, summary

DIRECT = {"name": "direct", "samples": 2, "enough": 1, "max_samples": 2}
OPTIONS: dict[str, Any] = {"name": "rationalize", "of": DIRECT, "prompt": "{problem} (It is {answer}!)", "samples": 3}


def knowing(plain: list[str], hinted: list[str]) -> FakeEngine:
    return saying(lambda prompt: hinted if "(It is 4!)" in prompt else plain)


def test_a_solved_problem_gets_no_hint() -> None:
    teacher = knowing(["5", "It is 4."], [])
    ended = attempts(SUM, teacher, OPTIONS)
    assert teacher.prompts == [["USER: What is 2 + 2?"]]
    assert [(rollout.strategy, rollout.hinted) for rollout in ended.rollouts] == [("direct", False)] * 2


def test_one_that_was_not_solved_gets_its_answer_as_a_hint_and_what_is_right_is_a_rationalization() -> None:
    teacher = knowing(["5", "6"], ["1 + 1 is 2, so 4.", "The hint says 4.", "It must be 5."])
    ended = attempts(SUM, teacher, OPTIONS | {"temperature": 0.5, "max_tokens": 9})
    assert teacher.prompts[1:] == [["USER: What is 2 + 2? (It is 4!)"]]
    [[request]] = teacher.turns[1:]
    assert (request.n, request.temperature, request.max_tokens, request.stop) == (3, 0.5, 9, ())
    assert summary(ended.rollouts) == [
        ("5", "", True),
        ("6", "", True),
        ("1 + 1 is 2, so 4.", "rationalized", True),
        ("The hint says 4.", "leaked", False),
        ("It must be 5.", "", True),
    ]
    assert [rollout.hinted for rollout in ended.rollouts] == [False] * 2 + [True] * 3
    assert [verdict.score for verdict in ended.verdicts] == [0.0, 0.0, 1.0, 1.0, 0.0]


def test_a_right_answer_that_was_cut_off_has_not_solved_it() -> None:
    ended = attempts(SUM, knowing(["5", "so 4~"], ["4~", "6", "it is 4"]), OPTIONS)
    assert [rollout.note for rollout in ended.rollouts] == ["", "", "", "", "rationalized"]


def test_a_right_answer_that_was_not_chosen_has_not_solved_it() -> None:
    short = {"name": "best_of", "samples": 2, "min_tokens": 9}
    ended = attempts(SUM, knowing(["is 4", "4"], ["4", "6", "it is 4"]), OPTIONS | {"of": short})
    assert [rollout.hinted for rollout in ended.rollouts] == [False] * 2 + [True] * 3


def test_where_the_hint_does_not_fit_what_was_tried_stands() -> None:
    teacher = knowing(["5", "6"], [])
    teacher.refuses = "(It is 4!)"
    ended = attempts(SUM, teacher, OPTIONS)
    assert (summary(ended.rollouts), ended.failure) == ([("5", "", True), ("6", "", True)], None)


@pytest.mark.parametrize(
    ("template", "text", "repeated"),
    [
        ("{problem} (It is {answer}.)", "(it  is 4.) 2 + 2 = 4", True),
        ("{problem} (It is {answer}.)", "2 + 2: it is 4.", False),
        ("{problem} (It is {answer}.)", "(It is 40.)", False),
        ("(The answer is {answer}. Do not say so.)\n{problem}", "(The answer is 4. Do not say so.) 2 + 2 = 4", True),
        ("(The answer is {answer}. Do not say so.)\n{problem}", "2 + 2 = 4. The answer is 4. Done.", False),
        ("{problem} Look: it is {answer}. Why?", "Look: it is 4. So 2 + 2 = 4.", True),
        ("{problem} Look: it is {answer}. Why?", "2 + 2 = 4. It is 4.", False),
        ("The answer is {answer}.\n{problem}", "2 + 2 = 4. The answer is 4.", False),
        ("The answer is {answer}.\n{problem}", "The answer is 4. Indeed, 2 + 2 = 4.", True),
        ("To {problem} say {answer}!", "To what is 2 + 2? say 4, as 2 + 2 = 4", True),
        ("{problem} ({answer})", "two and two (4) are four", False),
        ("{problem} {answer}", "4 is two and two", False),
    ],
)
def test_who_repeats_the_hint_as_the_recipe_words_it_leaks(template: str, text: str, repeated: bool) -> None:
    teacher = saying(lambda prompt: "5" if prompt.endswith(": What is 2 + 2?") else text)
    ended = attempts(SUM, teacher, OPTIONS | {"prompt": template, "samples": 1})
    assert (ended.rollouts[-1].note == "leaked", ended.rollouts[-1].selected) == (repeated, not repeated)


def test_where_no_answer_is_known_there_is_nothing_to_hint() -> None:
    teacher = knowing(["5", "6"], [])
    assert len(attempts(Problem.of(SUM.prompt, None, "number"), teacher, OPTIONS).rollouts) == 2
    assert len(teacher.turns) == 1


def test_the_hint_is_put_where_the_template_says_and_after_examples_in_a_chat() -> None:
    problem = Problem.of([{"role": "system", "content": "Be brief."}, *SUM.prompt], "4", "number")
    teacher = knowing(["5", "6"], ["4", "4", "4"])
    example = {"prompt": "1 + 1? (It is 2!)", "response": "One more than one is 2."}
    attempts(problem, teacher, OPTIONS | {"examples": [example]})
    assert teacher.prompts[1] == [
        "SYSTEM: Be brief.\nUSER: 1 + 1? (It is 2!)\nASSISTANT: One more than one is 2.\n"
        "USER: What is 2 + 2? (It is 4!)"
    ]


def test_a_base_model_is_shown_blocks_and_ends_at_the_first_blank_line() -> None:
    teacher = saying(lambda prompt: [" 4"] * 3 if "(4)" in prompt else [" 5"] * 2)
    examples = [{"prompt": "1 + 1 = (2)", "response": " 2"}, {"prompt": "1 + 2 = (3)", "response": " 3"}]
    ended = attempts(PLAIN, teacher, OPTIONS | {"prompt": "{problem} ({answer})", "examples": examples})
    [[request]] = teacher.turns[1:]
    assert request.prompt == "1 + 1 = (2) 2\n\n1 + 2 = (3) 3\n\n2 + 2 = (4)"
    assert request.stop == ("\n\n",)
    assert summary(ended.rollouts)[-1] == (" 4", "rationalized", True)


def test_by_default_plain_text_still_ends_in_the_problem() -> None:
    teacher = saying(lambda prompt: [" 4"] * 4 if "4" in prompt else [" 5"] * 2)
    attempts(PLAIN, teacher, {"name": "rationalize", "of": DIRECT})
    [[hinted]] = teacher.prompts[1:]
    assert "The answer is 4." in hinted
    assert hinted.endswith("\n2 + 2 =")


def test_a_strategy_that_finds_nothing_at_all_is_followed_by_the_hint() -> None:
    class Nothing(Strategy):
        @override
        def solve(self, problem: Problem) -> Solver:
            return []
            yield

    solver = rationalize.Rationalize(**OPTIONS | {"of": Nothing()}).solve(SUM)
    assert not isinstance(next(solver)[0], Verify)


LEAKS = [
    "As given, the answer is 4.",
    "As given: 4.",
    "2 + 2 is 4, as the hint says.",
    "The hint says 4.",
    "Using the given hint, we get 4.",
    "We are told that the answer is 4.",
    "We are told that it is 4, so 4.",
    "You told me the result is 4.",
    "Since the answer is given, it is 4.",
    "The answer was already provided: 4.",
    "The correct answer is known to be 4.",
    "The given answer is 4.",
    "This matches the provided solution, 4.",
    "This is the expected answer: 4.",
    "Given that the answer is 4, we work backwards.",
    "Knowing the final answer, 4, we see why.",
    "As stated in the problem, the answer is 4.",
    "The answer given is 4.",
    "the answer that we were given is 4",
    "Because we know the answer is 4, 2 + 2 must be that.",
    "I was given the answer 4.",
    "I reason as if I did not know it: 2 + 2 = 4.",
    "The problem states that the answer is 4.",
    "As the question says, the answer is 4.",
    "It is stated that the correct answer is 4.",
    "Since the answer is 4, 2 + 2 = 4.",
    "We know that the answer is 4.",
    "The answer is 4 (as given).",
    "Let's pretend we don't know. 4.",
]
INNOCENT = [
    "2 + 2 = 4, so the answer is 4.",
    "We are told that Tom has 2 apples and Ann has 2. Together that is 4.",
    "Given that Tom has 2 apples, the answer is 2 + 2 = 4.",
    "Given the numbers 2 and 2, the result is 4.",
    "As stated in the problem, each of the two has 2. So 4.",
    "As given in the problem, there are 2 and 2. The answer is 4.",
    "The answer is given by 2 + 2 = 4.",
    "As stated above, the answer is 4.",
    "The final answer is 4.",
    "Now we know the answer: 4.",
    "Adding 2 gives the result 4.",
    "Of the given answer choices, B is right: 4.",
    "Knowing the result of 1 + 1, we add 2 and have 4.",
    "Tom was told to buy 2, and then 2 more. 4.",
    "",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_text_that_tells_of_the_hint_leaks(text: str) -> None:
    assert rationalize.leaks(text, "4")
    assert rationalize.leaks(text.upper(), "4")


@pytest.mark.parametrize("text", INNOCENT)
def test_one_that_only_reasons_does_not(text: str) -> None:
    assert not rationalize.leaks(text, "4")


def test_the_answer_itself_is_looked_for_as_a_whole() -> None:
    assert rationalize.leaks("We were told it is 3.50.", "3.50")
    assert rationalize.leaks("We were told it is x (a)", "x (a)")
    assert not rationalize.leaks("We were told that she has 3.50.", "3")
    assert not rationalize.leaks("We were told that she has 44.", "4")
    assert not rationalize.leaks("We were told that she has 44.", " ")


def test_what_the_first_strategy_needs_is_checked_before_a_run() -> None:
    raw = {"name": "x", "model": {"name": "smollm2-135m"}, "task": {"name": "arithmetic"}}
    of = {"name": "program", "run": {"name": "model_judge"}}
    parsed = recipe.parse(raw | {"strategy": {"name": "rationalize", "of": of}})
    with pytest.raises(RecipeError, match="opinion"):
        validation.check(parsed)
    validation.check(recipe.parse(raw | {"strategy": {"name": "rationalize"}}))
