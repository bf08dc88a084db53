"""Options, which a recipe sets and which are declared beside the code that uses them; and plugins, which are options
and behaviour in one frozen class.

A plugin is a member of a family (tasks, strategies, verifiers, engines, objectives), whose contract is in
byheart/contracts. A class that declares a public method or trait which its contract does not have is refused when it is
defined, with the nearest name that the contract has: a misspelt hook is never just ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, PrivateAttr, ValidationError, model_validator
from pydantic._internal._model_construction import ModelMetaclass  # which has no public name
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from byheart.errors import RecipeError, described
from byheart.files import user_path
from byheart.plugins import registry

SHIPPED = Path(str(files("byheart.recipes")))
"""The folder of the recipes that come with byheart: recipes/ of a checkout, byheart/recipes of an installed wheel."""


class Options(BaseModel):
    """Base of every class of options: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)

    _folders: tuple[Path, ...] = PrivateAttr(default=())

    def model_post_init(self, context: Any, /) -> None:
        """Remember the folders of the recipe's files, which are the context of its validation."""
        if context is not None:
            self._folders = context

    def __eq__(self, other: object) -> bool:
        """Equal are options of the same class with the same values, whatever folder their recipe lies in."""
        return type(self) is type(other) and dict(self) == dict(other)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders of the recipe's file and of those that it extends, where its paths are looked for first."""
        return self._folders

    def locate(self, path: str) -> Path | None:
        """Where `path`, the value of an option, is: beside the recipe's file, else in the working directory; None where
        it is in neither."""
        return next((candidate for candidate in self._candidates(path) if candidate.exists()), None)

    def places(self, path: str) -> str:
        """The places where `locate` looks for `path`, for the message of an error."""
        places = dict.fromkeys(str(candidate.absolute()) for candidate in self._candidates(path))
        return " and ".join(places).replace("\n", "\\n")

    def _candidates(self, path: str) -> list[Path]:
        written = user_path(path)
        return [*(folder / written for folder in self._folders), written]


class _Closed(ModelMetaclass):
    """The metaclass of plugins: nothing public but options and what the family's contract declares."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **rest: Any) -> Any:
        contract = next((kind for base in bases for kind in base.__mro__ if vars(kind).get("family")), None)
        if contract is not None and issubclass(contract, BaseModel):
            inherited = {field for base in bases for field in vars(base).get("__pydantic_fields__", {})}
            _check(name, contract, namespace, inherited)
        return super().__new__(mcs, name, bases, namespace, **rest)


def _check(name: str, contract: type[BaseModel], namespace: Mapping[str, Any], inherited: Collection[str]) -> None:
    """Raises TypeError where a class with this `namespace` has a public attribute that is neither an option nor in the
    `contract`, an option called like one of the contract's methods or traits, or a trait of another type."""
    annotations = namespace.get("__annotations__", {})
    options = {key for key, kind in annotations.items() if "ClassVar" not in str(kind)}
    own = set(dir(Plugin)) | {"name"}
    if "__init__" in namespace:
        raise TypeError(f"{name}: a plugin has no __init__ of its own: its options are fields, checked by validators")
    declared = {key for key in dir(contract) if not key.startswith("_")} - contract.model_fields.keys()
    validators = {key for key, value in namespace.items() if type(value).__name__ == "PydanticDescriptorProxy"}
    for key in [*annotations, *namespace]:
        value = namespace.get(key)
        if key.startswith("_") or key in validators:
            continue
        if key in own or (key in options and key in declared):
            kind = "an option" if key in options else "a method or trait"
            raise TypeError(f"{name}: {kind} can't be called {key!r}, which {contract.__name__} uses itself")
        if key not in options and (isinstance(value, FieldInfo) or key in inherited):
            raise TypeError(f"{name}: the option {key!r} needs its type, such as {key}: int = 3")
        if key not in options and key not in declared:
            near = registry.nearest(key, declared - set(dir(BaseModel)))
            raise TypeError(
                f"{name}: {contract.__name__} knows no method or trait {key!r}{near}; what is the class's own begins "
                "with an underscore"
            )
        trait = vars(contract).get(key)
        if type(trait) in _TRAITS and type(value) is not type(trait):
            wanted = _TRAITS[type(trait)]
            raise TypeError(f"{name}: the trait {key!r} is {wanted}, not {value!r}")


_TRAITS: dict[type, str] = {bool: "True or False", int: "a whole number", tuple: "a tuple"}


class Plugin(Options, metaclass=_Closed):
    """A member of a family: its options are fields, its behaviour the methods of the family's contract."""

    family: ClassVar[str] = ""
    """The registry that its members are in; a class that says it is the contract of that family."""
    necessary: ClassVar[tuple[str, ...]] = ()
    """Methods of the contract of which a member has at least one of its own."""

    name: str = Field(default="", description="the key in the registry")

    @model_validator(mode="before")
    @classmethod
    def _keyed(cls, raw: Any) -> Any:
        """Without a name it is the key under which a recipe finds it, which is that of its file where it is not
        registered."""
        if isinstance(raw, dict) and not raw.get("name"):
            return raw | {"name": registry.key_of(cls.family, cls) or cls.__module__.rpartition(".")[2]}
        return raw

    @classmethod
    def parse(cls, value: Any, folders: tuple[Path, ...] = ()) -> Self:
        """The member of the family that `value` says, a key or a mapping of its `name` and options; paths in it are
        looked for in `folders` first. Raises Mistakes, a ValueError, where there is none, or its options do not fit."""
        if isinstance(value, cls):
            return value
        family = cls.family
        raw = {"name": value} if isinstance(value, str) else value
        known = ", ".join(registry.listed(family))
        if not isinstance(raw, Mapping):
            raise Mistakes(
                [Mistake((), f"a key, or a mapping with a name, is wanted, this is {kind_of(value)}; known: {known}")]
            )
        if "name" not in raw:
            raise Mistakes([Mistake(("name",), f"; known: {known}", "missing")])
        if not isinstance(raw["name"], str):
            raise Mistakes([Mistake(("name",), f"a key is wanted, this is {kind_of(raw['name'])}; known: {known}")])
        try:
            kind: type[Self] = registry.resolve(family, raw["name"])
        except RecipeError as error:
            raise Mistakes([Mistake(("name",), str(error))]) from None
        try:
            return kind.model_validate(dict(raw), context=folders)
        except ValidationError as error:
            raise Mistakes(mistakes(error, kind)) from None

    def walk(self) -> Iterator[Plugin]:
        """This plugin and all that are among its options, and among theirs."""
        yield self
        for _, value in self:
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Plugin):
                    yield from part.walk()


class _Lookup:
    """Marks an option that is a member of a family: read by Plugin.parse, written with all its options."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def member(value: Any, info: core_schema.ValidationInfo) -> Any:
            return source.parse(value, info.context or ())

        def written(value: Plugin, info: core_schema.SerializationInfo) -> dict[str, Any]:
            return value.model_dump(mode=info.mode, exclude_defaults=info.exclude_defaults)

        serialization = core_schema.plain_serializer_function_ser_schema(written, info_arg=True)
        return core_schema.with_info_plain_validator_function(
            member, serialization=serialization, metadata={"family": source.family}
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        return {"family": schema["metadata"]["family"]}  # config/schema.py says which members that are


P = TypeVar("P", bound=Plugin)
Member = Annotated[P, _Lookup()]
"""The type of an option that is a plugin: `Member[Strategy]` is a key, or a mapping with its `name` and options."""


def named(key: str, description: str = "") -> Any:
    """The default of a `Member` option: the one called `key`, with its own defaults."""
    return Field(default=key, validate_default=True, description=description)


def kind_of(value: object) -> str:
    """What `value` is, in words, for the message of an error."""
    return "empty" if value is None else described(value)


class Mistake(NamedTuple):
    """Something wrong in a recipe: the keys that lead to it, and what is wrong with what is there."""

    keys: tuple[str, ...]
    text: str
    kind: Literal["value", "unknown", "missing"] = "value"

    def __str__(self) -> str:
        """The mistake in one line."""
        where = ".".join(self.keys)
        if self.kind == "unknown":
            return f"unknown key {where!r}{self.text}"
        if self.kind == "missing":
            return f"{where} is missing{self.text}"
        return f"{where}: {self.text}" if where else self.text


class Mistakes(ValueError):
    """Everything that is wrong in a part of a recipe."""

    def __init__(self, every: Iterable[Mistake]) -> None:
        """`every` mistake, in the order of the options."""
        self.every = list(every)
        super().__init__("; ".join(map(str, self.every)))


def mistakes(error: ValidationError, kind: type[BaseModel]) -> list[Mistake]:
    """What is wrong in the options `kind`, each unknown key with the nearest that there is. Of an option of several
    types it is said once what could be there."""
    by_option: dict[tuple[Any, ...], list[Any]] = {}
    for number, details in enumerate(error.errors()):
        loc = details["loc"]
        several = loc and loc[0] in kind.model_fields and len(_types(kind.model_fields[loc[0]].annotation)) > 1
        by_option.setdefault(loc[:1] if several else (number,), []).append(details)
    return [
        mistake
        for option, every in by_option.items()
        for details in (every if len(every) == 1 else [_together(every)])
        for mistake in _mistakes(details, kind)
    ]


def _types(annotation: Any) -> list[Any]:
    """The types of a union, None apart."""
    several = get_origin(annotation) in (Union, UnionType)
    return [kind for kind in get_args(annotation) if kind is not type(None)] if several else [annotation]


def _together(every: Sequence[Any]) -> Any:
    """What each type of an option of several says of its value, as one: of those that went deepest into it, and where
    the value is of one of the types what that says. The second part of a place is the type."""
    deepest = max(len(details["loc"]) for details in every)
    within = [details for details in every if len(details["loc"]) == deepest]
    chosen = [details for details in within if not details["type"].endswith("_type")] or within
    first, *others = (details["msg"] for details in chosen)
    text = " or ".join([first, *(other.removeprefix("Input should be ") for other in others)])
    return chosen[0] | {"loc": chosen[0]["loc"][:1] + chosen[0]["loc"][2:], "msg": text}


def _mistakes(details: Any, kind: type[BaseModel]) -> list[Mistake]:
    keys = tuple(str(key) for key in details["loc"])
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, Mistakes):
        return [mistake._replace(keys=(*keys, *mistake.keys)) for mistake in cause.every]
    if details["type"] == "extra_forbidden":
        return [Mistake(keys, registry.nearest(keys[-1], _siblings(keys, kind)), "unknown")]
    if details["type"] == "missing":
        return [Mistake(keys, "", "missing")]
    if details["type"] in ("model_type", "dict_type"):
        return [Mistake(keys, f"a mapping is wanted, this is {kind_of(details['input'])}")]
    text = details["msg"].removeprefix("Value error, ")
    text = f"{text[0].lower()}{text[1:]}"
    return [Mistake(keys, text if details["type"] == "value_error" else f"{text}, this is {details['input']!r}")]


def _siblings(keys: tuple[str, ...], kind: type[BaseModel]) -> list[str]:
    for key in keys[:-1]:
        if key not in kind.model_fields:  # a name, of which a mapping has several
            continue
        inner = options_of(kind.model_fields[key])
        if inner is None:
            return []
        kind = inner
    return list(kind.model_fields)


def options_of(field: FieldInfo) -> type[BaseModel] | None:
    """The class of options that a field holds, whatever it is wrapped in; None where it holds none."""
    return next((kind for kind in _kinds(field.annotation) if issubclass(kind, BaseModel)), None)


def _kinds(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)
