"""The load stage: from a source of problems to the three splits of a round.

The first `num_held_out` problems of the source are held out, the next `num_dev` are the development split, and what
follows is trained on, `num_train` a round, so each round meets fresh problems while there are any and then begins
again. No problem comes twice, so the splits are disjoint by content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from jinja2 import TemplateError
from pydantic import Field

from pipeline import chat, models, recipe, registry
from pipeline.errors import ModelError, TaskError
from pipeline.files import read_records, write_records
from pipeline.run import Stage, stage
from pipeline.types import Problem, Problems, digest


class Options(recipe.Choice):
    """Base of every task's options: the sizes of the splits, in problems."""

    finite: ClassVar[bool] = False
    """Whether all the problems there are can be looked at before the first round."""

    num_train: int = Field(default=400, ge=1)
    num_dev: int = Field(default=200, ge=1)
    num_held_out: int = Field(default=200, ge=1)


def read_problems(folder: Path) -> Problems:
    return read_records(folder / "problems.jsonl", Problems)[0]


@stage(read_problems)
def load(work: Stage, options: Options, seed: int) -> Problems:
    """The splits of this round. Raises TaskError where the source has too few problems or repeats itself."""
    problems = split(source(options, seed), options, work.round)
    check_same(problems, work.dir.parent / f"round-{work.round - 1:03d}")
    whole = options.finite and work.round == 1  # so that no later round meets a prompt that can't be used
    parts = [source(options, seed)] if whole else problems.splits().values()
    check_prompts([problem for part in parts for problem in part], work.recipe.model)
    write_records(work.dir / "problems.jsonl", [problems])
    work.notes |= {f"num_{name}": len(part) for name, part in problems.splits().items()}
    return problems


def source(options: Any, seed: int) -> Iterator[Problem]:
    """The task's problems. Raises TaskError at an id or a prompt that came before: splits must share nothing."""
    seen: set[str] = set()
    for problem in registry.resolve("tasks", options.name)(options, seed):
        for mark in (problem.id, digest(problem.prompt)):
            if mark in seen:
                raise TaskError(f"task {options.name}: problem {problem.id!r} comes twice (its id, or its prompt)")
            seen.add(mark)
        yield problem


def split(problems: Iterator[Problem], options: Options, n: int) -> Problems:
    """The splits of round `n` (from 1). Raises TaskError where there are fewer problems than the splits ask for."""
    held_out = _take(problems, options.num_held_out, "num_held_out", options)
    dev = _take(problems, options.num_dev, "num_dev", options)
    pool = list(islice(problems, n * options.num_train))
    if len(pool) < options.num_train:
        _take(iter(pool), options.num_train, "num_train", options)
    first = (n - 1) * options.num_train
    return Problems([pool[place % len(pool)] for place in range(first, first + options.num_train)], dev, held_out)


def check_same(problems: Problems, before: Path) -> None:
    """Raises TaskError where the development and held-out problems are not those of the round in `before`."""
    if before.is_dir():
        old = read_problems(before)
        if any(_said(a) != _said(b) for a, b in ((old.dev, problems.dev), (old.held_out, problems.held_out))):
            raise TaskError(
                "the development and held-out problems are not those of the round before, so the data changed and what "
                "was trained on may be among them; put the data back, or name a new run with --run-dir"
            )


def _said(problems: list[Problem]) -> list[str]:
    return [digest(problem.to_dict()) for problem in problems]


def check_prompts(everything: Sequence[Problem], model: models.Options) -> None:
    """Raises ModelError where a prompt does not suit the model: no chat template for it, one that the template
    refuses, or one longer than the context."""
    path = models.fetch(model)
    if any(not isinstance(problem.prompt, str) for problem in everything) and not models.has_chat_template(path):
        raise ModelError(
            f"model.name: {model.name} has no chat template and the problems are chats; say task.chat=false to put "
            "them as plain text, or name an instruction-tuned model"
        )
    tokenizer = models.tokenizer(path)
    context = min(model.max_context, models.context_length(path))
    chat.end_token(tokenizer, everything[0].prompt)
    for problem in everything:
        try:
            length = len(chat.encode_prompt(tokenizer, problem.prompt))
        except TemplateError as error:
            raise ModelError(f"problem {problem.id}: the model's chat template refuses its prompt: {error}") from None
        if length >= context:
            raise ModelError(
                f"problem {problem.id}: its prompt has {length} tokens and the context {context}, prompt and answer "
                "together; raise model.max_context if the model allows it, or drop the problem"
            )


def check_template(template: str, **numbers: int) -> None:
    """Raises ValueError where the prompt `template` uses other names than those of `numbers`."""
    try:
        template.format(**numbers)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        *names, last = (f"{{{name}}}" for name in numbers)
        raise ValueError(f"prompt may use {', '.join(names)} and {last} only ({error!r})") from None


def _take(problems: Iterator[Problem], size: int, key: str, options: Options) -> list[Problem]:
    taken = list(islice(problems, size))
    if len(taken) < size:
        raise TaskError(
            f"task.{key} asks for {size} problems and {options.name} has {len(taken)} left for it; ask for fewer "
            "(held-out problems are taken first, then development, then training) or give more"
        )
    return taken
