"""What of a response is its answer: what follows the last thought, up to the end of the turn."""

import pytest
from byheart.verifiers.core.thinking import TAGS, answer_part


@pytest.mark.parametrize(("opens", "ends"), TAGS.items())
def test_what_stands_before_the_end_of_a_thought_is_not_the_answer(opens: str, ends: str) -> None:
    assert answer_part(f"{opens}Is it 3? No.{ends}It is 4.") == "It is 4."
    assert answer_part(f"{opens}\nIs it 3?\n{ends}\n\nIt is 4.") == "\n\nIt is 4."
    assert answer_part(f"Is it 3? No.{ends}It is 4.") == "It is 4."  # the template opened it in the prompt
    assert answer_part(f"{opens}Is it 3?{ends}It is 4. {opens}Or 5?{ends} It is 5.") == " It is 5."


@pytest.mark.parametrize("opens", TAGS)
def test_a_thought_that_never_ends_has_no_answer(opens: str) -> None:
    assert answer_part(f"{opens}It is 4.") is None
    assert answer_part(f"It is 4. {opens}Or 5?") is None


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("It is 4.<|im_end|>\n<|im_start|>user\nAnd 5?", "It is 4."),
        ("It is 4.<|eot_id|>", "It is 4."),
        ("It is 4.<end_of_turn>", "It is 4."),
        ("It is 4.</s>", "It is 4."),
        ("It is 4. [INST] And 5? [/INST]", "It is 4. "),
        ("<|im_start|>assistant\nIt is 4.", "It is 4."),
        ("if a <b and c> d", "if a <b and c> d"),
        ("<answer>4</answer>", "<answer>4</answer>"),
        ("| a | b |\n|---|---|", "| a | b |\n|---|---|"),
        ("", ""),
    ],
)
def test_the_marks_of_a_chat_template_end_the_answer(response: str, answer: str) -> None:
    assert answer_part(response) == answer
