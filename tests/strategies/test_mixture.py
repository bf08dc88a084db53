"""Several strategies for one task, played by hand: each reply is given by the test."""

from collections import Counter
from typing import Any

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Strategy
from byheart.errors import RecipeError
from byheart.strategies.few_shot import FewShot
from byheart.strategies.mixture import Mixture
from byheart.types import Generate, Problem, Rollout

from tests.fakes import SUM, FakeVerifier, attempts, in_turn, saying

PROBLEM = Problem.of("2 + 2", "4", "number")
CHEAP = {"name": "direct", "samples": 1, "max_samples": 1, "temperature": 0}
DEAR = {"name": "best_of", "samples": 2, "temperatures": [0.5], "min_tokens": 2}
SHOWN = {"name": "few_shot", "examples": [{"prompt": "1 + 1", "response": "2"}], "shots": 1, "max_samples": 1}


def played(parts: list[Any], texts: list[str], **rest: Any) -> list[Rollout]:
    """What comes of it where the engine answers with `texts` in turn; a text that ends in "~" was cut off."""
    engine = in_turn(*texts)
    rollouts = attempts(PROBLEM, engine, mixed(parts) | rest, FakeVerifier()).rollouts
    assert sum(request.n for request in engine.taken) == len(texts), "not all was asked for"
    return rollouts


def by_part(rollouts: list[Rollout]) -> list[tuple[str, str]]:
    return [(rollout.strategy, rollout.response) for rollout in rollouts]


def test_what_the_cheap_part_solves_the_dear_one_never_sees() -> None:
    assert by_part(played([CHEAP, DEAR], ["4"])) == [("direct", "4")]


def test_what_it_does_not_solve_goes_on_and_every_rollout_says_who_made_it() -> None:
    rollouts = played([CHEAP, DEAR, SHOWN], ["5", "6", "so 4"])
    assert by_part(rollouts) == [("direct", "5"), ("best_of", "6"), ("best_of", "so 4")]
    assert [rollout.selected for rollout in rollouts] == [True, False, True]


def test_an_answer_that_was_cut_off_or_not_chosen_solves_nothing() -> None:
    guesses = DEAR | {"min_tokens": 3}
    rollouts = played([CHEAP, guesses, SHOWN], ["so 4~", "4", "5", "6"])
    assert [rollout.strategy for rollout in rollouts] == ["direct", "best_of", "best_of", "few_shot"]


def test_one_that_was_given_the_answer_has_not_solved_it() -> None:
    hint = {"name": "rationalize", "of": CHEAP, "prompt": "{problem} hint-{answer}", "samples": 1}
    ended = attempts(SUM, saying(lambda prompt: "so 4" if "hint-4" in prompt else "5"), mixed([hint, CHEAP]))
    assert [(rollout.strategy, rollout.note) for rollout in ended.rollouts] == [
        ("direct", ""),
        ("rationalize", "rationalized"),
        ("direct", ""),
    ]


def mixed(parts: list[Any]) -> dict[str, Any]:
    return {"name": "mixture", "parts": parts}


def test_a_part_whose_prompt_is_refused_costs_what_it_would_have_found_and_no_more() -> None:
    long = CHEAP | {"prompt": "{problem} Think!"}
    for parts in ([CHEAP, long], [long, CHEAP]):
        ended = attempts(SUM, saying(lambda _: "5", refuses="Think!"), mixed(parts))
        assert (by_part(ended.rollouts), ended.failure) == ([("direct", "5")], None)
    assert attempts(SUM, saying(lambda _: "5", refuses="Think!"), mixed([long, long])).failure == "too long"


def test_all_parts_have_their_turn_where_none_solves_it() -> None:
    assert len(played([CHEAP, CHEAP, DEAR], ["5", "6", "7", "8"])) == 4


def test_a_problem_meets_the_same_one_of_the_parts_again_and_each_has_its_share() -> None:
    problems = [Problem.of(f"{n} + 2", "4", "number") for n in range(300)]
    parts = [Strategy.parse(part) for part in (CHEAP, DEAR, SHOWN)]
    mixture = Mixture(parts=parts, how="proportions", weights=[6, 3, 1])
    first, again = ([next(mixture.solve(problem)) for problem in problems] for _ in range(2))
    assert first == again
    shares = Counter(str(requests[0].temperature) for requests in first if isinstance(requests[0], Generate))
    assert 150 < shares["0.0"] < 210
    assert 60 < shares["0.5"] < 120
    assert 15 < shares["1.0"] < 50


def test_in_proportions_one_part_alone_has_the_problem() -> None:
    rest: dict[str, Any] = {"how": "proportions", "weights": [1e-9, 1]}
    assert by_part(played([DEAR, CHEAP], ["5"], **rest)) == [("direct", "5")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": [CHEAP]}, "parts: .*at least 2"),
        ({"parts": [CHEAP, "driect"]}, "did you mean 'direct'"),
        ({"parts": [CHEAP, {"name": "few_shot"}]}, "source: given needs examples"),
        ({"parts": [CHEAP, DEAR], "how": "proportions", "weights": [1]}, "weights: 1 of them for 2 parts"),
        ({"parts": [CHEAP, DEAR], "how": "proportions", "weights": [1, 0]}, "weights.1: .*greater than 0"),
        ({"parts": [CHEAP, DEAR], "how": "proportions", "weights": [1, float("inf")]}, "weights.1: .*finite"),
        ({"parts": [CHEAP, DEAR], "weights": [1, 1]}, "weights are for how: proportions"),
    ],
)
def test_a_recipe_is_told_what_does_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parsed(options)


def parsed(options: dict[str, Any]) -> recipe.Recipe:
    raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}}
    return recipe.parse(raw | {"strategy": {"name": "mixture", **options}})


def test_a_recipe_holds_its_parts() -> None:
    made = parsed({"parts": [CHEAP, DEAR]})
    assert recipe.parse(made.resolved()).strategy == made.strategy
    assert made.resolved()["strategy"]["parts"][1]["samples"] == 2


def test_a_part_has_its_say_on_the_rest_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(part: FewShot, recipe: recipe.Recipe) -> None:
        raise RecipeError(f"{part.shots} shot does not go with {recipe.task.name}")

    monkeypatch.setattr(FewShot, "check", check)
    with pytest.raises(RecipeError, match="1 shot does not go with times_table"):
        validation.check(parsed({"parts": [CHEAP, SHOWN]}))
