"""What a recipe may say, made from the options themselves: the JSON schema that editors read, and tables of options."""

from __future__ import annotations

import types
import typing
import warnings
from collections.abc import Iterator
from datetime import date
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from byheart.config.recipe import DEFAULTS, Recipe
from byheart.errors import InputError, RecipeError
from byheart.plugins import registry
from byheart.plugins.plugin import Plugin, options_of

FAMILIES = {
    "tasks": "task",
    "strategies": "strategy",
    "verifiers": "verifier",
    "engines": "engine",
    "executors": "executor",
    "objectives": "objective",
}
"""Family -> the section of a recipe, or the option, that is one of its members."""


EXTENDS = "a recipe, by its name or file, whose keys hold where this one says nothing else"
"""What the key `extends` is, which is resolved when a recipe is read."""


def schema() -> dict[str, Any]:
    """The JSON schema of a recipe, with the members of all families that are installed."""
    root = Recipe.model_json_schema()
    definitions: dict[str, Any] = root.pop("$defs", {})
    for family, section in FAMILIES.items():
        members = dict(_members(family))
        names = list(members)
        for name in names:
            member: type[Plugin] = members[name]
            own = member.model_json_schema(ref_template="#/$defs/{model}")
            definitions |= own.pop("$defs", {})
            own["properties"]["name"] = {"const": name}
            required = [key for key in own.get("required", []) if key != "name"]
            own["required"] = required if DEFAULTS.get(section) == name else ["name", *required]
            definitions[f"{section}.{name}"] = own
        references = [{"$ref": f"#/$defs/{section}.{name}"} for name in names]
        definitions[section] = {"anyOf": [{"enum": names}, *references]}
    root["properties"]["extends"] = {"type": "string", "description": EXTENDS}
    root["required"] = ["name"]  # the rest may be in the recipe that it extends
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": definitions}
    return {key: _resolved(value) for key, value in whole.items()}


def _resolved(node: Any) -> Any:
    """`node` without titles, which only repeat names, and with a reference to the members of a family in the place of
    each mark that an option is one of them."""
    if isinstance(node, list):
        return [_resolved(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("family"), str):
        return {"$ref": f"#/$defs/{FAMILIES[node['family']]}"} | {
            key: value for key, value in node.items() if key != "family"
        }
    return {key: _resolved(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}


def _members(family: str) -> Iterator[tuple[str, type[Plugin]]]:
    """The members of a family that can be used: a broken package of others does not keep these from being listed."""
    for name in registry.listed(family):
        try:
            yield name, registry.resolve(family, name)
        except RecipeError as error:
            warnings.warn(str(error), stacklevel=2)


class Row(NamedTuple):
    """One option: its name, type, default and description, as text."""

    option: str
    type: str
    default: str
    description: str


class Table(NamedTuple):
    """The options of a section or a member, and what it is; or what there is to choose from."""

    title: str
    text: str
    rows: list[Row]
    members: list[tuple[str, str]]


def options(path: str = "") -> Table:
    """What "strategy.direct", "curation", "strategy" or "" (the recipe itself) may say. Raises InputError, with the
    nearest name, where there is no such section or member."""
    kind: type[BaseModel] = Recipe
    walked: list[str] = []
    family = None
    for part in filter(None, path.split(".")):
        if family is not None:
            names = registry.listed(family)
            if part not in names:
                raise InputError(f"options: {'.'.join(walked)} has no {part!r}{registry.nearest(part, names)}")
            kind, family = registry.resolve(family, part), None
        else:
            fields = kind.model_fields
            inner = options_of(fields[part]) if part in fields else None
            if inner is None:
                near = registry.nearest(part, [name for name, field in fields.items() if options_of(field)])
                raise InputError(f"options: {'.'.join([*walked, part])} has no options of its own{near}")
            if issubclass(inner, Plugin):
                family = inner.family
            else:
                kind = inner
        walked.append(part)
    if family is not None:
        sentences = [(name, _first_sentence(member)) for name, member in _members(family)]
        return Table(path, "", [], sentences)
    rows = [
        Row(name, type_name(field.annotation), default(field), field.description or "")
        for name, field in kind.model_fields.items()
        if name != "name" or not issubclass(kind, Plugin)
    ]
    if kind is Recipe:
        rows.append(Row("extends", "text", "null", EXTENDS))
    return Table(path or "recipe", " ".join((kind.__doc__ or "").split()), rows, [])


def _first_sentence(kind: type) -> str:
    text = " ".join((kind.__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".")


_NAMES = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    date: "date",
    type(None): "null",
    Any: "anything",
}


def type_name(kind: Any) -> str:
    """A type of an option, as a person would say it."""
    if kind in _NAMES:
        return _NAMES[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(type_name, arguments)))
    if origin is list:
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return f"mapping of {type_name(arguments[0])} to {type_name(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, Plugin):
        return FAMILIES[kind.family]
    return "mapping" if isinstance(kind, type) and issubclass(kind, BaseModel) else str(kind)


def default(field: FieldInfo) -> str:
    """The default of an option, as YAML; "required" where there is none."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=1000, allow_unicode=True).strip()
    return text.removesuffix("\n...").strip()
