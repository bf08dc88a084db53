"""Many tries and one choice."""

from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Verifier
from byheart.errors import RecipeError
from byheart.strategies.best_of import BestOf, most_common, tree_size
from byheart.types import Generate, Problem, Rollout, Score, Verdict, Verify, replace

from tests.fakes import SUM, FakeEngine, FakeVerifier, attempts, completion, ends_right, in_turn, saying

PROBLEM = Problem.of("2 + 2", "4", "number")


def played(
    texts: list[str], values: list[float | None] | None = None, problem: Problem = PROBLEM, **rest: Any
) -> list[Rollout]:
    """What comes of these samples: right is what ends in 4, and the last word is the answer. The scorer is asked only
    where there are `values`, and about as many responses."""

    def scores(request: Score) -> list[float | None]:
        assert values is not None and len(request.responses) == len(values)
        assert request.prompt == problem.prompt
        return values

    strategy = {"name": "best_of", "samples": len(texts), **rest}
    rollouts = attempts(problem, FakeEngine(lambda _: texts, scores), strategy, FakeVerifier(judged)).rollouts
    assert [rollout.response for rollout in rollouts] == [text.removesuffix("~") for text in texts]
    assert {rollout.strategy for rollout in rollouts} == {"best_of"}
    return rollouts


def judged(request: Verify) -> list[Verdict]:
    """What is right by the gold answer, or which answers are equal, asked as though one of them were the gold one."""
    assert request.by is None or request.by.name == "number"
    return ends_right(request if request.problem.answer else replace(request, problem=PROBLEM))


def chosen(*arguments: Any, **rest: Any) -> list[str]:
    return [rollout.response for rollout in played(*arguments, **rest) if rollout.selected]


def test_the_samples_are_spread_evenly_over_the_temperatures() -> None:
    options = BestOf(samples=8, temperatures=[0, 0.5, 1.0], top_p=0.9, max_tokens=7)
    asked = next(options.solve(PROBLEM))
    assert asked == [
        Generate(PROBLEM.prompt, n=n, temperature=temperature, top_p=0.9, max_tokens=7)
        for n, temperature in ((3, 0), (3, 0.5), (2, 1.0))
    ]


def test_each_temperature_has_a_sample() -> None:
    with pytest.raises(ValueError, match="1 can't be spread over 2 temperatures"):
        BestOf(samples=1, temperatures=[0.5, 1.0])


def test_the_most_concise_right_one_is_chosen_and_the_others_are_kept() -> None:
    assert chosen(["a sum of 4", "it is 4", "5", "is it not 4"]) == ["it is 4"]


def test_the_shortest_is_not_chosen_where_it_is_under_the_floor() -> None:
    assert chosen(["4", "so 4", "2 + 2 = 4"], min_tokens=4) == ["2 + 2 = 4"]


def test_what_was_cut_off_is_not_chosen() -> None:
    assert chosen(["so 4~", "is it not 4"]) == ["is it not 4"]


def test_none_is_chosen_where_none_is_right() -> None:
    assert chosen(["5", "6"]) == []


def test_among_all_the_shortest_is_chosen_though_it_be_wrong() -> None:
    assert chosen(["so it is 4", "is 5"], among="all") == ["is 5"]


def test_of_programs_as_short_the_one_with_the_smallest_syntax_tree_is_chosen() -> None:
    problem = Problem.of("Write f.", None, "code", {"entry_point": "f", "tests": [{"assert": "f() == 4"}]})
    large, small = (f"```python\ndef f(): return {value}\n```\n# 4" for value in ("(1+1)+2", "max([4])"))
    assert tree_size(problem, small) < tree_size(problem, large)
    assert chosen([large, small], problem=problem) == [small]
    assert sorted([large, small])[0] == large, "else its text alone would have decided"


@pytest.mark.parametrize("text", ["```python\ndef f(:\n```", "```python\nx = " + "-" * 100_000 + "1\n```"])
def test_what_is_no_python_comes_after_any_program(text: str) -> None:
    assert tree_size(PROBLEM, text) == float("inf")


def test_equals_are_told_apart_by_their_text_whatever_their_order() -> None:
    assert chosen(["so 4", "is 4"]) == chosen(["is 4", "so 4"]) == ["is 4"]


def test_the_majority_decides_and_the_most_concise_of_it_is_chosen() -> None:
    texts = ["4", "well it is 5", "is it 4", "so 5", "I say 5"]
    assert chosen(texts, choose="majority", among="all") == ["so 5"]


def test_of_classes_as_large_the_most_concise_one_is_chosen() -> None:
    assert chosen(["so it is 6", "is 5"], choose="majority", among="all") == ["is 5"]


MAJORITY = {"name": "best_of", "choose": "majority", "among": "all", "samples": 5}


def test_answers_that_are_written_differently_agree_where_the_verifier_finds_them_equal() -> None:
    ended = attempts(SUM, saying(lambda _: ["is 5", "is 5", "it is 4", "is 4.0", "so 4.00"]), MAJORITY)
    assert [rollout.response for rollout in ended.rollouts if rollout.selected] == ["is 4.0"]
    assert [verdict.score for verdict in ended.verdicts] == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_the_majority_does_not_see_the_gold_answer() -> None:
    ended = attempts(SUM, saying(lambda _: ["is 5", "is 5.0", "is 4", "is 6", "is 5"]), MAJORITY)
    assert [rollout.response for rollout in ended.rollouts if rollout.selected] == ["is 5"]


@pytest.mark.parametrize(
    ("verifier", "known"),
    [
        ("number", True),
        ("code", False),
        pytest.param("procedural", False, marks=pytest.mark.corpus),
        ("regex", False),
        ("all", False),
    ],
)
def test_what_is_not_judged_by_the_answer_alone_agrees_by_its_letters(verifier: str, known: bool) -> None:
    problem, completions = replace(SUM, verifier=verifier), [completion("x", n) for n in range(2)]
    rollouts = [Rollout.of(problem, each, "best_of") for each in completions]
    verdicts = [Verdict("", "v", 0.0, answer, "") for answer in ("4", "4.0")]
    grouping = most_common(problem, list(zip(rollouts, verdicts, strict=True)))
    if known:
        assert next(grouping) == [Verify(replace(problem, answer="4"), ["4.0"], chosen_verifier("number"))]
        return
    with pytest.raises(StopIteration) as end:
        next(grouping)
    assert end.value.value == rollouts


def chosen_verifier(name: str) -> Any:
    return Verifier.parse(name)


def test_a_scorer_is_chosen_by_only_where_one_is_trained() -> None:
    raw: dict[str, Any] = {"name": "t", "model": {"name": "smollm2-135m"}, "task": {"name": "times_table"}}
    scoring: dict[str, Any] = {"name": "best_of", "choose": "score"}
    for strategy in (scoring, {"name": "mixture", "parts": ["direct", scoring]}):
        with pytest.raises(RecipeError, match="'sft' trains none; say objective: vstar"):
            validation.check(recipe.parse(raw | {"strategy": strategy}))
    vstar = {"objective": {"name": "vstar"}}
    for fitting in ({"strategy": scoring} | vstar, {"strategy": {"name": "best_of"}}):
        parsed = recipe.parse(raw | fitting)
        parsed.strategy.check(parsed)
    parsed = recipe.parse(raw | {"strategy": scoring | {"aggregate": "min"}} | vstar)
    with pytest.raises(RecipeError, match="'vstar' trains a scorer of whole solutions, not of steps"):
        parsed.strategy.check(parsed)


def test_where_no_answer_was_read_responses_that_read_alike_agree() -> None:
    texts = ["No", "it  is SO", "It is so", "it is not"]
    unread = FakeVerifier(lambda request: [Verdict("", "v", None, None, "no gold answer")] * len(request.responses))
    ended = attempts(PROBLEM, in_turn(*texts), MAJORITY | {"samples": 4}, unread)
    assert [rollout.response for rollout in ended.rollouts if rollout.selected] == ["It is so"]


def test_the_scorer_decides_among_the_right_ones_and_its_values_are_kept() -> None:
    rollouts = played(["4", "so 4", "5", "it is 4"], [-3.0, -1.5, -2.0], choose="score")
    assert [rollout.response for rollout in rollouts if rollout.selected] == ["so 4"]
    assert [rollout.value for rollout in rollouts] == [-3.0, -1.5, None, -2.0]


def test_without_a_scorer_the_most_concise_is_chosen() -> None:
    rollouts = played(["it is 4", "so 4"], [None, None], choose="score")
    assert [rollout.response for rollout in rollouts if rollout.selected] == ["so 4"]
    assert [rollout.value for rollout in rollouts] == [None, None]


def test_a_solution_is_worth_the_last_the_lowest_or_the_product_of_its_steps() -> None:
    texts = ["a\n4", "b\n4"]
    last = played(texts, [0.5, 0.4], choose="score")
    assert [rollout.value for rollout in last] == [0.5, 0.4]
    steps: list[float | None] = [0.2, 0.5, 0.4, 0.4]  # "a", "a 4", "b", "b 4"
    for aggregate, values in (("min", [0.2, 0.4]), ("product", [0.1, 0.16])):
        rollouts = played(texts, steps, choose="score", aggregate=aggregate)
        assert [rollout.value for rollout in rollouts] == pytest.approx(values)
        assert [rollout.response for rollout in rollouts if rollout.selected] == ["b\n4"]


def test_the_scorer_is_not_asked_where_there_is_nothing_to_choose() -> None:
    assert chosen(["5", "6"], choose="score") == []


def test_the_teacher_is_asked_in_a_prompt_of_its_own_that_the_student_never_sees() -> None:
    engine = in_turn("so 4")
    strategy = {"name": "best_of", "samples": 1, "prompt": "{problem}\nThink."}
    [rollout] = attempts(PROBLEM, engine, strategy).rollouts
    assert engine.prompts == [["2 + 2\nThink."]]
    assert rollout.prompt == "2 + 2"


def test_a_recipe_is_told_what_does_not_fit() -> None:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
    with pytest.raises(RecipeError, match="samples: 2 can't be spread over 3 temperatures"):
        recipe.parse(raw | {"strategy": {"name": "best_of", "samples": 2, "temperatures": [0.5, 1, 2]}})
