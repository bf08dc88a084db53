"""reasoning-gym's own scorers, guarded: its gold answers are right; hedges, code and what they overlook are not."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from byheart.types import Judgement, Problem
from byheart.verifiers.procedural import Procedural

pytestmark = pytest.mark.corpus
reasoning_gym = pytest.importorskip("reasoning_gym")

SEED = {"seed": 11, "size": 4}
DATASETS = [
    *("advanced_geometry", "arc_1d", "binary_matrix", "bitwise_arithmetic", "calendar_arithmetic", "chain_sum"),
    *("circuit_logic", "coin_flip", "complex_arithmetic", "countdown", "decimal_arithmetic", "dice", "figlet_font"),
    *("fraction_simplification", "game_of_life", "game_of_life_halting", "gsm_symbolic", "jugs", "kakurasu"),
    *("knights_knaves", "letter_jumble", "manipulate_matrix", "mini_sudoku", "n_queens", "number_sorting"),
    *("polynomial_equations", "polynomial_multiplication", "prime_factorization", "puzzle24", "quantum_lock", "rearc"),
    *("shortest_path", "simple_integration", "spiral_matrix", "string_insertion", "time_intervals", "tower_of_hanoi"),
]


def problem(dataset: str, index: int = 0, **config: Any) -> Problem:
    """A problem as the reasoning_gym task makes it: its entry has been through JSON."""
    entry = reasoning_gym.create_dataset(dataset, **SEED | config)[index]
    made = {"dataset": dataset, "config": config, "entry": json.loads(json.dumps(entry, default=str))}
    return Problem.of(entry["question"], entry["answer"], "procedural", {"reasoning_gym": made})


def asked(dataset: str, answer: str | None, **metadata: Any) -> Problem:
    """A problem of our own in the form of `dataset`."""
    entry = {"question": "?", "answer": answer, "metadata": metadata}
    return Problem.of("?", answer, "procedural", {"reasoning_gym": {"dataset": dataset, "config": {}, "entry": entry}})


def judged(problem: Problem, response: str, threshold: float | None = None) -> Judgement:
    return Procedural(threshold=threshold).verify(problem, response)


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_gold_answer_is_right_however_it_is_given_and_anothers_is_wrong(dataset: str) -> None:
    first, other = problem(dataset, 0), problem(dataset, 1)
    gold = first.answer
    assert gold is not None
    for response in (
        gold,
        f"Let me see.\n\n{gold}",
        f"Let me see.\n<answer>{gold}</answer>",
        f"Is it \\boxed{{7}}? No: \\boxed{{{gold}}}.",
        f"Let me see.\n\nThe answer is: {gold}",
        f"Let me see.\n```\n{gold}\n```\nThat is all.",
    ):
        assert judged(first, response)[:3] == (1.0, gold, "")
    for response in ("", "banana", f"{gold} or 7", "<answer></answer>"):
        assert judged(first, response).score == 0.0
    if other.answer != gold and dataset != "n_queens":
        assert judged(first, str(other.answer)).score == 0.0


RULES = {
    "empty": "",
    "nan": "nan",
    "inf": "inf",
    "denied": "not {0}",
    "said to be false": "It is false that {0}",
    "a sign": "-{0}",
    "a sign and a space": "- {0}",
    "a question": "{0}?",
    "a hedge": "{0} or 7",
    "a guess": "maybe {0}",
    "a number before": "1 {0}",
    "a number taken away from another": "3 - {0}",
    "a number after": "{0} 99",
    "a number in a list": "3, {0}",
    "a digit more": "{0}0",
    "a decimal more": "{0}.5",
    "a word more": "{0}, zzz",
    "a fraction more": "{0} and $\\frac{{1}}{{2}}$",
    "twice": "{0}, {0}",
    "in a list": "[{0}]",
    "another's": "{1}",
    "another's before": "{1}, {0}",
    "another's after": "{0},{1}",
    "another's as well": "{0} and {1}",
}
RIGHT = {
    "coin_flip": {"a digit more", "last sign left out", "first sign left out"},
    "decimal_arithmetic": {"a digit more", "last sign left out", "first sign left out"},
    "decimal_chain_sum": {"a digit more", "last sign left out", "first sign left out"},
    "number_format": {"a digit more"},
    "pool_matrix": {"a digit more", "last sign left out"},
    "polynomial_equations": {"a digit more", "last sign left out", "first sign left out", "a sign"},
    "power_function": {"a digit more", "last sign left out", "first sign left out"},
    "advanced_geometry": {"last sign left out"},
    "fraction_simplification": {"last sign left out", "first sign left out"},
    "knights_knaves": {"last sign left out"},
    "simple_integration": {"a number before", "a number taken away from another"},
    "time_intervals": {"first sign left out", "last sign left out"},
}
"""What the rules leave right: a zero after the decimal point and none before it, a rounded last digit, no full stop, no
degree or math sign, a number that goes into the constant of an antiderivative, an hour of one digit, "2 day"."""
QUICK = set(reasoning_gym.factory.DATASETS) - {
    *("composite", "boxnet", "graph_color", "rush_hour"),  # of these no right answer is known
    *(
        "sokoban",
        "codeio",
        "acre",
        "arc_agi",
        "knight_swap",
        "intermediate_integration",
    ),  # these are slow to make, or to score
}


@pytest.mark.parametrize("dataset", sorted(QUICK))
def test_what_is_near_a_right_answer_is_wrong(dataset: str) -> None:
    made = [problem(dataset, index) for index in range(3)]
    for first, other in pairwise(made):
        facts = first.meta["reasoning_gym"]["entry"]["metadata"]
        right = first.answer or facts.get("example_correct_answer") or facts["example_answer"]
        near = {rule: form.format(right, other.answer) for rule, form in RULES.items()}
        near |= {"last sign left out": right[:-1], "first sign left out": right[1:]}
        wrongly_right = {
            rule
            for rule, answer in near.items()
            if judged(first, f"<answer>{answer}</answer>").score != 0.0 and answer != right
        }
        assert judged(first, f"<answer>{right}</answer>").score == 1.0
        assert wrongly_right <= RIGHT.get(dataset, set()), (right, other.answer)


def test_what_is_near_a_way_through_a_warehouse_is_wrong() -> None:
    given = asked("sokoban", "R", gamestr="+ + + + +\n+ * @ X +\n+ + + + +")
    assert judged(given, "R").score == 1.0
    for response in ("not R", "-R", "R0", "R, R", "R?", "[R]", "maybe R", "1 R"):
        assert judged(given, response).score == 0.0


@pytest.mark.parametrize(
    ("dataset", "solution"),
    [
        ("rubiks_cube", "example_correct_answer"),
        ("graph_color", "possible_answer"),
        ("propositional_logic", "example_answer"),
    ],
)
def test_what_has_no_gold_answer_has_a_scorer_all_the_same(dataset: str, solution: str) -> None:
    given = problem(dataset)
    assert given.answer is None
    right = given.meta["reasoning_gym"]["entry"]["metadata"][solution]
    right = right if isinstance(right, str) else json.dumps(right, indent=1)
    assert judged(given, right).score == 1.0
    assert judged(given, f"I think:\n```json\n{right}\n```").score == 1.0
    assert judged(given, "{}").score == 0.0


OVERLOOKED = [
    (asked("puzzle24", "4*6*1*1", numbers=[4, 6, 1, 1]), ["3*8*1*1", "4*6", "4*6+1/1", "4*6+1/(1+1)", "24"]),
    (
        asked("countdown", "82+20", numbers=[82, 20], target=102),
        ["82+20+0", "102", "82+19.9999", "20*82", "8*2+20"],
    ),
    (asked("number_sorting", "['1', '5']", direction="ascending"), ["['2', '5']", "['1', '5.5']", "['1']", "[]"]),
    (asked("game_of_life_halting", "True"), ["False", "banana"]),
    (asked("game_of_life", "[[0, 1], [1, 0]]"), ["[[0,1],[1,0],[1,1]]", "[[0,1,1],[1,0,0]]", "[[0,1],[1,1]]", "7"]),
    (asked("letter_jumble", "a good day"), ["a good day banana", "a good", "a good dad"]),
    (asked("gsm_symbolic", "5"), ["-5", "5 of 7", "6", "51"]),
    (asked("decimal_arithmetic", "4.86"), ["4.87", "4.861", "-4.86"]),
    (asked("coin_flip", "0.00003"), ["0", "0.0001", "0.00004"]),
    (asked("coin_flip", "0.234375"), ["0.234376", "0.23", "0.2", "1/4"]),
    (asked("power_function", "1.7574418454559584e-22"), ["1.7645e-22", "1.75e-22", "1.8e-22", "-1.76e-22", "nan"]),
    (asked("number_format", "592641326.305", solution=592641326.305), ["592641326.30", "592641326.306"]),
    (asked("pool_matrix", "5.22 6.67\n4.67 3.67"), ["5.27 6.67\n4.67 3.67", "5.22 6.67 4.67 3.67"]),
    (asked("spell_backward", "abcabcabcabc"), ["abcabcabcabcd", "abcabcabcab"]),
    (asked("figlet_font", "ABCDEFGHIJ"), ["ABCDEFGHIJKL"]),
    (asked("polynomial_equations", ""), ["banana", "1.5"]),
    (asked("time_intervals", "5 days", task_type="date"), ["5 or 6 days", "6 days", "5 days, 01:00"]),
]


@pytest.mark.parametrize(
    ("problem", "wrong"),
    OVERLOOKED,
    ids=lambda part: part.meta["reasoning_gym"]["dataset"] if isinstance(part, Problem) else "",
)
def test_what_its_scorers_overlook_is_wrong(problem: Problem, wrong: list[str]) -> None:
    assert judged(problem, problem.answer or '""').score == 1.0
    for response in wrong:
        assert judged(problem, response).score == 0.0


def test_a_chance_may_be_rounded_and_a_sum_be_written_in_other_ways() -> None:
    for response in ("15/64", "0.2344", "0.234", "0.23438"):
        assert judged(asked("coin_flip", "0.234375"), response).score == 1.0
    for response in ("1.76e-22", "1.757 x 10^{-22}", "1.7574e-22"):
        assert judged(asked("power_function", "1.7574418454559584e-22"), response).score == 1.0
    for response in ("1 * (4 * 6) / 1", "(4*6)*1*1", "6*(4+1-1)"):
        assert judged(asked("puzzle24", "4*6*1*1", numbers=[4, 6, 1, 1]), response).score == 1.0


@pytest.mark.parametrize(
    ("dataset", "cheat"),
    [
        *(
            ("simple_integration", cheat)
            for cheat in ("Integral({0}, {1})", "integrate({0}, {1})", "({0}).integrate({1})")
        ),
        *(("polynomial_multiplication", cheat) for cheat in ("expand({2})", "({2}).expand()", "Poly({2})")),
    ],
)
def test_work_that_is_left_to_the_scorer_is_no_answer(dataset: str, cheat: str) -> None:
    given = problem(dataset)
    facts = given.meta["reasoning_gym"]["entry"]["metadata"]
    asked_for = cheat.format(facts.get("integrand"), facts.get("variable"), given.answer)
    assert judged(given, f"<answer>{asked_for}</answer>").score == 0.0


@pytest.mark.parametrize(
    "dataset",
    [
        *("string_insertion", "spiral_matrix", "binary_matrix", "n_queens", "polynomial_multiplication"),
        *("simple_integration", "intermediate_integration", "countdown", "puzzle24"),
    ],
)
def test_an_answer_that_is_code_is_not_run(dataset: str, tmp_path: Path) -> None:
    given = problem(dataset)
    code = f"open({str(tmp_path / 'escaped')!r}, 'w')"
    for answer in (
        *(
            code,
            f"  {code}",
            f"[{code}]",
            f"\t{code} # 1",
            f"({code})",
            f"[1, {code}]",
            f"{code} or 1",
            f"f'{{{code}}}'",
        ),
        *(f"(lambda: {code})()", f"[{code} for _ in [1]]", f"__import__('io').{code}", f"1 if {code} else 2"),
        *(f"\\\n{code}", f"\x0c{code}", f"\ufeff{code}", f"\n\n{code}\n"),
    ):
        for response in (answer, f"<answer>{answer}</answer>", f"```\n{answer}\n```"):
            judged(given, response, threshold=0.01)
    assert not list(tmp_path.iterdir())


def test_the_scorer_cannot_be_asked_for_the_gold_answer() -> None:
    given = problem("string_insertion")
    for answer in ("oracle_answer", "[oracle_answer]", "entry", "[entry['answer']]"):
        assert judged(given, answer, threshold=0.01).score == 0.0


def test_a_threshold_takes_part_of_the_credit() -> None:
    posed = asked("rectangle_count", "5")
    score, answer, reason, *_ = judged(posed, "6")
    assert (score, answer) == (0.0, "6")
    [given] = [float(word) for word in reason.split() if word.startswith("0.")]
    assert judged(posed, "6", threshold=given)[:3] == (1.0, "6", reason)
    assert judged(posed, "6", threshold=min(1.0, given + 0.01)).score == 0.0


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5])
def test_a_threshold_is_within_the_scores(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Procedural(threshold=threshold)


@pytest.mark.parametrize(
    ("gold", "response", "answer"),
    [
        ("7", "**7**", "7"),
        ("7", "The answer is `7`.", "7"),
        ("7", "The answer is $7$.\nBecause 3 + 4.", "7"),
        ("7", "\\boxed{\\text{7}}", "7"),
        ("7.", "7.", "7."),
        ("$7$", "$7$", "$7$"),
        ("1 2\n3 4", "So:\n1 2\n3 4\n", "1 2\n3 4"),
        ("1 2\n3 4", "Answer:\n1 2\n3 4\n\nThat is all.", "1 2\n3 4"),
        ("[1, 2]", "[1,\n 2]", "[1,\n 2]"),
        ("7", "I say\n<answer>7\n8</answer>", "7\n8"),
        ("7", "", None),
        ("7", " \n", None),
    ],
)
def test_one_answer_is_read(gold: str, response: str, answer: str | None) -> None:
    assert Procedural().extract(asked("dice", gold), response) == answer


def test_a_scorer_that_can_make_nothing_of_an_answer_finds_it_wrong() -> None:
    score, answer, reason, *_ = judged(problem("prime_factorization"), "banana")
    assert (score, answer) == (0.0, "banana")
    assert reason == "reasoning-gym can't read 'banana': ValueError"


def test_a_problem_from_elsewhere_is_not_judged() -> None:
    assert judged(Problem.of("?", "7", "procedural"), "7").score is None


def test_scorers_do_not_change_the_problem() -> None:
    given = problem("tower_of_hanoi")
    before = json.dumps(given.to_dict())
    judged(given, str(given.answer))
    assert json.dumps(given.to_dict()) == before


SUMS = [
    ("3 + 6 = 9", 1.0),
    ("The final answer to this arithmetic problem is 9.", 1.0),
    ("<answer>3 + 6 = 9</answer>", 1.0),
    ("3 + 6 = 8", 0.0),
    ("8 or 9", 0.0),
    ("It is 9\nIt is 8", 0.0),
    ("-9", 0.0),
    ("It is 9 square metres.", 1.0),
    ("So it comes to **$9$**.", 1.0),
    ("The answer is 9. I tried it in 3 ways.", 1.0),
    ("<answer>Total: 9°</answer>", 1.0),
    *((wrong, 0.0) for wrong in ("3, 9", "3,9", "3 - 9", "- 9", "--9", "-(9)", "[9]", "9!", "9x", "9 and a half")),
    *((wrong, 0.0) for wrong in ("3 != 9", "Not 3 + 6 = 9", "It isn't 9", "minus 9", "9 thousand", "9 = 10 - 1")),
]


@pytest.mark.parametrize(("response", "score"), SUMS)
def test_where_the_gold_answer_is_a_number_the_one_number_is_read(response: str, score: float) -> None:
    assert judged(asked("chain_sum", "9"), response).score == score
