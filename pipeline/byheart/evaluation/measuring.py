"""The two stages that measure: the policy that a round starts from, and the one that it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from byheart.contracts import Strategy, Task, Workers
from byheart.errors import TaskError
from byheart.evaluation.also import measure_also
from byheart.evaluation.controls import ControlOptions
from byheart.evaluation.measure import Answer, Measure, read_measure
from byheart.evaluation.measurements import Greedy, Measurement, Sampled, Slow, StepValues
from byheart.evaluation.metrics import Kind
from byheart.evaluation.subject import Subject
from byheart.files import write_records
from byheart.plugins.plugin import Member, Options
from byheart.runs.stages import Earlier, Stage, stage
from byheart.strategies.core.example_store import verified_examples
from byheart.strategies.core.plain import greedy, sampled, straight
from byheart.strategies.core.prompting import template
from byheart.types import Policy, Problem, Problems
from byheart.verifiers.core.service import VerifierService

if TYPE_CHECKING:
    from byheart.curation import CurationOptions


class FastOptions(Options):
    """How the answer alone is asked for."""

    prompt: Annotated[str, template("problem")] = Field(
        default="{problem}", description="the prompt, with {problem} for the problem's own"
    )
    max_tokens: int = Field(default=16, ge=1, description="most tokens of an answer")


class WorkedOptions(FastOptions):
    """How an answer with room to reason is asked for."""

    max_tokens: int = Field(default=64, ge=1, description="most tokens of an answer")


class AlsoOptions(WorkedOptions):
    """Another task that is measured, and how its answers are asked for: one greedy answer to each problem."""

    task: Member[Task] = Field(description="where the problems come from; only the held-out ones are used")


class EvaluationOptions(Options):
    """What is measured of a policy, and what decides whether a new one is promoted.

    In every measure only complete answers are right: one that was cut off is wrong, even if the right answer is in it.
    In the slow pass the strategy's verifier requests are answered, so best-of-N is N samples of which a verifier
    selects; attempts that were given the answer never count.
    """

    fast: FastOptions = Field(default=FastOptions(), description="the greedy answer alone")
    worked: WorkedOptions = Field(
        default=WorkedOptions(),
        description="the greedy answer with room to reason; asked once where it is the same as `fast`",
    )
    num_slow: int = Field(
        default=100,
        ge=0,
        description="dev problems, and as many held-out ones, that the recipe's strategy solves before training",
    )
    num_train: int = Field(default=100, ge=0, description="training problems of the round measured fast and worked")
    samples: int = Field(  # what maj@k counts fits a float
        default=0, ge=0, le=512, description="samples per problem for pass@k and maj@k, asked for as `worked` is"
    )
    temperature: float = Field(default=1.0, gt=0, description="temperature of these samples")
    controls: ControlOptions = Field(
        default=ControlOptions(),
        exclude_if=lambda controls: controls == ControlOptions(),
        description="what the model that the run began with, untrained, is also measured with",
    )
    also: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], AlsoOptions] = Field(
        default_factory=dict,
        exclude_if=lambda also: not also,
        description="other tasks that are measured before and after each round and decide nothing, each under a name: "
        "{three_digits: {task: {name: arithmetic, digits: 3, num_held_out: 100}, max_tokens: 20}}",
    )
    group_by: str | None = Field(
        default=None, description="key of the problems' meta; each of its values gets accuracies of its own"
    )
    decides: Kind = Field(default="worked", description="greedy answers to dev problems that decide about promotion")
    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="a new policy that is worse on dev, than the one before or the best so far, is not promoted if p "
        "(one-sided McNemar test) is below alpha / 2; for rounds.patience it gained if p, the other way round, is "
        "below alpha / (n (n + 1)) in round n, which sums to alpha over all rounds",
    )
    continue_from: Literal["last", "best"] = Field(
        default="last",
        description="the policy that the next round starts from, and that is published by default: the last one that "
        "was promoted, or the best, which solves most dev problems of all",
    )

    @property
    def other_tasks(self) -> dict[str, Task]:
        """The tasks of `also`, by their names."""
        return {name: asked.task for name, asked in self.also.items()}

    @property
    def one_kind(self) -> bool:
        """Whether `fast` and `worked` ask for the very same."""
        return dict(self.fast) == dict(self.worked)


@stage(read_measure("baseline"))
def baseline(
    work: Stage,
    problems: Problems,
    policy: Policy,
    strategy: Strategy,
    curation: CurationOptions,
    options: EvaluationOptions,
    workers: Workers,
    verifier: VerifierService,
    earlier: Sequence[Earlier],
    also: Mapping[str, VerifierService],
) -> Measure:
    """Measure the policy that the round starts from, and how far the round's strategy gets with it. The verifiers
    `also` judge the answers to the problems of other tasks."""
    subject = Subject(work, policy, _splits(problems, options), workers, verifier, verified_examples(earlier))
    measurements = [*_plain(options), _straight(options, curation), Slow(strategy, options.num_slow)]
    return _measure(subject, measurements, options, problems, also)


@stage(read_measure("evaluate"))
def evaluate(
    work: Stage,
    problems: Problems,
    policy: Policy,
    before: Policy,
    first: Measure,
    curation: CurationOptions,
    options: EvaluationOptions,
    workers: Workers,
    verifier: VerifierService,
    also: Mapping[str, VerifierService],
) -> Measure:
    """Measure the policy that the round made; its scorer beside that of the policy `before`. `first` is the baseline of
    round 1, which has the slow answers of the base model. The verifiers `also` are as in `baseline`."""
    subject = Subject(work, policy, _splits(problems, options), workers, verifier, verified_examples([]))
    values = StepValues(_sampled(options), before.scorer, curation.step)
    measurements = [*_plain(options), values, _straight(options, curation)]
    base = {answer.problem_id: answer.slow.right for part in first.splits.values() for answer in part if answer.slow}
    return _measure(subject, measurements, options, problems, also, base)


def _splits(problems: Problems, options: EvaluationOptions) -> Mapping[str, Sequence[Problem]]:
    """The problems that are measured, by split."""
    return problems.splits() | {"train": problems.train[: options.num_train]}


def _plain(options: EvaluationOptions) -> list[Measurement]:
    """What is measured of every policy."""
    fast, worked = (greedy(asked.prompt, asked.max_tokens) for asked in (options.fast, options.worked))
    return [Greedy("fast", fast), Greedy("worked", worked), _sampled(options)]


def _sampled(options: EvaluationOptions) -> Sampled:
    n, worked = options.samples, options.worked
    return Sampled(sampled(worked.prompt, worked.max_tokens, n, options.temperature) if n else None)


def _straight(options: EvaluationOptions, curation: CurationOptions) -> Greedy:
    worked = options.worked
    return Greedy("straight", straight(worked.prompt, worked.max_tokens) if curation.backtracks else None)


def _measure(
    subject: Subject,
    measurements: Sequence[Measurement],
    options: EvaluationOptions,
    problems: Problems,
    also: Mapping[str, VerifierService],
    base: Mapping[str, bool | None] | None = None,
) -> Measure:
    """Take the measurements one after the other, then those of other tasks, and write the measure."""
    answers = {problem.id: Answer(problem.id, group=_group(problem, options.group_by)) for problem in subject.problems}
    subject.load()
    for measurement in measurements:
        answers |= measurement.measure(subject, answers)
    splits = {name: [answers[problem.id] for problem in part] for name, part in subject.splits.items()}
    others = measure_also(
        subject,
        problems.also,
        {name: greedy(asked.prompt, asked.max_tokens) for name, asked in options.also.items()},
        also,
    )
    measure = Measure(subject.policy.id, splits, dict(base or {}), others)
    write_records(subject.work.dir / f"{subject.work.name}.jsonl", [measure])
    return measure


def check_groups(problems: Problems, options: EvaluationOptions) -> None:
    """Raises TaskError where a problem that is measured has no value of evaluation.group_by in its meta."""
    for part in _splits(problems, options).values():
        for problem in part:
            _group(problem, options.group_by)


def _group(problem: Problem, key: str | None) -> str | None:
    """The problem's value of evaluation.group_by. Raises TaskError where its meta has no such key."""
    if key is None:
        return None
    if key not in problem.meta:
        known = ", ".join(sorted(problem.meta)) or "nothing"
        raise TaskError(f"evaluation.group_by: problem {problem.id} has no {key!r} in its meta, which has {known}")
    return str(problem.meta[key])
