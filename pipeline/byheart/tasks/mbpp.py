"""MBPP (2108.07732): short Python functions from a sentence each, judged by running asserts.

The sanitized set has 120 problems to train on, 43 for validation, which are trained on too, and 257 held out; the full
one 374, 90 and 500.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Verifier
from byheart.plugins.plugin import Member, named
from byheart.tasks.core import rows, splits
from byheart.types import Problem
from byheart.verifiers.code import assertion

_DATASET, _REVISION = "google-research-datasets/mbpp", "4bb6404fdc6cacfda99d4ac4205087b89d32030c"
_SPLITS = ("train", "validation", "test")
HUBS = {
    "sanitized": rows.Hub(_DATASET, _REVISION, ("prompt", "code", "test_list"), "sanitized", _SPLITS),
    "full": rows.Hub(_DATASET, _REVISION, ("text", "code", "test_list"), "full", _SPLITS),
}


class MBPP(rows.DatasetTask):
    """Short Python functions from a sentence and one test."""

    _parts: ClassVar[tuple[str, ...]] = ("problem", "test")

    num_train: int = Field(default=120, ge=1, description="training problems per round")
    num_dev: int = Field(default=40, ge=1, description="problems by which a policy is promoted or not")
    config: Literal["sanitized", "full"] = Field(default="sanitized", description="the checked set, or all problems")
    prompt: str = Field(
        default=(
            "{problem}\n\nYour code has to pass tests such as this one:\n\n```python\n{test}\n```\n\n"
            "Reply with the whole function in one block of Python code."
        ),
        description="template of the prompt: may use {problem} and {test}, an assert that names the function",
    )
    verifier: Member[Verifier] = named("code", "judges solutions; it measures every policy")

    @override
    def source(self) -> str:
        return _DATASET

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(HUBS[self.config], "train+validation", seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return self._official(HUBS[self.config], "test", seed)

    @override
    def _problem(self, row: rows.Row) -> Problem:
        """A tested function may have the name of a built-in, such as `sum`, so its name is recorded as the entry
        point. The solution is the code as the prompt asks for it, in a block, with line feeds alone."""
        tests = [assertion(test, row) for test in row["test_list"]]
        text = row["prompt"] if self.config == "sanitized" else row["text"]
        prompt = splits.as_prompt(self.prompt.format(problem=text, test=row["test_list"][0]), self.chat)
        meta = {
            "tests": tests,
            "entry_point": _tested(row["code"], row["test_list"][0]),
            "solution": "```python\n{}\n```".format("\n".join(row["code"].split("\r\n")).strip("\n")),
        }
        return Problem.of(prompt, row["code"], self.verifier.name, meta)


def _tested(code: str, test: str) -> str | None:
    """The function of the reference `code` that `test` names; the last, if it names several."""
    try:
        used = {node.id for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
        defined = [node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError as error:
        raise ValueError(f"the code or its first test is not Python: {error}") from None
    return next((name for name in reversed(defined) if name in used), None)
