"""The task's own solutions as the only rollouts: plain fine-tuning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from byheart.config import recipe, validation
from byheart.contracts import Task, Verifier
from byheart.curation import CurationOptions
from byheart.curation.dataset import write_card
from byheart.errors import RecipeError
from byheart.objectives.sft import SFT
from byheart.plugins.plugin import Member, named
from byheart.runs.records import TrainStats
from byheart.runs.stages import About, Stage
from byheart.templates import render_card
from byheart.types import Dataset, Policy, Problem

from tests.conftest import verifier_by
from tests.fakes import PLAIN, SUM, attempts, saying
from tests.report.runs import counts


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
    def asking(num_slow: int = 0, strategy: Any = "gold", later: Any = None, **curation: Any) -> recipe.Recipe:
        raw = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "strategy": strategy}
        schedule = {"strategy": [strategy, later]} if later else {}
        return recipe.parse(raw | {"curation": curation, "evaluation": {"num_slow": num_slow}, "schedule": schedule})

    fitting = asking(min_tokens=0, max_hinted=1.0)
    validation.check(fitting)
    with pytest.raises(RecipeError, match=r"strategy: gold needs gold answers, and the task '.*' has none"):
        validation.check(fitting.model_copy(update={"task": Unlabelled()}))
    for unfit in (asking(max_hinted=1.0), asking(min_tokens=0), asking(5, min_tokens=0, max_hinted=1.0)):
        with pytest.raises(RecipeError, match=r"curation would drop them, .*; say curation: .*, evaluation: "):
            validation.check(unfit)
    for mixed in ({"strategy": {"name": "mixture", "parts": ["gold", "direct"]}}, {"later": "direct"}):
        with pytest.raises(RecipeError, match="strategy: gold is the one strategy of a run"):
            validation.check(asking(min_tokens=0, max_hinted=1.0, **mixed))


@pytest.mark.parametrize("strategy", ["gold", "direct"])
def test_cards_say_whose_solutions_they_are(tmp_path: Path, strategy: str) -> None:
    about = About("r", "m", "t", strategy, "line", None)
    (tmp_path / "dataset.part").mkdir()
    stage = Stage(tmp_path, tmp_path, 1, "curate", 0, about)
    write_card(stage, [], counts(num_rows=3), CurationOptions(), verifier_by())
    training = {"policy": Policy("m"), "objective": SFT(), "lora": None, "stats": TrainStats(), "scores": False}
    dataset = Dataset(tmp_path, 3, "d")
    model = render_card("model_card.md", about=about, round=1, dataset=dataset, environments=[], **training)
    data = (tmp_path / "dataset/README.md").read_text()
    gold = strategy == "gold"
    assert ("self-improvement" in model, "self-improvement" in data) == (not gold, not gold)
    assert f"trained on 3 verified solutions of {'the task' if gold else 'the model itself'}." in model
    assert f"3 solutions {'of the task' if gold else 'by m itself'} that" in data
