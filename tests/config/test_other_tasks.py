"""Other tasks that are measured are checked as the recipe's own is, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from byheart.config import recipe, validation
from byheart.config.schema import options
from byheart.errors import InputError
from byheart.planning import dry_run

BASE = ["engine={name: scripted, script: script.json}"]
DIGITS = "{name: arithmetic, digits: 3, num_held_out: 20}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script.json").write_text("{}")
    monkeypatch.chdir(tmp_path)


def planned(*overrides: str) -> dry_run.Plan:
    return dry_run.plan(recipe.read(recipe.shipped()["addition"], [*BASE, *overrides]), Path("run"), 1)


@pytest.mark.parametrize(
    ("also", "words"),
    [
        ("{a b: {task: times_table}}", r"evaluation\.also\.a b.*string should match pattern"),
        ("{a: {}}", r"evaluation\.also\.a\.task is missing"),
        ("{a: {task: times_tabel}}", r"evaluation\.also\.a\.task\.name: .* did you mean 'times_table'"),
        ("{a: {task: {name: arithmetic, digit: 3}}}", r"evaluation\.also\.a\.task\.digit', did you mean 'digits'"),
        ("{a: {task: times_table, max_token: 3}}", r"'evaluation\.also\.a\.max_token', did you mean 'max_tokens'"),
        ("{a: {task: times_table, prompt: hm}}", r"evaluation\.also\.a\.prompt: it has to use {problem}"),
        (
            "{a: {task: {name: times_table, num_held_out: 900}}}",
            r"^evaluation\.also\.a: task.num_held_out asks for 900",
        ),
        ("{a: {task: {name: file, path: no.jsonl, verifier: number}}}", r"^evaluation\.also\.a: .* no file no\.jsonl"),
        ("{a: {task: times_table, max_tokens: 900}}", r"^evaluation\.also\.a\.max_tokens: an answer of 900 tokens"),
        ("{a: {task: {name: times_table, verifier: model_judge}}}", r"^evaluation\.also\.a: .* a model's opinion"),
        ("{a: {task: {name: times_table, num_held_out: 9, verifier: choice}}}", r"^evaluation\.also\.a: .* can't read"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_one_line_that_names_it(also: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        planned(f"evaluation.also={also}", "evaluation.controls={}")
    assert "\n" not in str(raised.value)


def test_a_schedule_does_not_change_them() -> None:
    with pytest.raises(
        InputError, match=r"'evaluation\.also\.a\.max_tokens' can't change; .* but for evaluation\.also"
    ):
        planned(f"evaluation.also={{a: {{task: {DIGITS}}}}}", "schedule={evaluation.also.a.max_tokens: [8, 9]}")


def test_a_dry_run_counts_them() -> None:
    without, both = (
        {stage.stage: stage for stage in planned(f"evaluation.also={also}").stages}
        for also in ("{}", f"{{a: {{task: {DIGITS}, max_tokens: 9}}}}")
    )
    assert both["load"].would == f"{without['load'].would}, 20 of a elsewhere"
    assert without["evaluate"] == without["evaluate"]._replace(
        would="400 answers of the new policy", estimate="at most 8,000 tokens"
    )
    assert both["evaluate"][1:] == ("420 answers of the new policy", "at most 8,180 tokens")


def test_an_option_of_one_can_be_overridden() -> None:
    also = recipe.read(recipe.shipped()["q_star"], ["evaluation.also.five_numbers.task.num_held_out=7"]).evaluation.also
    assert also["five_numbers"].task.num_held_out == 7
    assert recipe.read(recipe.shipped()["q_star"], ["evaluation.also={}"]).evaluation.also == {}


def test_a_path_is_looked_for_beside_the_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "sums.jsonl").write_text('{"prompt": "1 + 1", "answer": 2}\n')
    file = "{name: file, path: sums.jsonl, verifier: number, num_held_out: 1}"
    (folder / "mine.yaml").write_text(
        f"extends: addition\nname: mine\nengine: {{name: scripted, script: script.json}}\n"
        f"evaluation: {{also: {{a: {{task: {file}}}}}}}\n"
    )
    mine = recipe.read(folder / "mine.yaml")
    validation.check(mine)
    assert dry_run.plan(mine, Path("run"), 1).stages[0].would.endswith("1 of a elsewhere")


def test_options_show_what_they_may_say() -> None:
    assert [row.option for row in options("evaluation.also").rows] == ["prompt", "max_tokens", "task"]
    assert "arithmetic" in dict(options("evaluation.also.task").members)


@pytest.mark.parametrize("name", sorted(recipe.shipped().keys() - {"addition", "addition_gold"}))
def test_every_shipped_recipe_but_the_default_measures_something_else(name: str) -> None:
    also = recipe.read(recipe.shipped()[name]).evaluation.also
    assert also and all(asked.task.num_held_out <= 100 for asked in also.values())
