"""What the installed classes of trl, peft and vLLM say of arguments: `python -m byheart.config.installed`, a child
process of arguments.py, so that these libraries are never imported where recipes are only checked."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

MODULES = {
    "SFTConfig": "trl",
    "DPOConfig": "trl",
    "LoraConfig": "peft",
    "EngineArgs": "vllm.engine.arg_utils",
}
"""The classes whose fields may be set -> the module that they are imported from."""

_TRAINER: dict[str, Any] = {
    "output_dir": "checkpoints",
    "use_cpu": True,
    "bf16": False,
    "report_to": [],
    "disable_tqdm": True,
    "max_steps": 20,
    "logging_steps": 5,
}
_BUILT: dict[str, dict[str, Any]] = {
    "SFTConfig": _TRAINER,
    "DPOConfig": _TRAINER,
    "LoraConfig": {"task_type": "CAUSAL_LM", "target_modules": "all-linear"},
}
"""The classes that are built to see what they refuse -> arguments with which that works on every machine."""

_UNBUILT = ("model_init_kwargs", "tf32")
"""Arguments that are not built with: base_model takes the first, and whether the others work depends on the GPU."""


def main() -> None:
    """Reads {class: {option: value}} from standard input, and writes for each class its `fields` and the `mistakes`,
    pairs of an option and what is wrong with its value; or why the class is `unavailable`. All of it is JSON."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    json.dump({kind: _reply(kind, arguments) for kind, arguments in json.load(sys.stdin).items()}, replies)
    replies.close()


def _reply(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        kind = getattr(importlib.import_module(MODULES[name]), name)
    except Exception as error:
        return {"unavailable": f"{type(error).__name__}: {error}"}
    fields = {field.name: field for field in dataclasses.fields(kind)}
    known = {key: value for key, value in arguments.items() if key in fields}
    built = _BUILT.get(name)

    def build(chosen: Mapping[str, Any]) -> Any:
        wanted = {key: value for key, value in chosen.items() if key not in _UNBUILT}
        return kind(**built | wanted) if built is not None else None

    texts = {key: _mistyped(kind, fields[key], value, build) for key, value in known.items()}
    mistyped = [(key, text) for key, text in texts.items() if text is not None]
    unfit = _unfit(build, {key: value for key, value in known.items() if texts[key] is None})
    return {"fields": list(fields), "mistakes": [*mistyped, *unfit]}


def _unfit(build: Callable[[Mapping[str, Any]], Any], arguments: Mapping[str, Any]) -> Iterator[tuple[str | None, str]]:
    """Why nothing can be built from `arguments`, each time with the one of them that alone is refused alike, if any,
    and then without it."""
    while (text := _failure(build, arguments)) is not None:
        culprit = next((key for key, value in arguments.items() if _failure(build, {key: value}) == text), None)
        yield culprit, text
        if culprit is None:
            return
        arguments = {key: value for key, value in arguments.items() if key != culprit}


def _failure(build: Callable[[Mapping[str, Any]], Any], arguments: Mapping[str, Any]) -> str | None:
    try:
        build(arguments)
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _mistyped(
    kind: type, field: dataclasses.Field[Any], value: Any, build: Callable[[Mapping[str, Any]], Any]
) -> str | None:
    """What is wrong with the type of `value`, or with its choice, according to the `field` of `kind`; None where it is
    fine, nothing can be said, or the class makes it into something else when it is built."""
    choices = field.metadata.get("choices")
    if choices and isinstance(value, str) and value not in choices:
        return f"one of {', '.join(map(str, choices))} is wanted, this is {value!r}"
    annotation = _annotation(kind, field)
    if _fits(annotation, value) or (value is None and field.default is None):
        return None
    try:
        if getattr(build({field.name: value}), field.name, value) != value:
            return None
    except Exception:  # the annotation says what is wanted, and the error may not
        pass
    return f"{_words(annotation)} is wanted, this is {value!r}"


def _annotation(kind: type, field: dataclasses.Field[Any]) -> Any:
    """The annotation of a `field`; Any where it names what is not imported."""
    owner = next(base for base in kind.__mro__ if field.name in vars(base).get("__annotations__", {}))
    annotation = vars(owner)["__annotations__"][field.name]
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, dict(vars(sys.modules[owner.__module__])))
    except Exception:
        return Any


def _fits(annotation: Any, value: Any) -> bool:
    """Whether a JSON `value` is of the type that `annotation` says: a whole number is a float, a list is a set or a
    tuple, the name of a member is an enum. Any value will do where a class of the library is wanted, which makes it
    from several types."""
    leaves = list(_leaves(annotation))
    if any(dataclasses.is_dataclass(leaf) for leaf in leaves):
        return True
    enums = [leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, Enum)]
    if isinstance(value, str) and any(value.upper() in map(str.upper, enum.__members__) for enum in enums):
        return True
    try:
        adapter = TypeAdapter[Any](annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        return True
    try:
        adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def _leaves(annotation: Any) -> Iterator[Any]:
    parts = typing.get_args(annotation)
    if not parts:
        yield annotation
    for part in parts:
        yield from _leaves(part)


def _words(annotation: Any) -> str:
    """What `annotation` asks for, in words."""
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(annotation)))}"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


if __name__ == "__main__":
    main()
