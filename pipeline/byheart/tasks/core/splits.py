"""The load stage: from a source of problems to the three splits of a round.

The first `num_held_out` problems of the source are held out, the next `num_dev` are the development split, and the
rest is trained on, `num_train` a round: each round gets fresh problems until the source is used up, and then starts
over. With `only`, training problems are those with the given values in their meta. The other splits stay as they are,
so a schedule can raise the difficulty round by round while the measures remain the same.

The problems of an official test split, `Task.held_out`, come first. A prompt that repeats an earlier one, case and
spacing aside, is skipped, so the splits are disjoint by content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from string import Formatter
from types import MappingProxyType
from typing import Any

from byheart.contracts import Task, Verifier
from byheart.errors import ByheartError, InputError, ModelError, PromptError, TaskError
from byheart.files import read_record, write_records
from byheart.models import chat, checkpoint, layout
from byheart.plugins import registry
from byheart.progress import console
from byheart.runs.records import LoadStats
from byheart.runs.stages import Earlier, Stage, stage
from byheart.tasks.core import turns
from byheart.text import normalised, shown, text_of, wrong_prompt
from byheart.types import SOLUTION, Message, Problem, Problems, Prompt, digest, replace

_MAX_REPEATED = 1000
"""After this many repeated problems in a row, an endless source is taken to have nothing new."""
_MAX_REPEATED_FINITE = 100_000
"""After this many in a row, and _MAX_REPEATED for each problem that there is, a finite source is taken for endless."""
_MAX_FILTERED = 10_000
"""After this many problems in a row that `only` excludes, an endless source is taken to have no more that it admits."""
_MAX_SHOWN = 20
"""The most values that an error lists."""
_MAX_READ = 8_000
"""The most problems, beside those of the splits, of which a dry run reads the gold answers: at 200 a second, as the
slowest verifier does, in less than a minute."""


class Source(Iterator[Problem]):
    """A task's problems, each once, those of its official test split first. `taken` are those so far; `passed_over`
    counts repeated ones."""

    def __init__(self, task: Task, seed: int) -> None:
        """`seed` decides the order of the task's problems."""
        self.taken: list[Problem] = []
        self.passed_over = 0
        self._name, self._finite = task.name, task.finite
        self._verifier = task.verifier.name if task.has_gold and task.verifier.requires_gold() else None
        self._prompts: set[str] = set()
        self._ids: set[str] = set()
        self._problems = self._in_order(task, seed)

    def __next__(self) -> Problem:
        """The next problem that was not there before. Raises TaskError where what the task yields is none, or can't be
        read."""
        problem = next(self._problems)
        self.taken.append(problem)
        return problem

    def take(self, size: int, key: str, among: Iterator[Problem] | None = None) -> list[Problem]:
        """The next `size` problems, or those of `among`. Raises TaskError where they are fewer than task.`key` asks
        for."""
        part = list(islice(self if among is None else among, size))
        if len(part) < size:
            repeated = f" ({self.passed_over} problems that say the same as another were passed over)"
            raise TaskError(
                f"task.{key} asks for {size} problems and {self._name} has {len(part)} left for it"
                f"{repeated if self.passed_over else ''}; ask for fewer (held-out problems are taken first, then "
                "development, then training) or give more"
            )
        return part

    def _in_order(self, task: Task, seed: int) -> Iterator[Problem]:
        try:
            tests = task.held_out(seed)
            if tests is not None:
                held_out = list(self._fresh(tests, "held_out"))  # all of them, so that none is trained on
                yield from self.take(task.num_held_out, "num_held_out", iter(held_out))
            yield from self._fresh(task.problems(seed), "problems")
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error) or type(error).__name__
            raise TaskError(
                f"task {self._name} can't read its problems: {reason}; what it reads has to be there and readable "
                "(self.locate finds a path beside the recipe's file too)"
            ) from error
        except ByheartError:
            raise
        except Exception as error:
            error.add_note(f"raised in the problems of task {self._name}")
            raise

    def _fresh(self, problems: Iterable[Problem], method: str) -> Iterator[Problem]:
        """Those of `problems`, which the task's `method` returned, that were not there before."""
        misses = 0
        for problem in self._checked(problems, method):
            key = _key(problem.prompt)
            if key in self._prompts:
                self.passed_over += 1
                misses += 1
                if misses > _MAX_REPEATED and not self._finite:
                    return
                if misses > max(_MAX_REPEATED_FINITE, _MAX_REPEATED * len(self._prompts)):
                    raise TaskError(
                        f"task {self._name}: {method}(seed) yielded {misses:,} problems in a row that say the same as "
                        "one before; a finite task has to come to an end: end it, or declare "
                        "`finite: ClassVar[bool] = False`"
                    )
                continue
            if problem.id in self._ids:
                raise TaskError(f"task {self._name}: two problems have the id {problem.id!r}")
            self._prompts.add(key)
            self._ids.add(problem.id)
            misses = 0
            yield problem

    def _checked(self, problems: object, method: str) -> Iterator[Problem]:
        """The problems that the task's `method` returned. Raises TaskError at what is none."""
        if not isinstance(problems, Iterable):
            raise TaskError(
                f"{method}(seed) of task {self._name} returned {type(problems).__name__}; it has to yield problems"
            )
        for number, problem in enumerate(problems, 1):
            mistake = _mistake(problem)
            if not mistake and problem.answer is None and self._verifier is not None:
                mistake = (
                    f"its answer is None, and the verifier {self._verifier!r} needs one; give an answer, or declare "
                    "`has_gold: ClassVar[bool] = False` and take a verifier that needs none, such as consensus"
                )
            if mistake:
                name = f", id {problem.id!r}" if isinstance(problem, Problem) else ""
                raise TaskError(f"task {self._name}, problem {number} of {method}(seed){name}: {mistake}")
            yield problem


def read_problems(folder: Path) -> Problems:
    """The splits that `load` wrote to a round's directory."""
    return read_record(folder / "problems.jsonl", Problems)


@stage(read_problems)
def load(
    work: Stage,
    model: checkpoint.ModelOptions,
    task: Task,
    earlier: Sequence[Earlier],
    others: Mapping[str, Task] = MappingProxyType({}),
    verifiers: Sequence[Verifier] = (),
    fits: Callable[[Problems], None] | None = None,
) -> Problems:
    """The splits of this round, and the problems of `others`, tasks that are measured too. Raises TaskError where a
    source has too few problems, or others than before, or a task's verifier or one of `verifiers` can't read gold
    answers; and ModelError where a prompt does not suit the model. `fits` raises what there is to say of prompts
    that are made of the problems; those to train on are given to it as in round 1, from which examples are taken."""
    everything = source(task, work.seed)
    problems = replace(split(everything, task, work.round), also=also(others, work.seed))
    if earlier:
        check_same(problems, earlier[-1].problems.value)
    whole = task.finite and work.round == 1  # so that no later round meets a prompt that can't be used
    used = (problem for part in problems.splits().values() for problem in part)
    checked = [*everything.taken, *everything] if whole else list(used)
    if len(checked) > _MAX_READ:  # LaTeX is read at some hundreds a second
        console.print(f"{task.name}: reading the gold answers of {len(checked):,} problems")
    for line in check_gold(checked, task, verifiers):
        console.print(line)
    check_prompts(checked, model)
    for name, part in problems.also.items():
        with of_another(name):
            for line in check_gold(part, others[name], ()):
                console.print(line)
            check_prompts(part, model)
    if fits:
        fits(replace(problems, train=earlier[0].problems.value.train) if earlier else problems)
    write_records(work.dir / "problems.jsonl", [problems])
    work.stats = LoadStats(
        num_train=len(problems.train),
        num_dev=len(problems.dev),
        num_held_out=len(problems.held_out),
        num_passed_over=everything.passed_over,
    )
    if num_same := everything.passed_over:
        console.print(f"{task.name}: {num_same} problems say the same as one before and are passed over")
    return problems


def source(task: Task, seed: int) -> Source:
    """The problems of `task`. Raises TaskError, when iterated, where its official test split is too small,
    and where what the task yields is no problem."""
    return Source(task, seed)


def split(problems: Source, task: Task, n: int) -> Problems:
    """The splits of round `n` (from 1). Raises TaskError where there are fewer problems than the splits ask for, or
    `task.only` admits none."""
    held_out = problems.take(task.num_held_out, "num_held_out")
    dev = problems.take(task.num_dev, "num_dev")
    pool = list(islice(_fitting(problems, task), n * task.num_train))
    if len(pool) < task.num_train:
        problems.take(task.num_train, "num_train", iter(pool))
    first = (n - 1) * task.num_train
    return Problems([pool[index % len(pool)] for index in range(first, first + task.num_train)], dev, held_out)


def also(others: Mapping[str, Task], seed: int) -> dict[str, list[Problem]]:
    """The held-out problems of other tasks that are measured, by their names. Raises TaskError as `split` does."""
    problems = {}
    for name, task in others.items():
        with of_another(name):
            problems[name] = source(task, seed).take(task.num_held_out, "num_held_out")
    return problems


@contextmanager
def of_another(name: str) -> Iterator[None]:
    """Have errors say that the task is the one that evaluation.also calls `name`."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"evaluation.also.{name}: {error}") from None


def _fitting(problems: Iterator[Problem], task: Task) -> Iterator[Problem]:
    """The problems that `task.only` admits. Raises TaskError where there are none."""
    excluded: dict[str, set[str]] = {key: set() for key in task.only}
    keys: set[str] = set()
    none, misses = True, 0
    for problem in problems:
        _check_types(problem, task)
        if all(problem.meta.get(key) in values for key, values in task.only.items()):
            none, misses = False, 0
            yield problem
            continue
        misses += 1
        if misses > _MAX_FILTERED and not task.finite:
            break
        keys |= problem.meta.keys()
        for key, known in excluded.items():
            if key in problem.meta and len(known) < _MAX_SHOWN:
                known.add(repr(problem.meta[key]))
    if none and misses:
        there = f"not in their meta, which has {', '.join(sorted(keys)) or 'nothing'}"
        values = "; ".join(f"{key}: {', '.join(sorted(known)) or there}" for key, known in excluded.items())
        raise TaskError(f"task.only admits no problem to train on; {task.name} has {values}")


def check_some(everything: Source, task: Task, verifiers: Sequence[Verifier]) -> list[str]:
    """As check_gold, of the problems taken so far and, of a finite task, those after them for which there is time in a
    dry run."""
    rest = list(islice(everything, _MAX_READ)) if task.finite else []
    lines = check_gold(everything.taken, task, verifiers)
    if len(rest) == _MAX_READ:
        lines.append(f"the first {len(everything.taken):,} problems were looked at; the run looks at all")
    return lines


def check_gold(problems: Sequence[Problem], task: Task, verifiers: Sequence[Verifier]) -> list[str]:
    """What is to be said of gold answers that the task's verifier or one of `verifiers` can't read in a published data
    set, which nobody here can correct. Raises TaskError where it is no published one, or none of them can be read."""
    lines = []
    for verifier in (task.verifier, *(other for other in verifiers if other != task.verifier)):
        unread = [(problem, reason) for problem in problems if (reason := verifier.unreadable(problem))]
        if not unread:
            continue
        (first, reason), count = unread[0], f"{len(unread)} of {len(problems)}"
        line = (
            f"{task.name}: {verifier.name} can't read what {count} problems are judged by, such as {first.id}: {reason}"
        )
        if task.source() is None or len(unread) == len(problems):
            raise TaskError(f"{line}; correct them, or take another verifier")
        lines.append(f"{line}; their solutions will be unjudged, unless they say it in the same words")
    return lines


def _check_types(problem: Problem, task: Task) -> None:
    """Raises TaskError where a value in `task.only` is written as one in the problem's meta but is of another type, and
    so would never be found."""
    for key, values in task.only.items():
        value = problem.meta.get(key)
        for wanted in values if key in problem.meta and value not in values else []:
            if str(wanted) == str(value):
                raise TaskError(f"task.only: {key} is {shown(value)} in the problems, and not {shown(wanted)}")


def check_same(problems: Problems, before: Problems) -> None:
    """Raises TaskError where the development and held-out problems are not those of the round `before`."""
    if _measured(problems) != _measured(before):
        raise TaskError(
            "the development and held-out problems are not those of the round before, so the data changed and what "
            "was trained on may be among them; put the data back, or name a new run with --run-dir"
        )


def _measured(problems: Problems) -> list[str]:
    """A name for what each of them is measured by, which a solution in its meta is not."""
    both = [*problems.dev, *problems.held_out, *chain.from_iterable(problems.also.values())]
    metas = [{key: value for key, value in problem.meta.items() if key != SOLUTION} for problem in both]
    return [digest(replace(problem, meta=meta).to_dict()) for problem, meta in zip(both, metas, strict=True)]


def check_prompts(everything: Sequence[Problem], model: checkpoint.ModelOptions) -> None:
    """Raises ModelError where a prompt does not suit the model: chats without a chat template, a prompt that the
    template refuses, or one longer than the context."""
    path = checkpoint.fetch(model)
    checkpoint.check(path, (problem.prompt for problem in everything))
    tokenizer = checkpoint.tokenizer(path)
    context = min(model.max_context, checkpoint.context_length(path))
    chat.end_token(tokenizer, everything[0].prompt)
    for problem in everything:
        try:
            length = len(chat.encode_prompt(tokenizer, problem.prompt, today=model.date))
            role = None if isinstance(problem.prompt, str) else layout.unknown_role(tokenizer, problem.prompt)
        except PromptError as error:
            raise ModelError(f"problem {problem.id}: {error}") from None
        if role is not None:
            raise ModelError(
                f"problem {problem.id}: the model's chat template knows no messages of {role!r}; give them another "
                "role, or leave them out"
            )
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


def _mistake(problem: Any) -> str:
    """What is wrong with something that a task yielded as a problem, and what to do; "" where nothing is."""
    if not isinstance(problem, Problem):
        return f"it is {shown(problem)} and no Problem; yield Problem.of(prompt, answer, verifier)"
    unchecked: Any = problem
    prompt, answer = unchecked.prompt, unchecked.answer
    if not isinstance(unchecked.id, str):
        return f"its id is {shown(unchecked.id)}; give text, as Problem.of does"
    if wrong := wrong_prompt(prompt):
        return f"its prompt is {wrong}"
    if not isinstance(prompt, str) and (wrong := turns.unanswerable(prompt)):
        return f"its prompt {wrong}"
    if not (answer is None or isinstance(answer, str)):
        return f"its answer is {shown(answer)}; give text, str(answer), or None where none is known"
    if not isinstance(unchecked.verifier, str) or unchecked.verifier not in registry.known("verifiers"):
        return f"its verifier is {shown(unchecked.verifier)}; give the name of one, self.verifier.name"
    if not isinstance(unchecked.meta, dict):
        return f"its meta is {shown(unchecked.meta)}; give a dict"
    return ""
