"""What a response says is its answer."""

import pytest
from byheart.verifiers.core.answers import claim, marked, sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is 5.", []),
        ("\\boxed{5}", [("5", True)]),
        ("\\boxed{x^{2}} and more", [("x^{2}", True)]),
        ("\\boxed{1} then \\boxed{2}", [("2", True), ("1", True)]),
        ("\\boxed{1", []),
        ("\\boxed{}", []),
        ("<answer> 1\n2 </answer> 3", [("1\n2", True)]),
        ("<answer>5", [("5", True)]),
        ("The answer is 5. Good.", [("5. Good.", False)]),
        ("**Answer**: 5", [("5", False)]),
        ("**Answer:** 5", [("5", False)]),
        ("The answer should be\n5", [("5", False)]),
        ("The answer is $\\boxed{5}$", [("5", True), ("$", False)]),
        ("The answer is not 5", []),
        ("My answers are 5 and 6", []),
        ("a\n#### 5\n", [("5", True)]),
        ("#### Step 1\nAdd.", []),
    ],
)
def test_the_last_mark_comes_first(text: str, expected: list[tuple[str, bool]]) -> None:
    assert [(under, closed) for under, closed, _ in marked(text)] == expected


@pytest.mark.parametrize(
    ("text", "claimed", "correction"),
    [
        ("It is 5.", None, ""),
        ("The answer is 5 because 6 is too big. Good.", "5 ", ""),
        ("The answer is\n\\[\n5\n\\]", "5", ""),
        ("The answer is 5. \\boxed{x^{2}} it is", "x^{2}", ""),
        ("\\boxed{1} then \\boxed{2", "", ""),
        ("\\boxed{1}. Put it in \\boxed{}", "1", ""),
        ("The answer is 5. No wait, it is 6.", "5", " wait, it is 6."),
        ("The answer is 5, but it may be 6", "5, ", " it may be 6"),
        ("<answer>5</answer> Hmm, 6", "5", ", 6"),
        ("The answer is 5. Nobody knows better", "5", ""),
    ],
)
def test_the_last_mark_claims_an_answer_that_may_be_taken_back(text: str, claimed: str | None, correction: str) -> None:
    last = claim(text)
    assert (last and last.text) == claimed
    assert (last.correction if last else "") == correction


@pytest.mark.parametrize(
    ("text", "first"),
    [("5. Good.", "5"), ("3.5 is it", "3.5 is it"), ("5\n6", "5"), ("Fine.", "Fine"), ("", ""), ("a.b. c", "a.b")],
)
def test_a_sentence_ends_with_a_full_stop_or_its_line(text: str, first: str) -> None:
    assert sentence(text) == first
