"""The controls of a round: what the model that the run began with comes to without training.

few_shot      with worked examples before the question (2005.14165): the task's own solutions, or else its answers
few_shot_own  with right solutions that the run itself sampled in round 1
prompts       with the best of some prompts, the best on the development problems
majority      by a majority vote of several samples, which needs no gold answer (2203.11171)

They are measured on the held-out problems and decide nothing. Examples are of round 1 and the same for every problem,
so a later round reads what the first one measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byheart.contracts import Strategy, Workers
from byheart.errors import AllFailedError, RecipeError
from byheart.evaluation.measure import Answer, Outcome
from byheart.evaluation.measurements import Greedy, equal_answers, right_or_not
from byheart.evaluation.metrics import Kind
from byheart.evaluation.subject import Rollouts, Subject
from byheart.files import read_records, write_records
from byheart.models import chat, checkpoint
from byheart.plugins.plugin import Options
from byheart.progress import console
from byheart.runs.stages import Earlier, Stage, stage
from byheart.strategies.core.example_store import shortest_right, verified_examples
from byheart.strategies.core.plain import greedy, sampled
from byheart.strategies.core.prompting import spaced, template
from byheart.strategies.core.shown import Shown, shown
from byheart.text import text_of
from byheart.types import Policy, Problem, Problems, Prompt, Record, RolloutGroup, Verdict, WorkedExample, replace
from byheart.verifiers.consensus import comparing
from byheart.verifiers.core.service import VerifierService

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe
    from byheart.evaluation.measuring import EvaluationOptions


class ControlOptions(Options):
    """What the model that the run began with, untrained, is also measured with, on the held-out problems."""

    few_shot: int = Field(
        default=0, ge=0, description="worked examples before the question: the task's own solutions, else its answers"
    )
    few_shot_own: int = Field(
        default=0, ge=0, description="right solutions of the run's first round before the question"
    )
    prompts: list[Annotated[str, template("problem")]] = Field(
        default_factory=list,
        description="prompts, each with {problem}, of which the best on dev is measured, such as '{problem} Think.'",
    )
    majority: int = Field(
        default=0, ge=0, le=512, description="samples a problem of which the most frequent answer counts"
    )

    @property
    def num_greedy(self) -> int:
        """How many controls ask for greedy answers to the held-out problems."""
        return bool(self.few_shot) + bool(self.few_shot_own) + bool(self.prompts)


@dataclass(frozen=True, slots=True)
class Control(Record):
    """One control: `words` say which it is, after "with"; `answers` are those to the held-out problems, of the kinds
    that were asked for."""

    words: str
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Example:
    """A problem with a `solution` of it, and the `answer` alone."""

    prompt: Prompt
    solution: str
    answer: str


def read_controls(folder: Path) -> list[Control]:
    """What the stage `controls` wrote to the directory of its round."""
    return read_records(folder / "controls.jsonl", Control)


@stage(read_controls)
def controls(
    work: Stage,
    problems: Problems,
    base: Policy,
    rollouts: Sequence[RolloutGroup],
    verdicts: Sequence[Verdict],
    options: EvaluationOptions,
    workers: Workers,
    verifier: VerifierService,
    earlier: Sequence[Earlier],
) -> list[Control]:
    """Measure `base`, the policy that the run began with, with each control that `options` ask for. A control that has
    no example to show, or that makes every prompt too long, is left out: it decides nothing, so it stops nothing."""
    asked, made = options.controls, list[Control]()
    subject, development = (
        Subject(work, base, {name: problems.splits()[name]}, workers, verifier, verified_examples([]))
        for name in ("held_out", "dev")
    )
    if asked != ControlOptions():
        subject.load()

    def measure(words: str, strategies: Mapping[Kind, Strategy]) -> None:
        try:
            made.append(_measured(subject, words, strategies))
        except AllFailedError as error:
            console.print(f"{work.name}: the base with {words} is left out: {error}")

    if asked.few_shot:
        train = earlier[0].problems.value.train if earlier else problems.train
        if examples := worked_examples(train, asked.few_shot):
            measure(_counted(examples, "worked example"), _after(examples, options))
    if asked.few_shot_own:
        first = (earlier[0].rollouts.value, earlier[0].verdicts.value) if earlier else (rollouts, verdicts)
        if examples := own_examples(*first, asked.few_shot_own):
            measure(f"{_counted(examples, 'own solution')} as examples", _after(examples, options))
    if asked.prompts:
        prompt = _best(development, options)
        measure(f"the prompt {prompt!r}", _prompted(prompt, options))
    if asked.majority:
        made.append(_voted(subject, options))
    write_records(work.dir / "controls.jsonl", made)
    return made


def worked_examples(train: Sequence[Problem], k: int) -> list[Example]:
    """The first `k` of the problems that have a gold answer, with the task's own solutions, else their answers."""
    known = ((problem, problem.solution, problem.answer) for problem in train)
    return [Example(problem.prompt, solution, answer) for problem, solution, answer in known if solution and answer][:k]


def own_examples(rollouts: Sequence[RolloutGroup], verdicts: Sequence[Verdict], k: int) -> list[Example]:
    """The first `k` problems that were solved in a round, each with its shortest right solution, and the answer that
    the verifier read in it."""
    best = list(shortest_right(rollouts, verdicts).values())[:k]
    return [Example(rollout.prompt, rollout.response, verdict.answer or rollout.response) for rollout, verdict in best]


def _after(examples: Sequence[Example], options: EvaluationOptions) -> dict[Kind, Shown]:
    """How each kind of greedy answers is asked for after `examples`: with solutions where there is room to reason."""
    fast = _with_solutions(examples) if options.one_kind else _with_answers(examples)
    return {
        "fast": _shown(fast, options.fast.prompt, options.fast.max_tokens),
        "worked": _shown(_with_solutions(examples), options.worked.prompt, options.worked.max_tokens),
    }


def _with_solutions(examples: Sequence[Example]) -> list[WorkedExample]:
    return [WorkedExample(example.prompt, spaced(example.prompt, example.solution)) for example in examples]


def _with_answers(examples: Sequence[Example]) -> list[WorkedExample]:
    return [WorkedExample(example.prompt, spaced(example.prompt, example.answer)) for example in examples]


def _shown(examples: list[WorkedExample], prompt: str, max_tokens: int) -> Shown:
    asked = greedy(prompt, max_tokens).model_dump(exclude={"name"})
    return Shown(**asked, examples=examples)


def _prompted(prompt: str, options: EvaluationOptions) -> dict[Kind, Strategy]:
    return {"fast": greedy(prompt, options.fast.max_tokens), "worked": greedy(prompt, options.worked.max_tokens)}


def _best(development: Subject, options: EvaluationOptions) -> str:
    """The prompt that gets most development problems right, by the kind of answers that decides; of equals the
    first."""
    kind = options.decides

    def num_right(prompt: str) -> int:
        try:
            control = _measured(development, prompt, {kind: _prompted(prompt, options)[kind]})
        except AllFailedError:  # too long, say
            return -1
        return sum(answer.kind(kind).right is True for answer in control.answers)

    return max(options.controls.prompts, key=num_right)


def _measured(subject: Subject, words: str, asked: Mapping[Kind, Strategy]) -> Control:
    answers = {problem.id: Answer(problem.id) for problem in subject.problems}
    for kind, strategy in asked.items():
        answers |= Greedy(kind, strategy).measure(subject, answers)
    return Control(words, [answers[problem.id] for problem in subject.problems])


def _voted(subject: Subject, options: EvaluationOptions) -> Control:
    """The most frequent answer of samples that are asked for as `worked` is; where `fast` asks the same, for both."""
    n, worked = options.controls.majority, options.worked
    samples = subject.answers("majority", sampled(worked.prompt, worked.max_tokens, n, options.temperature))
    representatives = equal_answers(subject, samples)
    voted = {problem.id: vote(samples[problem.id], representatives[problem.id]) for problem in subject.problems}
    answers = [Answer(name, worked=outcome) for name, outcome in voted.items()]
    if options.one_kind:
        answers = [replace(answer, fast=answer.worked) for answer in answers]
    return Control(f"a majority vote of {_counted(range(n), 'sample')}", answers)


def vote(samples: Rollouts, representatives: Mapping[str, str]) -> Outcome:
    """The first of the samples whose answer is the most frequent one; of equally frequent ones, the one that came
    first. What was cut off, or holds no answer, has no vote; without any vote, nothing is right. `representatives`
    names the class of each answer; the tokens are those of all samples."""
    tokens = sum(rollout.num_tokens for rollout, _ in samples)
    voters = [
        (representatives[verdict.answer], rollout, verdict)
        for rollout, verdict in samples
        if verdict.answer is not None and rollout.finish_reason == "stop"
    ]
    if not voters:
        unjudged = all(verdict.score is None for _, verdict in samples)
        return Outcome(None if unjudged else False, tokens, "(no sample has an answer)", unread=True)
    [(elected, _)] = Counter(answer for answer, _, _ in voters).most_common(1)  # of equals the first
    rollout, verdict = next((rollout, verdict) for answer, rollout, verdict in voters if answer == elected)
    return Outcome(right_or_not(rollout, verdict), tokens, rollout.response)


def _counted(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


# What is refused before anything runs


def check_controls(recipe: Recipe) -> None:
    """Raises RecipeError where the task or its verifier has not what a control of `recipe` needs."""
    asked, task = recipe.evaluation.controls, recipe.task
    if asked.few_shot and not task.has_gold:
        raise RecipeError(
            f"evaluation.controls.few_shot: the task {task.name!r} has no gold answers to show; say few_shot_own"
        )
    if asked.majority and comparing(task.verifier) is None:
        raise RecipeError(
            f"evaluation.controls.majority: the verifier {task.verifier.name!r} can't tell whether two answers are "
            "equal, so there is no vote"
        )


def check_context(recipe: Recipe, problems: Problems) -> None:
    """Raises RecipeError where a held-out problem, with what a control puts before it, and the answer do not fit the
    context. Own solutions are taken to be as long as the strategy allows; where it has no budget, they can't be
    known before."""
    if recipe.evaluation.controls == ControlOptions():
        return
    path = checkpoint.fetch(recipe.model)
    tokenizer, context = checkpoint.tokenizer(path), min(recipe.model.max_context, checkpoint.context_length(path))
    for key, prompt, more in _longest(recipe, problems):
        needed = len(chat.encode_prompt(tokenizer, prompt, today=recipe.model.date)) + more
        if needed > context:
            raise RecipeError(
                f"evaluation.controls.{key}: a prompt and its answer come to {needed:,} tokens, and the context has "
                f"{context:,}; raise model.max_context to {needed:,} if the model allows it, or ask for less"
            )


def _longest(recipe: Recipe, problems: Problems) -> Iterator[tuple[str, Prompt, int]]:
    """Of each control the key, the prompts, and the tokens that come to each of them."""
    options = recipe.evaluation
    asked, budget = options.controls, recipe.strategy.budget()
    kinds = (options.worked,) if options.one_kind else (options.fast, options.worked)
    if asked.few_shot:
        strategies = _after(worked_examples(problems.train, asked.few_shot), options)
        for strategy in [strategies["worked"]] if options.one_kind else strategies.values():
            for problem in problems.held_out:
                yield "few_shot", shown(strategy.examples, problem.prompt, strategy.prompt), strategy.max_tokens
    if asked.few_shot_own and budget:
        train = sorted(problems.train, key=lambda problem: len(text_of(problem.prompt)), reverse=True)
        longest = [WorkedExample(problem.prompt, "") for problem in train[: asked.few_shot_own]]
        for kind in kinds:
            for problem in problems.held_out:
                tokens = len(longest) * budget.max_tokens + kind.max_tokens
                yield "few_shot_own", shown(longest, problem.prompt, kind.prompt), tokens
    for number, prompt in enumerate(asked.prompts):
        for kind in kinds:
            for problem in problems.held_out:
                yield f"prompts[{number}]", shown([], problem.prompt, prompt), kind.max_tokens
