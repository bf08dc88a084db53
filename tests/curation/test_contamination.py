"""Nothing that is measured is trained on, and the wording that all problems share is no overlap."""

import random

from byheart.curation.contamination import MeasuredProblems
from byheart.types import Problem
from hypothesis import given
from hypothesis import strategies as st

STORY = "Anna fills {a} baskets with {b} pears each, gives {c} of them to her brother and sells the rest at the market"


def story(a: int, b: int, c: int) -> str:
    return STORY.format(a=a, b=b, c=c)


def measured(*prompts: str) -> list[Problem]:
    return [Problem.of(prompt, "7", "number") for prompt in prompts]


def row(prompt: str, completion: str = "It is 7") -> tuple[str, str]:
    return prompt, completion


def overlaps(rows: list[tuple[str, str]], problems: list[Problem]) -> list[bool]:
    found = MeasuredProblems(problems, 5, 0.8)
    return [found.overlap(*row) for row in rows]


def test_the_same_problem_overlaps_however_it_is_spaced_and_cased() -> None:
    assert overlaps([row("what  is 3+4 ?"), row("What is 3 + 5?")], measured("What is 3 + 4?")) == [True, False]


def test_a_long_problem_overlaps_though_words_were_put_around_it() -> None:
    problems = measured(story(3, 12, 5))
    assert overlaps([row("Solve this. " + story(3, 12, 5) + ". Answer with a number.")], problems) == [True]


def test_a_completion_that_holds_a_measured_problem_overlaps() -> None:
    assert overlaps([row("Make up a problem", story(3, 12, 5))], measured(story(3, 12, 5))) == [True]


def test_another_problem_of_the_same_form_does_not_overlap() -> None:
    draw = random.Random(0)
    for highest in (9, 99):
        drawn = ([draw.randint(2, highest) for _ in range(3)] for _ in range(300))
        numbers = list({tuple(numbers_): numbers_ for numbers_ in drawn}.values())
        known = [sorted(numbers_) for numbers_ in numbers[:100]]
        problems = measured(*(story(*numbers_) for numbers_ in numbers[:100]))
        others = [numbers_ for numbers_ in numbers[100:] if sorted(numbers_) not in known]
        assert len(others) > 50
        assert not any(overlaps([row(story(*numbers_)) for numbers_ in others], problems))
        assert all(overlaps([row(story(*numbers_)) for numbers_ in numbers[:100]], problems))


def test_signs_tell_problems_apart() -> None:
    assert overlaps([row("x - 3 = 4")], measured("x + 3 = 4")) == [False]


def test_a_short_problem_is_looked_for_in_longer_prompts_and_not_in_solutions() -> None:
    problems = measured("3 + 4 =")
    assert overlaps([row("Solve: 3 + 4 = ?"), row("13 + 4 ="), row("7 + 7 =", "3 + 4 = 7, so it is 14")], problems) == [
        True,
        False,
        False,
    ]


def test_a_changed_word_does_not_hide_a_problem() -> None:
    changed = [row("First: " + story(a, 12, 5).replace("pears", "plums")) for a in (3, 4)]
    assert overlaps(changed, measured(story(3, 12, 5))) == [True, False]


def test_a_problem_with_few_words_of_its_own_is_told_by_its_prompt_as_a_whole() -> None:
    wording = "Look at this list of things and say which of them comes first when they are put in order of size: "
    problems = measured(*(wording + name for name in ("an ant", "a bear", "a cat", "a dog")))
    rows = [row(wording + "a bear"), row(wording + "a bear and an eel"), row(wording + "an elk")]
    assert overlaps(rows, problems) == [True, False, False]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.lists(st.text(), max_size=8))
def test_every_measured_problem_overlaps_with_itself_and_no_text_is_too_strange(
    asked: list[str], other: list[str]
) -> None:
    problems = measured(*asked)
    assert all(overlaps([row(prompt) for prompt in asked], problems))
    assert len(overlaps([row(prompt) for prompt in other], problems)) == len(other)


def test_problems_of_other_tasks_overlap_too_and_their_wording_is_their_own() -> None:
    """Three stories among a hundred sums: what they share is wording, though hardly any measured problem has it."""
    sums = measured(*(f"What is {n} + {n + 1}?" for n in range(100)))
    stories = measured(*(story(a, 12, 5) for a in range(2, 40)))
    alone, both = MeasuredProblems(sums, 5, 0.8), MeasuredProblems(sums, 5, 0.8, [stories])
    assert [found.overlap(story(3, 12, 5), "7") for found in (alone, both)] == [False, True]
    assert not both.overlap(story(3, 12, 6), "7")
    assert both.overlap("What is 3 + 4?", "7") and not both.overlap("What is 3 + 5?", "8")
