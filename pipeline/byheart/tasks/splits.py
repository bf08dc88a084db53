"""The load stage: from a source of problems to the three splits of a round.

The first `num_held_out` problems of the source are held out, the next `num_dev` are the development split, and what
follows is trained on, `num_train` a round, so each round meets fresh problems while there are any and then begins
again. With `only`, training problems are those whose meta says so; the other splits stay as they are, so a schedule can
raise the difficulty round by round while the measures remain the same.

A task with an official test split says so with a function `held_out` beside `problems`; its problems then come first. A
prompt that came before, case and spacing aside, is passed over, so the splits are disjoint by content.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, tee
from pathlib import Path
from string import Formatter
from typing import Any, ClassVar

from jinja2 import TemplateError
from pydantic import Field

from byheart import chat, models, recipe, registry
from byheart.errors import ModelError, TaskError
from byheart.files import read_records, write_records
from byheart.progress import console
from byheart.run import Stage, stage
from byheart.types import Message, Problem, Problems, Prompt, digest
from byheart.wording import normalised, said

_MISSES = 1000
"""After so many problems in a row that came before, an endless source has next to nothing left."""
_OTHERS = 10_000
"""After so many in a row that `only` does not let in, an endless source has next to nothing left that it does."""
_TOLD = 20
"""An error names so many values at most."""


class Options(recipe.Choice):
    """Base of every task's options: the sizes of the splits, in problems, the verifier, and what is trained on.

    `only` says values of the problems' meta: {digits: [2, 3]} trains on nothing else. Round n takes the n-th
    `num_train` of those that fit: where `only` changes from round to round, some may come again and others never.
    """

    finite: ClassVar[bool] = False
    """Whether all the problems there are can be looked at before the first round."""

    num_train: int = Field(default=400, ge=1)
    num_dev: int = Field(default=200, ge=1)
    num_held_out: int = Field(default=200, ge=1)
    only: dict[str, list[Any]] = Field(default_factory=dict)
    verifier: recipe.choice("verifiers")  # type: ignore[valid-type]


class Source(Iterator[Problem]):
    """A task's problems, those of its official test split first, each once; `passed_over` counts those said before."""

    def __init__(self, options: Any, seed: int) -> None:
        self.passed_over = 0
        self._name, self._finite = options.name, options.finite
        self._prompts: set[str] = set()
        self._ids: set[str] = set()
        self._problems = self._in_order(options, seed)

    def __next__(self) -> Problem:
        return next(self._problems)

    def _in_order(self, options: Any, seed: int) -> Iterator[Problem]:
        problems = registry.resolve("tasks", options.name)
        official = getattr(sys.modules[problems.__module__], "held_out", None)
        tests = official(options, seed) if official else None
        if tests is not None:
            held_out = list(self._fresh(tests))  # all of them, so that none is trained on
            yield from _take(iter(held_out), options.num_held_out, "num_held_out", options)
        yield from self._fresh(problems(options, seed))

    def _fresh(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        misses = 0
        for problem in problems:
            mark = _words(problem.prompt)
            if mark in self._prompts:
                self.passed_over += 1
                misses += 1
                if misses > _MISSES and not self._finite:
                    return
                continue
            if problem.id in self._ids:
                raise TaskError(f"task {self._name}: two problems have the id {problem.id!r}")
            self._prompts.add(mark)
            self._ids.add(problem.id)
            misses = 0
            yield problem


def read_problems(folder: Path) -> Problems:
    return read_records(folder / "problems.jsonl", Problems)[0]


@stage(read_problems)
def load(work: Stage, options: Options, seed: int) -> Problems:
    """The splits of this round. Raises TaskError where the source has too few problems."""
    everything = source(options, seed)
    once, again = tee(everything)
    problems = split(once, options, work.round)
    check_same(problems, work.round_dir(work.round - 1))
    whole = options.finite and work.round == 1  # so that no later round meets a prompt that can't be used
    used = (problem for part in problems.splits().values() for problem in part)
    check_prompts(list(again if whole else used), work.recipe.model)
    write_records(work.dir / "problems.jsonl", [problems])
    work.notes |= {f"num_{name}": len(part) for name, part in problems.splits().items()}
    work.notes["num_passed_over"] = everything.passed_over
    if same := everything.passed_over:
        console.print(f"{options.name}: {same} problems say the same as one before and are passed over", markup=False)
    return problems


def source(options: Any, seed: int) -> Source:
    """The problems of the task that `options` names. Raises TaskError where its official test split is too small."""
    return Source(options, seed)


def split(problems: Iterator[Problem], options: Options, n: int) -> Problems:
    """The splits of round `n` (from 1). Raises TaskError where there are fewer problems than the splits ask for, or
    none to train on that `options.only` lets in."""
    held_out = _take(problems, options.num_held_out, "num_held_out", options)
    dev = _take(problems, options.num_dev, "num_dev", options)
    pool = list(islice(_fitting(problems, options), n * options.num_train))
    if len(pool) < options.num_train:
        _take(iter(pool), options.num_train, "num_train", options)
    first = (n - 1) * options.num_train
    return Problems([pool[place % len(pool)] for place in range(first, first + options.num_train)], dev, held_out)


def _fitting(problems: Iterator[Problem], options: Options) -> Iterator[Problem]:
    """Those that `options.only` lets in. Raises TaskError where there is none."""
    others: dict[str, set[str]] = {key: set() for key in options.only}
    none, misses = True, 0
    for problem in problems:
        if all(problem.meta.get(key) in values for key, values in options.only.items()):
            none, misses = False, 0
            yield problem
            continue
        misses += 1
        if misses > _OTHERS and not options.finite:
            break
        for key, known in others.items():
            if key in problem.meta and len(known) < _TOLD:
                known.add(str(problem.meta[key]))
    if none and misses:
        there = "; ".join(f"{key}: {', '.join(sorted(known)) or 'not in their meta'}" for key, known in others.items())
        raise TaskError(f"task.only lets in no problem to train on; what {options.name} has is {there}")


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


def check_template(template: str, **parts: object) -> None:
    """Raises ValueError where the prompt `template` uses other names than those of `parts`, or none of them."""
    *names, last = (f"{{{name}}}" for name in parts)
    known = f"{', '.join(names)} and {last}" if names else last
    try:
        template.format(**parts)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"prompt may use {known} only, and doubles every other brace ({error!r})") from None
    if all(name is None for _, name, _, _ in Formatter().parse(template)):
        raise ValueError(f"prompt uses none of {known}, so every problem would say the same")


def asked(text: str, chat: bool) -> Prompt:
    """`text` as a user's message, or as it is."""
    return [Message(role="user", content=text)] if chat else text


def _words(prompt: Prompt) -> str:
    """A name for what `prompt` says, case and spacing aside."""
    return digest(normalised(said(prompt)))


def _take(problems: Iterator[Problem], size: int, key: str, options: Options) -> list[Problem]:
    taken = list(islice(problems, size))
    if len(taken) < size:
        raise TaskError(
            f"task.{key} asks for {size} problems and {options.name} has {len(taken)} left for it; ask for fewer "
            "(held-out problems are taken first, then development, then training) or give more"
        )
    return taken
