"""reasoning-gym's generators: endless, made again from seed and index, wrong options refused before anything runs."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from byheart.errors import RecipeError, TaskError
from byheart.tasks.core.splits import source

pytestmark = pytest.mark.corpus
reasoning_gym = pytest.importorskip("reasoning_gym")

SUMS = {"name": "reasoning_gym", "dataset": "chain_sum", "config": {"min_terms": 2, "max_terms": 2}}


@pytest.mark.parametrize("dataset", ["chain_sum", "acre", "word_sorting", "leg_counting", "aiw", "simple_geometry"])
def test_meta_makes_the_problem_again(options: Callable[..., Any], dataset: str) -> None:
    """Also past the first block, which is as long as the generator's default size, such as 10 in aiw."""
    for problem in islice(options(name="reasoning_gym", dataset=dataset).problems(3), 0, 150, 15):
        made = problem.meta["reasoning_gym"]
        entry = reasoning_gym.create_dataset(made["dataset"], **made["config"], seed=made["seed"])[made["index"]]
        assert not isinstance(problem.prompt, str)
        assert problem.prompt[0]["content"].startswith(entry["question"])
        assert problem.answer == entry["answer"]


def test_it_never_ends_and_the_seed_decides(options: Callable[..., Any]) -> None:
    asked = options(**SUMS)
    first, again, other = (list(islice(asked.problems(seed), 1200)) for seed in (1, 1, 2))
    assert first == again
    ours, theirs = ({problem.id for problem in found} for found in (first, other))
    assert len(ours) > 1000
    assert len(ours & theirs) < 300  # reasoning-gym's seed 2 is its seed 1, one problem later


def test_a_generator_of_few_problems_comes_to_an_end(options: Callable[..., Any]) -> None:
    few = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    found = list(source(options(**SUMS | {"config": few}), 0))
    assert 190 <= len(found) <= 200  # ten digits, ten digits, plus or minus


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"dataset": "chain_sums"}, "no 'chain_sums', did you mean 'chain_sum'"),
        ({"config": {"max_term": 3}}, "chain_sum has no option 'max_term', did you mean 'max_terms'"),
        ({"config": {"seed": 3}}, "has no option 'seed'"),
        ({"config": {"size": 3}}, "has no option 'size'"),
        ({"config": {"min_terms": 9}}, "refuses its config: max_terms must be >= min_terms"),
        ({"config": {"min_terms": "two"}}, "refuses its config"),
        ({"config": 3}, "config"),
        ({"prompt": "What is it?"}, "uses none of {problem}"),
        ({"dataset": "composite", "config": {}}, "it mixes other generators"),
        ({"dataset": "list_functions", "config": {}}, "can't be had again"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_with_the_recipe(options: Callable[..., Any], wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        options(**SUMS | wrong)
    assert words in str(error.value)


def test_a_generator_that_depends_on_the_hash_seed_wants_it_fixed(
    options: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    with pytest.raises(RecipeError, match="PYTHONHASHSEED=0"):
        options(name="reasoning_gym", dataset="ransom_note")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    assert options(name="reasoning_gym", dataset="ransom_note").dataset == "ransom_note"


def test_a_config_that_makes_no_problem_is_refused_and_not_tried_for_ever(
    options: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("byheart.tasks.reasoning_gym.MAX_FAILURES", 5)
    out_of_reach = {"min_numbers": 2, "max_numbers": 2, "max_value": 2, "min_target": 500, "max_target": 600}
    asked = options(name="countdown", **out_of_reach)
    with pytest.raises(TaskError, match=r"countdown makes no problem with this config: Failed to generate"):
        next(source(asked, 0))


def test_countdown_keeps_to_its_bounds(options: Callable[..., Any]) -> None:
    asked = options(name="countdown", min_numbers=3, max_numbers=3, max_value=9, min_target=10, max_target=30)
    for problem in islice(source(asked, 0), 50):
        made = problem.meta["reasoning_gym"]
        facts = reasoning_gym.create_dataset("countdown", **made["config"], seed=made["seed"])[made["index"]][
            "metadata"
        ]
        assert len(facts["numbers"]) == 3
        assert max(facts["numbers"]) <= 9
        assert 10 <= facts["target"] <= 30


def test_countdown_refuses_bounds_that_cross(options: Callable[..., Any]) -> None:
    with pytest.raises(RecipeError, match="max_numbers must be >= min_numbers"):
        options(name="countdown", min_numbers=5)
