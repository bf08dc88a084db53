"""Each key of each family leads to the file of its name."""

from importlib import import_module

import pytest
from byheart.config import recipe
from byheart.contracts import Engine, Executor, Objective, Strategy, Task, Verifier
from byheart.errors import RecipeError
from byheart.plugins import registry

FAMILIES = ("tasks", "engines", "executors", "strategies", "verifiers", "objectives")
CONTRACTS = {contract.family: contract for contract in (Task, Engine, Executor, Strategy, Verifier, Objective)}
KEYS = [(family, key) for family in FAMILIES for key in import_module(f"byheart.{family}").REGISTRY]


@pytest.mark.parametrize(("family", "key"), KEYS)
def test_a_key_leads_to_the_file_of_its_name(family: str, key: str) -> None:
    member = registry.resolve(family, key)
    assert member.__module__ == f"byheart.{family}.{key}"
    assert key == key.lower()
    contract = CONTRACTS[family]
    assert issubclass(member, contract) and member is not contract
    assert member.model_config["frozen"]
    assert member.model_config["extra"] == "forbid"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_contract_knows_its_family_and_describes_its_options(family: str) -> None:
    assert CONTRACTS[family].family == family
    assert {name for name, field in CONTRACTS[family].model_fields.items() if not field.description} == set()


@pytest.mark.parametrize(("family", "key"), KEYS)
def test_every_option_has_a_description(family: str, key: str) -> None:
    fields = registry.resolve(family, key).model_fields
    assert {name for name, field in fields.items() if not field.description} == set()


def test_every_family_of_a_recipe_is_one_with_keys() -> None:
    assert set(CONTRACTS) == set(FAMILIES) == {family for family, _ in KEYS}
    assert {key for key in ("task", "verifier", *recipe.DEFAULTS) if key in recipe.Recipe.model_fields} == {
        "task",
        "verifier",
        "strategy",
        "engine",
        "executor",
        "objective",
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_an_unknown_key_is_refused_with_the_nearest_and_all(family: str) -> None:
    key = next(iter(registry.known(family)))
    with pytest.raises(RecipeError, match=f"did you mean '{key}'") as error:
        registry.resolve(family, key + "x")
    assert str(error.value).endswith(f"known: {', '.join(registry.listed(family))}")


def test_the_engine_for_tests_works_and_is_not_offered() -> None:
    assert registry.resolve("engines", "scripted")
    for wrong in ("scriptd", 3):
        with pytest.raises(ValueError, match=r"known: server, transformers, vllm$") as error:
            Engine.parse(wrong)
        assert "scripted" not in str(error.value)


def test_nothing_near_is_no_suggestion() -> None:
    assert registry.nearest("qqqq", ["number", "exact"]) == ""
    assert registry.nearest("numbr", ["number", "exact"]) == ", did you mean 'number'?"
