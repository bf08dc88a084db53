"""Answers that can't fit the context are refused before a run, by the option that asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from byheart import loop
from byheart.config import recipe, validation
from byheart.errors import RecipeError
from byheart.planning import dry_run

from tests.models import directories

SCRIPTED = ["engine={name: scripted, script: script.json}"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "script.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(name: str, *overrides: str) -> str:
    with pytest.raises(RecipeError) as raised:
        validation.check(recipe.read(recipe.shipped()[name], [*SCRIPTED, *overrides]))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("context", [0, -4, 1])
def test_a_context_holds_a_prompt_and_an_answer(context: int) -> None:
    with pytest.raises(RecipeError, match=f"model.max_context: .* 2, this is {context}$"):
        recipe.read(recipe.shipped()["addition"], [f"model.max_context={context}"])


@pytest.mark.parametrize(
    ("name", "override", "key"),
    [
        ("addition", "strategy.max_tokens=4000", "strategy.max_tokens: an answer of 4,000 tokens"),
        ("addition", "strategy.max_tokens=257", "strategy.max_tokens: an answer of 257 tokens"),
        ("addition", "evaluation.worked.max_tokens=500", "evaluation.worked.max_tokens: an answer of 500 tokens"),
        ("addition", "evaluation.fast.max_tokens=257", "evaluation.fast.max_tokens: an answer of 257 tokens"),
        ("addition", "schedule={strategy.max_tokens: [20, 300]}", "strategy.max_tokens: an answer of 300 tokens"),
        ("reflect", "strategy.critique_tokens=400", "strategy.critique_tokens: an answer of 400 tokens"),
        ("decompose", "strategy.divide_tokens=700", "strategy.divide_tokens: an answer of 700 tokens"),
        ("self_ask", "strategy.answer_tokens=1500", "strategy.answer_tokens: an answer of 1,500 tokens"),
        ("rationalize", "strategy.of.max_tokens=300", "strategy: direct.max_tokens: an answer of 300 tokens"),
        (
            "rest_mcts",
            "schedule={strategy: [{name: beam, step_tokens: 400}]}",
            "strategy.step_tokens: an answer of 400",
        ),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(here: Path, name: str, override: str, key: str) -> None:
    said = refused(name, override)
    assert said.startswith(key)
    assert "does not fit model.max_context, " in said


def test_the_models_own_context_counts_where_it_is_shorter(here: Path) -> None:
    path = directories.model(here / "m")
    asked = [*SCRIPTED, f"model={{name: {path}, max_context: 512}}", "objective=none"]
    fitting = recipe.read(recipe.shipped()["addition"], [*asked, "strategy.max_tokens=63"])
    about = dry_run.plan(fitting, here / "run", 1).notes[0]
    assert "its own context, 64 tokens, is shorter than model.max_context" in about
    for override in ("strategy.max_tokens=64", "schedule={evaluation.worked.max_tokens: [20, 70]}"):
        wrong = recipe.read(recipe.shipped()["addition"], [*asked, override])
        for refusing in (lambda one: dry_run.plan(one, here / "run", 1), lambda one: loop.run(one, here / "run")):
            with pytest.raises(RecipeError, match="does not fit the model's own context, 64, which holds"):
                refusing(wrong)


def test_what_a_recipe_does_not_say_is_bounded_by_the_context(here: Path) -> None:
    defaults = recipe.parse(
        {"name": "r", "model": {"name": "a/b", "max_context": 100}, "task": {"name": "arithmetic"}, "objective": "none"}
    )
    validation.check(defaults)


@pytest.mark.parametrize("name", ["addition", "reflect", "decompose", "self_ask", "rationalize", "mixture", "q_star"])
def test_recipes_that_come_with_byheart_fit(here: Path, name: str) -> None:
    validation.check(recipe.read(recipe.shipped()[name], SCRIPTED))
