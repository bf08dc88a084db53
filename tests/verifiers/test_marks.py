"""What a response says is its answer."""

import pytest

from pipeline.verifiers.marks import marked, sentence


@pytest.mark.parametrize(
    ("text", "found"),
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
def test_the_last_mark_comes_first(text: str, found: list[tuple[str, bool]]) -> None:
    assert list(marked(text)) == found


@pytest.mark.parametrize(
    ("text", "first"),
    [("5. Good.", "5"), ("3.5 is it", "3.5 is it"), ("5\n6", "5"), ("Fine.", "Fine"), ("", ""), ("a.b. c", "a.b")],
)
def test_a_sentence_ends_with_a_full_stop_or_its_line(text: str, first: str) -> None:
    assert sentence(text) == first
