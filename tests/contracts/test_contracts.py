"""A plugin that its family's contract does not know all of is refused where it is defined, by name."""

import json
import os
import sys
from collections.abc import Callable
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
from byheart.contracts import Engine, Job, Objective, ProcessVerifier, Strategy, Task, Verifier
from byheart.plugins.plugin import Plugin
from byheart.types import Judgement, Problem, Solver
from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from tests.conftest import ROOT, python


def nothing(self: Any) -> None:
    """A method that no contract knows under the names below."""


UNKNOWN: list[tuple[type[Plugin], str, str]] = [
    (Task, "problem", "problems"),
    (Task, "needs_gold_answers", ""),
    (Task, "hold_out", "held_out"),
    (Strategy, "sovle", "solve"),
    (Strategy, "tune", "tuning"),
    (Verifier, "verfy", "verify"),
    (Verifier, "ask_policy", "asks_policy"),
    (Verifier, "unreadble", "unreadable"),
    (ProcessVerifier, "caveats", "caveat"),
    (Engine, "strat", "start"),
    (Engine, "num_gpu", "num_gpus"),
    (Objective, "fitt", "fit"),
    (Objective, "train_scorer", "trains_scorer"),
]


def method(contract: type[Plugin], name: str) -> type:
    return type("Member", (contract,), {"__module__": __name__, name: nothing})


def trait(contract: type[Plugin], name: str) -> type:
    return type("Member", (contract,), {"__module__": __name__, "__annotations__": {name: ClassVar[bool]}, name: True})


def trait_by_text(contract: type[Plugin], name: str) -> type:
    """As where a module begins with `from __future__ import annotations`."""
    return type(
        "Member", (contract,), {"__module__": __name__, "__annotations__": {name: "ClassVar[bool]"}, name: True}
    )


def attribute(contract: type[Plugin], name: str) -> type:
    return type("Member", (contract,), {"__module__": __name__, name: 3})


@pytest.mark.parametrize("define", [method, trait, trait_by_text, attribute])
@pytest.mark.parametrize(("contract", "name", "near"), UNKNOWN)
def test_what_a_contract_does_not_know_is_refused_with_the_nearest_that_it_knows(
    define: Callable[[type[Plugin], str], type], contract: type[Plugin], name: str, near: str
) -> None:
    meant = f", did you mean '{near}'" if near else ";"
    with pytest.raises(TypeError, match=rf"^Member: \w+ knows no method or trait '{name}'{meant}"):
        define(contract, name)


def test_a_property_or_a_class_method_is_no_way_around_it() -> None:
    for value in (property(nothing), cached_property(nothing), classmethod(nothing), staticmethod(nothing)):
        with pytest.raises(TypeError, match=r"knows no method or trait 'solves', did you mean 'solve'"):
            type("Member", (Strategy,), {"__module__": __name__, "solves": value})


@pytest.mark.parametrize(
    ("contract", "trait", "value", "words"),
    [
        (Verifier, "needs_gold", "no", "the trait 'needs_gold' is True or False, not 'no'"),
        (Verifier, "needs_meta", "number", "the trait 'needs_meta' is a tuple, not 'number'"),
        (Verifier, "version", "2", "the trait 'version' is a whole number, not '2'"),
        (Verifier, "version", True, "the trait 'version' is a whole number, not True"),
        (Task, "has_gold", nothing, "the trait 'has_gold' is True or False"),
    ],
)
def test_a_trait_has_the_type_that_the_contract_says(
    contract: type[Plugin], trait: str, value: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        type("Member", (contract,), {"__module__": __name__, trait: value})


@pytest.mark.parametrize("name", ["parse", "walk", "family", "model_config"])
def test_what_all_plugins_share_stays_as_it_is(name: str) -> None:
    with pytest.raises(TypeError, match=f"a method or trait can't be called '{name}'"):
        type("Member", (Strategy,), {"__module__": __name__, name: nothing})


def test_an_option_needs_its_type() -> None:
    for name, value in (("words", Field(default=3)), ("num_train", 3)):
        with pytest.raises(TypeError, match=f"the option '{name}' needs its type, such as {name}: int = 3"):
            type("Member", (Task,), {"__module__": __name__, name: value})


def test_an_option_is_not_called_name() -> None:
    with pytest.raises(TypeError, match="an option can't be called 'name'"):
        type("Member", (Task,), {"__module__": __name__, "__annotations__": {"name": str}, "name": "x"})


def test_a_default_is_held_to_the_type_of_its_option() -> None:
    three: Any = "three"

    class Defaulted(Strategy):
        limit: int = three

    with pytest.raises(ValueError, match="limit"):
        Defaulted()


def test_a_member_of_a_member_is_held_to_the_contract_too() -> None:
    member = type("Member", (Strategy,), {"__module__": __name__})
    with pytest.raises(TypeError, match=r"^Further: Strategy knows no method or trait 'sovle'"):
        type("Further", (member,), {"__module__": __name__, "sovle": nothing})


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        (Task, "problems"),
        (Task, "has_gold"),
        (Strategy, "solve"),
        (Verifier, "extract"),
        (Verifier, "compares"),
        (Engine, "start"),
        (Engine, "remote"),
        (Objective, "fit"),
        (Objective, "needs_pairs"),
        (Strategy, "family"),
        (Strategy, "model_dump"),  # pydantic's
        (Strategy, "locate"),  # that of all options
    ],
)
def test_an_option_is_not_called_like_what_the_contract_uses(contract: type[Plugin], name: str) -> None:
    with pytest.raises(TypeError, match=rf"^Member: an option can't be called '{name}', which \w+ uses itself"):
        type("Member", (contract,), {"__module__": __name__, "__annotations__": {name: int}, name: 1})


def test_options_validators_traits_and_private_names_are_free() -> None:
    class Whole(Verifier):
        compares = True
        needs_gold: ClassVar[bool] = False
        _longest: ClassVar[int] = 3

        limit: int = Field(default=3, description="most characters of an answer")

        @field_validator("limit")
        @classmethod
        def positive(cls, limit: int) -> int:
            if limit < 1:
                raise ValueError("too few")
            return limit

        @model_validator(mode="after")
        def sound(self) -> "Whole":
            return self

        @override
        def verify(self, problem: Problem, response: str) -> Judgement:
            return Judgement(float(len(response) <= self._most()), response)

        def _most(self) -> int:
            return min(self.limit, self._longest)

    assert Whole().name == "test_contracts", "by default it is called like its module"
    assert (Whole.compares, Whole.needs_gold, Whole.asks_policy) == (True, False, False)
    assert [Whole(limit=9).verify(Problem.of("?", None, "whole"), text).score for text in ("abc", "abcd")] == [1.0, 0.0]
    with pytest.raises(ValueError, match="too few"):
        Whole(limit=0)
    with pytest.raises(ValueError, match="frozen"):
        Whole().limit = 4  # type: ignore[misc]  # what it is about


def test_a_contract_gives_what_a_member_leaves_out() -> None:
    class Silent(Strategy):
        @override
        def solve(self, problem: Problem) -> Solver:
            return []
            yield

    assert (Silent().budget(), Silent().tuning()) == (None, None)

    class Lenient(Verifier):
        @override
        def verify(self, problem: Problem, response: str) -> Judgement:
            return Judgement(1.0, response)

    assert Lenient().unreadable(Problem.of("?", None, "lenient")) is None
    for contract, missing in ((Strategy, "solve"), (Task, "problems"), (Objective, "fit")):
        member: Any = type("Member", (contract,), {"__module__": __name__})
        with pytest.raises(NotImplementedError):
            getattr(member.model_construct(), missing)(None)


SOURCE = """
from byheart.contracts import Strategy

class Outside(Strategy):
    def {method}(self, problem):
        return []
        yield
"""
SOURCES = {
    "outside": SOURCE.format(method="solve"),
    "raising": "raise OSError('no such device')",
    "lacking": "import not_installed_anywhere",
    "broken": "def broken(:",
    "empty": "x = 1",
    "misspelt": SOURCE.format(method="sovle"),
    "idle": "from byheart import Strategy\nclass Outside(Strategy): pass",
    "verifying": "from byheart import Verifier\nclass Outside(Verifier): pass",
    "foreign": "class Outside: pass",
    "built": "from byheart import Strategy\nclass Outside(Strategy):\n    def __init__(self): pass",
    "function": "def Outside(): pass",
}
USE = """
import json, sys
from byheart.config import recipe
from byheart.errors import RecipeError

messages = {}
for key in sys.argv[1:]:
    messages[key] = ""
    try:
        recipe.parse({"name": "t", "model": {"name": "m"}, "task": {"name": "times_table"}, "strategy": key})
    except RecipeError as error:
        messages[key] = str(error)
print(json.dumps(messages))
"""


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The answer to a recipe that names one of these strategies, where an installed distribution has them, each in a
    module of its own."""
    folder = tmp_path_factory.mktemp("installed")
    info = folder / "outside-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1\n")
    entries = [f"{key} = outside_{key}:Outside" for key in SOURCES]
    entries += ["colonless = outside_outside", "direct = outside_outside:Outside", "[byheart.strategy]", "x = y:Z"]
    (info / "entry_points.txt").write_text("\n".join(["[byheart.strategies]", *entries]))
    for key, source in SOURCES.items():
        (folder / f"outside_{key}.py").write_text(source)
    path = os.pathsep.join([str(folder), str(ROOT), *filter(None, sys.path)])
    done = python(folder, "-c", USE, *SOURCES, "outsider", "colonless", "direct", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    answered: dict[str, str] = json.loads(done.stdout)
    return answered | {"warnings": done.stderr}


def test_a_strategy_of_an_installed_package_is_known_and_offered(messages: dict[str, str]) -> None:
    assert messages["outside"] == ""
    assert "did you mean 'outside'?" in messages["outsider"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("raising", "OSError: no such device"),
        ("lacking", "ModuleNotFoundError: No module named 'not_installed_anywhere'"),
        ("broken", "SyntaxError: "),
        ("empty", "AttributeError: module 'outside_empty' has no attribute 'Outside'"),
        ("misspelt", "TypeError: Outside: Strategy knows no method or trait 'sovle', did you mean 'solve'?"),
        ("built", "TypeError: Outside: a plugin has no __init__ of its own: its options are fields"),
        ("idle", "Outside has no solve of its own, which every Strategy needs"),
        ("verifying", "it is no class that derives from byheart.Strategy"),
        ("foreign", "it is no class that derives from byheart.Strategy"),
        ("function", "it is no class that derives from byheart.Strategy"),
    ],
)
def test_what_can_not_be_used_is_a_mistake_in_the_recipe_that_names_it(
    messages: dict[str, str], key: str, reason: str
) -> None:
    assert f"strategies: '{key}', outside_{key}:Outside, can't be used: {reason}" in messages[key]


def test_an_entry_point_names_a_module_and_a_class(messages: dict[str, str]) -> None:
    assert (
        "'colonless', outside_outside, can't be used: an entry point is written module:Class" in messages["colonless"]
    )


def test_entry_points_that_can_not_be_meant_are_warned_of(messages: dict[str, str]) -> None:
    assert messages["direct"] == ""
    assert (
        "byheart.strategies: outside_outside:Outside is not used, since byheart has a 'direct'" in messages["warnings"]
    )
    assert "byheart.strategy: no such group of entry points, did you mean 'byheart.strategies'?" in messages["warnings"]


@pytest.mark.parametrize("today", [None, date(2026, 11, 29)])
def test_a_job_is_the_same_after_json(tmp_path: Path, today: date | None) -> None:
    place = tmp_path / "x"
    job = Job(
        {"name": "sft"}, place, None, place, place, place, seed=1, allow_pickle=False, folders=(place,), today=today
    )
    (tmp_path / "job.json").write_text(json.dumps(job.written()))
    assert Job.read(tmp_path / "job.json") == job
