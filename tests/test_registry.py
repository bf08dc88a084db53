"""Each key of each family leads to the file of its name."""

from importlib import import_module

import pytest
from byheart import recipe, registry
from byheart.errors import RecipeError

FAMILIES = ("tasks", "engines", "strategies", "verifiers", "objectives")
KEYS = [(family, key) for family in FAMILIES for key in import_module(f"byheart.{family}").REGISTRY]


@pytest.mark.parametrize(("family", "key"), KEYS)
def test_a_key_leads_to_the_file_of_its_name(family: str, key: str) -> None:
    found = registry.resolve(family, key)
    assert callable(found)
    assert found.__module__ == f"byheart.{family}.{key}"
    assert key == key.lower()


@pytest.mark.parametrize(("family", "key"), [pair for pair in KEYS if pair[0] != "verifiers"])
def test_options_live_beside_the_code_and_know_their_name(family: str, key: str) -> None:
    options = registry.options(family, key)
    assert options.__module__ == f"byheart.{family}.{key}"
    assert issubclass(options, recipe.Choice)
    assert options.model_config["frozen"]
    assert options.model_config["extra"] == "forbid"


def test_every_family_of_a_recipe_is_one_with_keys() -> None:
    assert set(recipe.FAMILIES.values()) == set(FAMILIES) - {"verifiers"}
    assert {family for family, _ in KEYS} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_key_is_refused_with_the_nearest_and_all(family: str) -> None:
    key = next(iter(registry.known(family)))
    with pytest.raises(RecipeError, match=f"did you mean '{key}'") as error:
        registry.resolve(family, key + "x")
    assert str(error.value).endswith(f"known: {', '.join(registry.listed(family))}")


def test_the_engine_for_tests_works_and_is_not_offered() -> None:
    assert registry.resolve("engines", "scripted")
    for wrong in ("scriptd", 3):
        with pytest.raises(ValueError, match=r"known: ray, server, transformers, vllm$") as error:
            recipe.chosen("engines", wrong)
        assert "scripted" not in str(error.value)


def test_nothing_near_is_no_suggestion() -> None:
    assert registry.nearest("qqqq", ["number", "exact"]) == ""
    assert registry.nearest("numbr", ["number", "exact"]) == ", did you mean 'number'?"
