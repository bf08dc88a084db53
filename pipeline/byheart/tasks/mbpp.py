"""MBPP (2108.07732): short Python functions from a sentence each, judged by running asserts.

The sanitized set has 120 problems to train on, 43 for validation, which are trained on too, and 257 held out; the full
one 374, 90 and 500.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from byheart import recipe
from byheart.tasks import rows, splits
from byheart.types import Problem

_DATASET, _REVISION = "google-research-datasets/mbpp", "4bb6404fdc6cacfda99d4ac4205087b89d32030c"
_SPLITS = ("train", "validation", "test")
HUBS = {
    "sanitized": rows.Hub(_DATASET, _REVISION, ("prompt", "code", "test_list"), "sanitized", _SPLITS),
    "full": rows.Hub(_DATASET, _REVISION, ("text", "code", "test_list"), "full", _SPLITS),
}


class Options(rows.Options):
    """`prompt` may use {problem} and {test}, one of the asserts, which tells the function's name."""

    parts: ClassVar[tuple[str, ...]] = ("problem", "test")

    num_train: int = Field(default=120, ge=1)
    num_dev: int = Field(default=40, ge=1)
    config: Literal["sanitized", "full"] = "sanitized"
    prompt: str = (
        "{problem}\n\nYour code has to pass tests such as this one:\n\n```python\n{test}\n```\n\n"
        "Reply with the whole function in one block of Python code."
    )
    verifier: recipe.choice("verifiers") = Field(default="code", validate_default=True)  # type: ignore[valid-type]


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(HUBS[options.config], "train+validation", options, seed, problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    return rows.held_out(HUBS[options.config], "test", options, seed, problem)


def problem(options: Options, row: rows.Row) -> Problem:
    """What the tests want imported or set up stands before each of them. The function that is tested may be named as
    one of Python's own is, `sum` say, so its name goes with them."""
    setup = "\n".join([*(row.get("test_imports") or []), row.get("test_setup_code") or ""]).strip()
    tests = [{"assert": f"{setup}\n{test}".strip()} for test in row["test_list"]]
    text = row["prompt"] if options.config == "sanitized" else row["text"]
    prompt = splits.asked(options.prompt.format(problem=text, test=row["test_list"][0]), options.chat)
    meta = {"tests": tests, "entry_point": tested(row["code"], row["test_list"][0])}
    return Problem.of(prompt, row["code"], options.verifier.name, meta)


def tested(code: str, test: str) -> str | None:
    """The function of the reference `code` that `test` names; the last, where it names several."""
    try:
        used = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
        defined = [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError as error:
        raise ValueError(f"the code or its first test is no Python: {error}") from None
    return next((name for name in reversed(defined) if name in used), None)
