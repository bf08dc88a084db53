"""The task's own solutions as the only rollouts: plain fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Task, Verifier
from byheart.errors import RecipeError
from byheart.plugins.plugin import Member, named
from byheart.types import Problem

from tests.fakes import PLAIN, SUM, attempts, saying


@pytest.mark.parametrize(
    ("problem", "response"),
    [
        (Problem.of(SUM.prompt, "4", "number", {"solution": "2 + 2 = 4"}), "2 + 2 = 4"),
        (SUM, "4"),
        (Problem.of(SUM.prompt, "4", "number", {"solution": " "}), "4"),
        (PLAIN, " 4"),
    ],
)
def test_the_solution_or_else_the_answer_is_the_one_rollout(problem: Problem, response: str) -> None:
    engine = saying(lambda _: "5")
    group = attempts(problem, engine, {"name": "gold"})
    [rollout], [verdict] = group.rollouts, group.verdicts
    assert engine.taken == [], "nothing is sampled"
    assert (rollout.response, rollout.finish_reason, rollout.num_tokens, rollout.token_ids) == (response, "stop", 0, [])
    assert rollout.hinted and rollout.selected and verdict.correct
    assert (rollout.policy, group.num_tokens) == ("gold", 0)


def test_a_problem_without_an_answer_has_no_rollout() -> None:
    assert attempts(Problem.of("?", None, "consensus"), saying(lambda _: "5"), {"name": "gold"}).rollouts == []


class Unlabelled(Task):
    """Problems without answers."""

    has_gold: ClassVar[bool] = False
    verifier: Member[Verifier] = named("consensus", "judges solutions")

    def problems(self, seed: int) -> Iterator[Problem]:
        yield Problem.of("?", None, "consensus")


def test_what_it_needs_is_said_by_name() -> None:
    def asking(**curation: Any) -> recipe.Recipe:
        raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "strategy": {"name": "gold"}}
        return recipe.parse(raw | {"curation": curation})

    fitting = asking(min_tokens=0, max_hinted=1.0)
    validation.check(fitting)
    with pytest.raises(RecipeError, match=r"strategy: gold needs gold answers, and the task '.*' has none"):
        validation.check(fitting.model_copy(update={"task": Unlabelled()}))
    for dropping in (asking(max_hinted=1.0), asking(min_tokens=0)):
        with pytest.raises(RecipeError, match="curation would drop them; say curation: "):
            validation.check(dropping)
