"""The load stage: from a source of problems to the three splits of a round.

The first `num_held_out` problems of the source are held out, the next `num_dev` are the development split, and the
rest is trained on, `num_train` a round: each round gets fresh problems until the source is used up, and then starts
over. With `only`, training problems are those with the given values in their meta. The other splits stay as they are,
so a schedule can raise the difficulty round by round while the measures remain the same.

The problems of an official test split, `Task.held_out`, come first. A prompt that repeats an earlier one, case and
spacing aside, is skipped, so the splits are disjoint by content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, tee
from pathlib import Path
from string import Formatter

from jinja2 import TemplateError

from byheart import chat, models
from byheart.contracts import Task
from byheart.errors import ModelError, TaskError
from byheart.files import read_records, write_records
from byheart.progress import console
from byheart.records import LoadStats
from byheart.stages import Earlier, Stage, stage
from byheart.types import Message, Problem, Problems, Prompt, digest
from byheart.wording import normalised, text_of

_MAX_REPEATED = 1000
"""After this many repeated problems in a row, an endless source is taken to have nothing new."""
_MAX_FILTERED = 10_000
"""After this many problems in a row that `only` excludes, an endless source is taken to have no more that it admits."""
_MAX_SHOWN = 20
"""The most values that an error lists."""


class Source(Iterator[Problem]):
    """A task's problems, each once, those of its official test split first. `passed_over` counts repeated ones."""

    def __init__(self, task: Task, seed: int) -> None:
        """`seed` decides the order of the task's problems."""
        self.passed_over = 0
        self._name, self._finite = task.name, task.finite
        self._prompts: set[str] = set()
        self._ids: set[str] = set()
        self._problems = self._in_order(task, seed)

    def __next__(self) -> Problem:
        """The next problem that was not there before."""
        return next(self._problems)

    def _in_order(self, task: Task, seed: int) -> Iterator[Problem]:
        tests = task.held_out(seed)
        if tests is not None:
            held_out = list(self._fresh(tests))  # all of them, so that none is trained on
            yield from _take(iter(held_out), task.num_held_out, "num_held_out", task)
        yield from self._fresh(task.problems(seed))

    def _fresh(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        misses = 0
        for problem in problems:
            key = _key(problem.prompt)
            if key in self._prompts:
                self.passed_over += 1
                misses += 1
                if misses > _MAX_REPEATED and not self._finite:
                    return
                continue
            if problem.id in self._ids:
                raise TaskError(f"task {self._name}: two problems have the id {problem.id!r}")
            self._prompts.add(key)
            self._ids.add(problem.id)
            misses = 0
            yield problem


def read_problems(folder: Path) -> Problems:
    """The splits that `load` wrote to a round's directory."""
    return read_records(folder / "problems.jsonl", Problems)[0]


@stage(read_problems)
def load(work: Stage, model: models.ModelOptions, task: Task, earlier: Sequence[Earlier]) -> Problems:
    """The splits of this round. Raises TaskError where the source has too few problems, or others than before, and
    ModelError where a prompt does not suit the model."""
    everything = source(task, work.seed)
    once, again = tee(everything)
    problems = split(once, task, work.round)
    if earlier:
        check_same(problems, earlier[-1].problems.value)
    whole = task.finite and work.round == 1  # so that no later round meets a prompt that can't be used
    used = (problem for part in problems.splits().values() for problem in part)
    check_prompts(list(again if whole else used), model)
    write_records(work.dir / "problems.jsonl", [problems])
    work.stats = LoadStats(
        num_train=len(problems.train),
        num_dev=len(problems.dev),
        num_held_out=len(problems.held_out),
        num_passed_over=everything.passed_over,
    )
    if num_same := everything.passed_over:
        console.print(f"{task.name}: {num_same} problems say the same as one before and are passed over", markup=False)
    return problems


def source(task: Task, seed: int) -> Source:
    """The problems of `task`. Raises TaskError, when iterated, where its official test split is too small."""
    return Source(task, seed)


def split(problems: Iterator[Problem], task: Task, n: int) -> Problems:
    """The splits of round `n` (from 1). Raises TaskError where there are fewer problems than the splits ask for, or
    `task.only` admits none."""
    held_out = _take(problems, task.num_held_out, "num_held_out", task)
    dev = _take(problems, task.num_dev, "num_dev", task)
    pool = list(islice(_fitting(problems, task), n * task.num_train))
    if len(pool) < task.num_train:
        _take(iter(pool), task.num_train, "num_train", task)
    first = (n - 1) * task.num_train
    return Problems([pool[index % len(pool)] for index in range(first, first + task.num_train)], dev, held_out)


def _fitting(problems: Iterator[Problem], task: Task) -> Iterator[Problem]:
    """The problems that `task.only` admits. Raises TaskError where there are none."""
    excluded: dict[str, set[str]] = {key: set() for key in task.only}
    none, misses = True, 0
    for problem in problems:
        if all(problem.meta.get(key) in values for key, values in task.only.items()):
            none, misses = False, 0
            yield problem
            continue
        misses += 1
        if misses > _MAX_FILTERED and not task.finite:
            break
        for key, known in excluded.items():
            if key in problem.meta and len(known) < _MAX_SHOWN:
                known.add(str(problem.meta[key]))
    if none and misses:
        values = "; ".join(
            f"{key}: {', '.join(sorted(known)) or 'not in their meta'}" for key, known in excluded.items()
        )
        raise TaskError(f"task.only admits no problem to train on; {task.name} has {values}")


def check_same(problems: Problems, before: Problems) -> None:
    """Raises TaskError where the development and held-out problems are not those of the round `before`."""
    if _measured(problems) != _measured(before):
        raise TaskError(
            "the development and held-out problems are not those of the round before, so the data changed and what "
            "was trained on may be among them; put the data back, or name a new run with --run-dir"
        )


def _measured(problems: Problems) -> list[str]:
    return [digest(problem.to_dict()) for part in (problems.dev, problems.held_out) for problem in part]


def check_prompts(everything: Sequence[Problem], model: models.ModelOptions) -> None:
    """Raises ModelError where a prompt does not suit the model: chats without a chat template, a prompt that the
    template refuses, or one longer than the context."""
    path = models.fetch(model)
    if any(not isinstance(problem.prompt, str) for problem in everything) and not models.has_chat_template(path):
        raise ModelError(
            f"model.name: {model.name} has no chat template and the problems are chats; set task.chat=false to put "
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
    *first, last = (f"{{{name}}}" for name in parts)
    known = f"{', '.join(first)} and {last}" if first else last
    try:
        template.format(**parts)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"prompt may use {known} only, and doubles every other brace ({error!r})") from None
    if all(name is None for _, name, _, _ in Formatter().parse(template)):
        raise ValueError(f"prompt uses none of {known}, so every problem would say the same")


def as_prompt(text: str, chat: bool) -> Prompt:
    """`text` as a user's message, or as plain text."""
    return [Message(role="user", content=text)] if chat else text


def _key(prompt: Prompt) -> str:
    """The hash of the words of `prompt`, case and spacing aside."""
    return digest(normalised(text_of(prompt)))


def _take(problems: Iterator[Problem], size: int, key: str, task: Task) -> list[Problem]:
    taken = list(islice(problems, size))
    if len(taken) < size:
        raise TaskError(
            f"task.{key} asks for {size} problems and {task.name} has {len(taken)} left for it; ask for fewer "
            "(held-out problems are taken first, then development, then training) or give more"
        )
    return taken
