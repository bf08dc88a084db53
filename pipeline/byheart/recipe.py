"""A recipe is one YAML file that says everything about a run: which problems, which model, how to think, what to keep.

    name: addition
    model: {name: smollm2-135m}
    task: {name: arithmetic, digits: 2, num_train: 400}
    strategy: {name: direct, max_samples: 8}

It becomes a frozen `Recipe`. A section's options live beside the code that uses them and are found through the
section's `name`; an unknown key, a missing one or a wrong type is a RecipeError that says which, before anything runs.

A relative path in a recipe is looked for beside the recipe's file, then in the working directory. What is recorded of a
run is the path as written, so a run does not depend on the folder that its recipe lies in.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    create_model,
)

from byheart import registry
from byheart.errors import RecipeError
from byheart.types import digest

SHIPPED = Path(str(files("byheart.recipes")))
"""The folder of the recipes that come with byheart: recipes/ of a checkout, byheart/recipes of an installed wheel."""


class Options(BaseModel):
    """Base of every options class: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any, /) -> None:
        if context is not None:
            self._folder = context

    @property
    def folder(self) -> Path:
        """The folder of the recipe's file, beside which its paths are looked for first."""
        return self._folder

    def locate(self, path: str) -> Path | None:
        """Where `path`, the value of an option, is: beside the recipe's file, else in the working directory; None where
        it is in neither."""
        return next((place for place in self._places(path) if place.exists()), None)

    def places(self, path: str) -> str:
        """The places where `locate` looks for `path`, for the message of an error."""
        return " and ".join(dict.fromkeys(str(place.absolute()) for place in self._places(path)))

    def _places(self, path: str) -> list[Path]:
        written = Path(path).expanduser()
        return [self._folder / written, written]


class Choice(Options):
    """Options of one member of a family; `name` is its registry key."""

    name: str


def choice(family: str) -> Any:
    """The type of an option that is a member of `family`: its key, or a mapping with its `name` and options."""

    def member(value: Any, info: ValidationInfo) -> Choice:
        return chosen(family, value, info.context)

    return Annotated[Any, BeforeValidator(member)]


def chosen(family: str, value: Any, folder: Path | None = None) -> Choice:
    """The options that `value`, a key or a mapping, says of a member of `family`; paths in it are looked for in
    `folder` first. Raises ValueError where there is no such member, or its options do not fit."""
    if isinstance(value, Choice):
        return value
    raw = {"name": value} if isinstance(value, str) else value
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        raise ValueError(f"a key, or a mapping with a name, is wanted; known: {', '.join(registry.listed(family))}")
    try:
        kind = registry.options(family, raw["name"])
        found: Choice = kind.model_validate(raw, context=folder)
    except RecipeError as error:
        raise ValueError(str(error)) from None
    except ValidationError as error:
        raise ValueError("; ".join(_say(problem, kind) for problem in error.errors())) from None
    return found


FAMILIES = {"task": "tasks", "strategy": "strategies", "engine": "engines", "objective": "objectives"}
SECTIONS = {
    "model": "byheart.models:Options",
    "curation": "byheart.curation:Options",
    "evaluation": "byheart.evaluation:Options",
}
DEFAULTS = {"strategy": "direct", "engine": "vllm", "objective": "sft"}
SCHEDULED = ("task.only", "task.num_train", "strategy.", "curation.", "objective.", "evaluation.")
"""What may differ from round to round, beside the strategy as a whole: not what is measured, nor who judges, nor which
objective trains."""


UNDECIDING = ("rounds", "accelerate", "engine")


class Recipe(Options):
    """Everything that decides a run. `parse` makes a subclass with the exact type of each section.

    What is measured is judged by the task's verifier; so is what is trained on, unless `verifier` names another. A
    round samples all its problems; or with `sample_tokens` it begins no more of them, 32 at a time, once so many tokens
    were generated: the control that compares two strategies at equal cost. `schedule` says options that change, round
    by round, the last one for all that follow: {"curation.target": [full, shortest, answer]}.

    `accelerate` says how training is spread over processes: a config file of accelerate's, or the name of a shipped one
    (recipes/accelerate). Without it there is one on each GPU of this machine. It decides no result.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = 0
    rounds: int = Field(default=1, ge=1)
    accelerate: str | None = None
    model: Any
    task: Any
    verifier: choice("verifiers") | None = None  # type: ignore[valid-type]
    sample_tokens: int | None = Field(default=None, ge=1)
    schedule: dict[str, list[Any]] = Field(default_factory=dict)
    strategy: Any
    engine: Any
    curation: Any
    objective: Any
    evaluation: Any

    @property
    def judge(self) -> Choice:
        """The verifier that lets in what is trained on."""
        by: Choice = self.verifier or self.task.verifier
        return by

    @property
    def num_different(self) -> int:
        """So many rounds the schedule tells apart; those that follow are like the last of them."""
        return max(map(len, self.schedule.values()), default=1)

    def at(self, n: int) -> Recipe:
        """The recipe of round `n` (from 1): this one, with what `schedule` says of that round."""
        if not self.schedule:
            return self
        raw = self.resolved()
        for key, values in self.schedule.items():
            _put(raw, key, values[min(n, len(values)) - 1])
        return _parsed(raw, f"schedule, round {n}", self._folder)

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, defaults filled in: what recipe.yaml of a run holds."""
        return self.model_dump(mode="json")

    def deciding(self) -> dict[str, Any]:
        """What decides the result, flat: {"task.digits": 2, ...}; not how many rounds to do now, or on how much: a run
        begun on a laptop may go on on a cluster."""
        return flatten({key: value for key, value in self.resolved().items() if key not in UNDECIDING})

    def digest(self) -> str:
        return digest(self.deciding())


def read(path: Path, overrides: list[str] | None = None) -> Recipe:
    """The recipe in the file `path`, with `overrides` such as "task.digits=3" put over it.

    Raises RecipeError where the file is missing, is not YAML, or does not fit.
    """
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; `byheart recipes` lists those that come with byheart") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: not a readable YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a recipe is a YAML mapping, this is {_kind(raw)}")
    for override in overrides or []:
        _override(raw, override)
    return parse(raw, str(path), path.absolute().parent)


def parse(raw: dict[str, Any], where: str = "recipe", folder: Path | None = None) -> Recipe:
    """The frozen Recipe that the mapping `raw` says; paths in it are looked for in `folder` first. Raises RecipeError
    naming every key that is wrong, in any of the rounds that its schedule tells apart."""
    recipe = _parsed(raw, where, folder)
    for key, values in recipe.schedule.items():
        if key != "strategy" and (not key.startswith(SCHEDULED) or key.endswith(".name")):
            raise RecipeError(
                f"{where}: schedule: {key!r} can't change; task.only, task.num_train, the strategy and the options of "
                "strategy, curation, objective and evaluation can"
            )
        if not values:
            raise RecipeError(f"{where}: schedule: {key!r} has no value for any round")
    for n in range(1, recipe.num_different + 1):
        recipe.at(n)
    return recipe


def _parsed(raw: dict[str, Any], where: str, folder: Path | None) -> Recipe:
    fields: dict[str, Any] = {}
    raw = dict(raw)
    for section in [*FAMILIES, *SECTIONS]:
        value = raw.setdefault(section, {})
        if not isinstance(value, dict):
            raise RecipeError(f"{where}: {section}: a mapping is wanted, this is {_kind(value)}")
        if section in SECTIONS:
            kind = registry.load(SECTIONS[section])
        else:
            name = value.get("name", DEFAULTS.get(section))
            if not isinstance(name, str):
                raise RecipeError(f"{where}: {section}.name is missing; known: {_names(section)}")
            raw[section] = {"name": name, **value}
            try:
                kind = registry.options(FAMILIES[section], name)
            except RecipeError as error:
                raise RecipeError(f"{where}: {section}.name: {error}") from None
        fields[section] = kind
    exact = _exact(**fields)
    try:
        return exact.model_validate(raw, context=folder)
    except ValidationError as error:
        raise RecipeError("\n".join(f"{where}: {_say(problem, exact)}" for problem in error.errors())) from None


@cache
def _exact(**kinds: type[Options]) -> type[Recipe]:
    return create_model("Recipe", __base__=Recipe, **{name: (kind, ...) for name, kind in kinds.items()})  # type: ignore[call-overload, no-any-return]


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {
        key: leaf
        for name, branch in tree.items()
        for key, leaf in flatten(branch, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The flat keys whose values differ, as 'key: old -> new'."""
    keys = sorted(old.keys() | new.keys())
    return [f"{key}: {old.get(key)!r} -> {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise RecipeError(f"{override!r}: an override is key=value, such as task.digits=3")
    try:
        _put(raw, key, yaml.safe_load(value))
    except yaml.YAMLError:
        raise RecipeError(f"{override!r}: the value is not YAML") from None


def _put(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set what "task.digits" names in the mapping `raw` to `value`."""
    *parents, leaf = key.split(".")
    branch = raw
    for parent in parents:
        branch = branch.setdefault(parent, {})
        if not isinstance(branch, dict):
            raise RecipeError(f"{key}: {parent} holds a value, not a section")
    branch[leaf] = value


def _say(problem: Any, model: type[BaseModel]) -> str:
    """One line for one of pydantic's errors."""
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {where!r}{registry.nearest(str(problem['loc'][-1]), _siblings(problem['loc'], model))}"
    if problem["type"] == "missing":
        return f"{where} is missing"
    hint = "; YAML reads it as a number with a dot, 1.0e-3" if problem["type"] == "float_type" else ""
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":  # our own words, which say what they mean
        return f"{where}: {said[0].lower()}{said[1:]}" if where else said
    return f"{where}: {said[0].lower()}{said[1:]}, this is {problem['input']!r}{hint}"


def _siblings(loc: tuple[Any, ...], model: type[BaseModel]) -> list[str]:
    for part in loc[:-1]:
        inner = model.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _names(section: str) -> str:
    return ", ".join(registry.listed(FAMILIES[section]))


def _kind(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"
