"""Options explain themselves: to editors by a JSON schema, to people by tables; and the shipped recipes say what they
are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from byheart.config import recipe, shipped
from byheart.config.recipe import DEFAULTS, Recipe
from byheart.config.schema import FAMILIES, options, schema, type_name
from byheart.contracts import Strategy
from byheart.errors import InputError, RecipeError
from byheart.files import load_yaml
from byheart.plugins import registry
from byheart.plugins.plugin import SHIPPED, Options, Plugin

from tests.conftest import ROOT

RECIPES = sorted(SHIPPED.glob("*.yaml"))


def kinds() -> list[type[Options]]:
    """Every class of options that a recipe can hold."""
    known: list[type[Options]] = [Recipe]
    for family in FAMILIES:
        known += [registry.resolve(family, name) for name in registry.listed(family)]
    for kind in known:
        for field in kind.model_fields.values():
            for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
                own = isinstance(inner, type) and issubclass(inner, Options) and not issubclass(inner, Plugin)
                if own and inner not in known:
                    known.append(inner)
    return known


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_option_says_what_it_is(kind: type[Options]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


def test_the_schema_beside_the_recipes_is_the_present_one() -> None:
    assert json.loads(shipped.SCHEMA.read_text("utf-8")) == schema(), "run: byheart schema --out recipes/schema.json"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_fits_the_schema_and_points_to_it(path: Path) -> None:
    text = path.read_text("utf-8")
    jsonschema.validate(load_yaml(text), schema())
    assert "# yaml-language-server: $schema=schema.json\n" in text
    assert text.startswith(f"# {shipped.header(path).summary}\n")


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategy": {"name": "direct", "sample": 3}},
        {"strategy": "dirct"},
        {"strategy": {"name": "direct", "samples": "3"}},
        {"strategy": {"name": "mixture", "parts": [{"name": "beam"}, {"name": "direct", "beams": 3}]}},
        {"task": {"name": "arithmetic", "operations": ["/"]}},
        {"tusk": {}},
        {"curation": {"steps": {"target": "much"}}},
    ],
)
def test_the_schema_refuses_what_a_recipe_may_not_say(wrong: dict[str, Any]) -> None:
    sound = {"name": "t", "model": {"name": "m"}, "task": {"name": "arithmetic"}, "strategy": {"samples": 3}}
    jsonschema.validate(sound, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sound | wrong, schema())


def test_options_of_a_member_have_type_default_and_description() -> None:
    rows = {row.option: row for row in options("strategy.direct").rows}
    assert rows["max_samples"][1:3] == ("integer", "8")
    assert rows["temperature"].type == "number | list of number"
    assert rows["patience"][1:3] == ("integer | null", "null")
    assert rows["prompt"].default == "'{problem}'"
    assert "name" not in rows
    assert all(row.description for row in rows.values())


def test_options_of_a_section_and_of_all_of_a_recipe() -> None:
    assert {row.option: row.type for row in options("curation.steps").rows}["target"].startswith("monte_carlo | hard")
    top = {row.option: row for row in options().rows}
    assert (top["task"].type, top["task"].default, top["strategy"].default) == ("task", "required", "direct")
    assert "extends" in top
    assert [name for name, _ in options("strategy").members] == registry.listed("strategies")
    assert all(text for _, text in options("strategy").members)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_member_of_every_family_can_be_looked_up(family: str) -> None:
    section = FAMILIES[family]
    assert [name for name, _ in options(section).members] == registry.listed(family)
    for name in registry.listed(family):
        kind = registry.resolve(family, name)
        assert {row.option for row in options(f"{section}.{name}").rows} == kind.model_fields.keys() - {"name"}
    assert options("task.gsm8k.verifier.number").rows == options("verifier.number").rows


def test_types_are_said_as_people_say_them() -> None:
    types = {
        f"{kind.__name__}.{name}": type_name(field.annotation)
        for kind in kinds()
        for name, field in kind.model_fields.items()
    }
    assert types["ModelOptions.date"] == "date | null"
    assert [option for option, said in types.items() if re.search(r"[<>'\[\]]", said)] == []


def test_options_that_hold_options_show_their_defaults() -> None:
    rows = {row.option: row.default for row in options("evaluation").rows}
    assert rows["fast"] == "{prompt: '{problem}', max_tokens: 16}"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("strateg", "did you mean 'strategy'?"),
        ("strategy.dirct", "strategy has no 'dirct', did you mean 'direct'?"),
        ("seed", "seed has no options of its own"),
        ("strategy.direct.samples", "has no options of its own"),
    ],
)
def test_options_of_what_there_is_not_are_refused(path: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("?", r"\?")):
        options(path)


def test_a_strategy_of_strategies_has_them_as_such() -> None:
    assert {row.option: row.type for row in options("strategy.mixture").rows}["parts"] == "list of strategy"
    assert isinstance(Strategy.parse({"name": "mixture", "parts": ["direct", "beam"]}), Strategy)


# The shipped recipes


def test_a_copy_of_a_recipe_is_that_recipe_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("addition", "llama-3.1-8b-math", "self_ask"):
        target = tmp_path / f"{name}.yaml"
        shipped.copy(name, target)
        copied = recipe.read(target)
        assert copied.task.problems(0) is not None
        assert f"$schema={shipped.SCHEMA}" in target.read_text("utf-8")
        resolved, original = copied.resolved(), shipped.read_recipe(name).resolved()
        resolved["task"].pop("path", None), original["task"].pop("path", None)
        assert resolved == original
    self_ask = recipe.read(tmp_path / "self_ask.yaml").task
    assert next(self_ask.problems(0)).prompt


def test_a_copy_replaces_no_file(tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    target.write_text("mine")
    with pytest.raises(RecipeError, match="there is a file already"):
        shipped.copy("addition", target)
    assert target.read_text() == "mine"


def test_a_recipe_is_shown_as_written_and_resolved() -> None:
    assert shipped.text("addition") == (SHIPPED / "addition.yaml").read_text("utf-8")
    assert yaml.safe_load(shipped.text("llama-3.1-8b-math", resolved=True))["task"]["num_train"] == 3000
    with pytest.raises(InputError, match="did you mean 'addition'"):
        shipped.text("adition")


def test_a_header_that_says_too_little_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("# What it does.\n#\n# Hardware   a laptop\n#            or none\n# Time       a day\nname: x\n")
    with pytest.raises(ValueError, match="does not say expect"):
        shipped.header(path)
    path.write_text(path.read_text().replace("name: x", "# Expect     much\nname: x"))
    assert shipped.header(path) == ("What it does.", "a laptop or none", "a day", "much")


def test_a_shipped_recipe_is_found_where_a_folder_of_its_name_lies_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "addition").mkdir()
    assert shipped.read_recipe("addition").name == "addition"
    (tmp_path / "plain").write_text(yaml.safe_dump({"name": "mine", "model": {"name": "m"}, "task": "arithmetic"}))
    assert shipped.read_recipe("plain").name == "mine"


@pytest.mark.parametrize("page", ["README.md", "docs/glossary.md"])
def test_every_option_that_a_page_names_exists(page: str) -> None:
    sections = "|".join(("model", "curation", "evaluation", *DEFAULTS, "task", "verifier"))
    named = set(re.findall(rf"(?<![\w/.])({sections})\.(\w+)(?![\w/(]|\.py)", (ROOT / page).read_text("utf-8")))
    known = {
        (section, row.option) for section in ("model", "curation", "evaluation") for row in options(section).rows
    } | {
        (FAMILIES[family], option)
        for family in FAMILIES
        for name in registry.listed(family)
        for option in (name, *registry.resolve(family, name).model_fields)
    }
    assert named - known == set()
