r"""GSM8K (2110.14168): word problems of grade-school arithmetic, 7,473 to train on and 1,319 held out."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from byheart import recipe
from byheart.tasks import rows, splits
from byheart.types import Problem

HUB = rows.Hub("openai/gsm8k", "cc7b047b6e5bb11b4f1af84efc572db110a51b3c", ("question", "answer"), "main")


class Options(rows.Options):
    prompt: str = "{problem}\n\nReason step by step, then give the final number within \\boxed{{}}."
    verifier: recipe.choice("verifiers") = Field(default="number", validate_default=True)  # type: ignore[valid-type]


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(HUB, "train", options, seed, problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    return rows.held_out(HUB, "test", options, seed, problem)


def problem(options: Options, row: rows.Row) -> Problem:
    """The gold answer stands after the last "####"; thousands are set off by commas there."""
    solution, mark, answer = row["answer"].rpartition("####")
    if not mark:
        raise ValueError("the answer has no ####")
    prompt = splits.asked(options.prompt.format(problem=row["question"]), options.chat)
    meta = {"solution": solution.strip()}
    return Problem.of(prompt, answer.strip().replace(",", ""), options.verifier.name, meta)
