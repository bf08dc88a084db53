"""The two stages that measure: the policy that a round starts from, and the one that it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from byheart.contracts import Session, Strategy
from byheart.errors import TaskError
from byheart.evaluation.metrics import Kind
from byheart.evaluation.values import Valued
from byheart.files import Journal, read_records, write_records
from byheart.models.weights import signs, with_scorer
from byheart.plugins.plugin import Options
from byheart.runs.stages import Earlier, Stage, stage
from byheart.strategies.backtrack import Backtrack
from byheart.strategies.core import steps
from byheart.strategies.core.driver import Retriever, drive
from byheart.strategies.core.example_store import verified_examples
from byheart.strategies.core.prompting import template
from byheart.strategies.core.sampling import attempt
from byheart.strategies.core.tree import nodes
from byheart.strategies.core.value_targets import grown, hard
from byheart.strategies.core.verifying import judged
from byheart.strategies.core.work import carried_out
from byheart.strategies.direct import Direct
from byheart.text import normalised
from byheart.types import (
    Branch,
    Policy,
    Problem,
    Problems,
    Record,
    RecordTree,
    Rollout,
    RolloutGroup,
    Score,
    Solver,
    Verdict,
    digest,
)
from byheart.verifiers.consensus import comparing, grouped
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
    group_by: str | None = Field(
        default=None, description="key of the problems' meta; each of its values gets accuracies of its own"
    )
    decides: Kind = Field(default="worked", description="greedy answers to dev problems that decide about promotion")
    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="a new policy that is worse on dev is not promoted if p is below this (one-sided McNemar test)",
    )


@dataclass(frozen=True, slots=True)
class Outcome(Record):
    """What one answer came to. `right` is None where it could not be judged; `num_tokens` were generated for it."""

    right: bool | None
    num_tokens: int
    response: str


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """How a policy did on one problem.

    `slow` is what the strategy came to. `group` is the problem's value of evaluation.group_by. `classes` are the judged
    samples by their answer: (number of samples, whether it is right). Answers that the verifier calls equal are one
    class; a sample that was cut off, or in which no answer was read, is a class of its own. Of the right samples
    `distinct` are different texts but for case and spacing. `valued` are the complete samples, where the policy has a
    scorer that values steps. `straight` is `worked` again with going back forbidden, where rows taught to go back.
    """

    problem_id: str
    fast: Outcome
    worked: Outcome
    slow: Outcome | None = None
    group: str | None = None
    classes: list[tuple[int, bool]] = field(default_factory=list)
    distinct: int = 0
    valued: list[Valued] = field(default_factory=list)
    straight: Outcome | None = None

    def kind(self, kind: Kind) -> Outcome:
        """The greedy answer of one kind."""
        return self.fast if kind == "fast" else self.worked


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """The answers of one policy to the problems of each split. `base`: by problem id, whether the base model's slow
    answer in round 1 was right."""

    policy: str
    splits: dict[str, list[Answer]]
    base: dict[str, bool | None] = field(default_factory=dict)


def read_measure(name: str) -> Callable[[Path], Measure]:
    """A function that reads the measure that the stage `name` wrote to the directory of its round."""
    return lambda folder: read_records(folder / f"{name}.jsonl", Measure)[0]


@stage(read_measure("baseline"))
def baseline(
    work: Stage,
    problems: Problems,
    policy: Policy,
    strategy: Strategy,
    curation: CurationOptions,
    options: EvaluationOptions,
    engine: Session,
    verifier: VerifierService,
    earlier: Sequence[Earlier],
) -> Measure:
    """Measure the policy that the round starts from, and how far the round's strategy gets with it."""
    asking = _Asking(work, policy, engine, verifier, verified_examples(earlier))
    return _measured(asking, problems, options, bool(curation.backtracks), strategy=strategy)


@stage(read_measure("evaluate"))
def evaluate(
    work: Stage,
    problems: Problems,
    policy: Policy,
    before: Policy,
    first: Measure,
    curation: CurationOptions,
    options: EvaluationOptions,
    engine: Session,
    verifier: VerifierService,
) -> Measure:
    """Measure the policy that the round made; its scorer beside that of the policy `before`. `first` is the baseline of
    round 1, which has the slow answers of the base model."""
    base = {answer.problem_id: answer.slow.right for part in first.splits.values() for answer in part if answer.slow}
    asking = _Asking(work, policy, engine, verifier, verified_examples([]))
    scorers = _Scorers(before, curation.step)
    return _measured(asking, problems, options, bool(curation.backtracks), base=base, scorers=scorers)


@dataclass(frozen=True, slots=True)
class _Scorers:
    """The scorer of the policy is compared with that of the policy `before`, on steps of kind `step`."""

    before: Policy
    step: steps.Kind


def _measured(
    asking: _Asking,
    problems: Problems,
    options: EvaluationOptions,
    goes_back: bool,
    strategy: Strategy | None = None,
    base: Mapping[str, bool | None] | None = None,
    scorers: _Scorers | None = None,
) -> Measure:
    """Measure the policy on every split, and write the measure: with going back forbidden as well if `goes_back`,
    slowly if there is a `strategy`, and the values of steps if there are `scorers`."""
    splits = problems.splits() | {"train": problems.train[: options.num_train]}
    every = [problem for part in splits.values() for problem in part]
    groups = {problem.id: _group(problem, options.group_by) for problem in every}
    asking.engine.load(asking.policy)
    fast = asking.greedy("fast", every, options.fast)
    worked = asking.greedy("worked", every, options.worked)
    samples = asking.samples(every, options) if options.samples else {}
    sampled = asking.classes(every, samples)
    valued = asking.valued(every, samples, scorers) if scorers and samples else {}
    straight = asking.straight(every, options.worked) if goes_back else {}
    slow_problems = [*problems.dev[: options.num_slow], *problems.held_out[: options.num_slow]]
    slow = asking.slow(slow_problems, strategy) if strategy else {}

    def answer(name: str) -> Answer:
        classes, distinct = sampled.get(name, ([], 0))
        return Answer(
            problem_id=name,
            fast=fast[name],
            worked=worked[name],
            slow=slow.get(name),
            group=groups[name],
            classes=classes,
            distinct=distinct,
            valued=valued.get(name, []),
            straight=straight.get(name),
        )

    answers = {name: [answer(problem.id) for problem in part] for name, part in splits.items()}
    measure = Measure(asking.policy.id, answers, dict(base or {}))
    write_records(asking.work.dir / f"{asking.work.name}.jsonl", [measure])
    return measure


Rollouts = list[tuple[Rollout, Verdict]]
Classes = list[tuple[int, bool]]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Asks one policy. What it was asked in an earlier round, or before an interruption, is not asked again: a journal
    is named after what is asked."""

    work: Stage
    policy: Policy
    engine: Session
    verifier: VerifierService
    retrieve: Retriever

    @property
    def weights(self) -> str:
        """The id of the weights that write answers, which does not change with the scorer."""
        return with_scorer(self.policy, None).id

    def greedy(self, doing: str, problems: Sequence[Problem], asked: FastOptions) -> dict[str, Outcome]:
        """By problem id, the greedy answer."""
        direct = Direct(**asked.model_dump(), samples=1, max_samples=1, temperature=0)
        return {name: _outcome(rollouts) for name, rollouts in self._measures(doing, problems, direct)}

    def straight(self, problems: Sequence[Problem], asked: FastOptions) -> dict[str, Outcome]:
        """By problem id, the greedy answer with going back forbidden."""
        backtrack = Backtrack(**asked.model_dump(), samples=1, temperature=0, slips="forbidden")
        return {name: _outcome(rollouts) for name, rollouts in self._measures("straight", problems, backtrack)}

    def samples(self, problems: Sequence[Problem], options: EvaluationOptions) -> dict[str, Rollouts]:
        """By problem id, options.samples samples with their verdicts."""
        n, asked = options.samples, options.worked.model_dump()
        direct = Direct(**asked, samples=n, enough=n + 1, max_samples=n, temperature=options.temperature)
        return dict(self._measures("sampled", problems, direct))

    def classes(self, problems: Sequence[Problem], samples: Mapping[str, Rollouts]) -> dict[str, tuple[Classes, int]]:
        """By problem id, `classes` and `distinct` of its Answer."""
        by_id = {problem.id: problem for problem in problems}
        equal = comparing(self.verifier.verifier)
        representatives: dict[str, dict[str, str]] = {}  # by problem id, each answer -> the one that names its class

        def group(problem: Problem) -> Solver:
            answers = (verdict.answer for _, verdict in samples[problem.id] if verdict.answer is not None)
            classes = yield from grouped(problem, answers, equal)
            representatives[problem.id] = {answer: members[0] for members in classes for answer in members}
            return []

        for _ in drive(((by_id[name], group(by_id[name])) for name in samples), None, self.verifier):
            pass
        return {name: _classes(rollouts, representatives[name]) for name, rollouts in samples.items()}

    def valued(
        self, problems: Sequence[Problem], samples: Mapping[str, Rollouts], scorers: _Scorers
    ) -> dict[str, list[Valued]]:
        """By problem id, the complete samples with what both scorers say after each of their steps; empty where the
        policy's scorer values no steps."""
        if signs(self.policy) is None:
            return {}
        complete = {
            name: [pair for pair in rollouts if pair[1].score is not None and pair[0].finish_reason == "stop"]
            for name, rollouts in samples.items()
        }
        trees = {name: grown(rollouts, scorers.step) for name, rollouts in complete.items()}
        texts = {name: [node.text for node in nodes(root)][1:] for name, (root, _) in trees.items()}
        now = self._values(self.policy, problems, texts)
        then = self._values(with_scorer(self.policy, scorers.before.scorer), problems, texts)
        valued: dict[str, list[Valued]] = {}
        for name, rollouts in complete.items():
            root, ends = trees[name]
            possible = hard(root)
            paths = [(ends[rollout.id].path, verdict.correct) for rollout, verdict in rollouts]
            valued[name] = [
                Valued(
                    values=[now[name][node.text] for node in path],
                    before=[then[name][node.text] for node in path] if then else None,
                    possible=[bool(possible[node]) for node in path],
                    right=right,
                )
                for path, right in paths
                if path and all(node.text in now[name] for node in path)
            ]
        return valued

    def slow(self, problems: Sequence[Problem], strategy: Strategy) -> dict[str, Outcome]:
        """By problem id, what the strategy came to. Its journal is the round's own, as the examples that it retrieves
        and the scorer change with the round."""
        journal = Journal(self.work.dir, f"slow-{self._name(strategy, self.verifier.identity)}", RolloutGroup)
        attempts = self._attempts("slow", problems, strategy, journal)
        return {group.problem_id: _slow_outcome(group, rollouts) for group, rollouts in attempts}

    def _values(
        self, policy: Policy, problems: Sequence[Problem], texts: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, float]]:
        """By problem id, what the scorer of `policy` says of each of its texts that fits the context; empty where it
        values no steps."""
        values: dict[str, dict[str, float]] = {}
        if signs(policy) is None:
            return values

        self.engine.load(policy)
        with self.work.progress(len(problems), f"{self.work.name} (values)", "problems") as bar:
            for group in carried_out(problems, partial(_score, texts), self.engine, self.verifier):
                values[group.problem_id] = {step.text: step.value for step in group.tree if step.value is not None}
                bar.advance(1)
        self.engine.load(self.policy)
        return values

    def _measures(self, doing: str, problems: Sequence[Problem], strategy: Strategy) -> Iterator[tuple[str, Rollouts]]:
        """The problem ids and judged rollouts of a `strategy` that depends on the weights alone: its journal is the
        run's."""
        journal = Journal(self.work.run_dir / "measures", f"{self.weights}-{self._name(strategy)}", RolloutGroup)
        return ((group.problem_id, pairs) for group, pairs in self._attempts(doing, problems, strategy, journal))

    def _attempts(
        self, doing: str, problems: Sequence[Problem], strategy: Strategy, journal: Journal[RolloutGroup]
    ) -> Iterator[tuple[RolloutGroup, Rollouts]]:
        """What the strategy did for each of `problems`, and its rollouts with their verdicts."""
        work, engine, verifier = self.work, self.engine, self.verifier
        seed, doing = f"{work.seed} measure {self.weights}", f"{work.name} ({doing})"
        groups = attempt(work, journal, problems, strategy.solve, engine, verifier, seed, doing, self.retrieve)
        verdicts = iter(judged(work, problems, groups, engine, verifier))
        for group in groups:
            yield group, [(rollout, next(verdicts)) for rollout in group.rollouts]

    def _name(self, strategy: Strategy, *rest: str) -> str:
        return digest(self.engine.setting, strategy.model_dump(), *rest)[:6]


def _score(texts: Mapping[str, Sequence[str]], problem: Problem) -> Solver:
    """Record each of the problem's `texts` with its value, as a tree without edges."""
    [values] = yield [Score(problem.prompt, texts[problem.id])]
    pairs = zip(texts[problem.id], values, strict=True)
    yield [RecordTree([Branch(-1, text, value=value) for text, value in pairs])]
    return []


def _group(problem: Problem, key: str | None) -> str | None:
    """The problem's value of evaluation.group_by. Raises TaskError where its meta has no such key."""
    if key is None:
        return None
    if key not in problem.meta:
        known = ", ".join(sorted(problem.meta)) or "nothing"
        raise TaskError(f"evaluation.group_by: problem {problem.id} has no {key!r} in its meta, which has {known}")
    return str(problem.meta[key])


def _right(rollout: Rollout, verdict: Verdict) -> bool | None:
    """None where it could not be judged; what was cut off is never right."""
    return None if verdict.score is None else verdict.correct and rollout.finish_reason == "stop"


def _outcome(rollouts: Rollouts) -> Outcome:
    if not rollouts:
        return Outcome(None, 0, "(the engine refused the prompt)")
    [(rollout, verdict)] = rollouts
    return Outcome(_right(rollout, verdict), rollout.num_tokens, rollout.response)


def _slow_outcome(group: RolloutGroup, rollouts: Rollouts) -> Outcome:
    """Right where the strategy selected a complete right solution that was found without the answer; unjudged where it
    did not, and one of its complete solutions found without the answer, selected or not, is unjudged. Its tokens are
    all that were spent on the problem.
    """
    if group.failure:
        return Outcome(None, group.num_tokens, "(the engine refused the prompt)")
    own = [pair for pair in rollouts if pair[0].finish_reason == "stop" and not pair[0].hinted]
    unjudged = any(verdict.score is None or rollout.note == "unjudged" for rollout, verdict in own)
    selected = [(verdict.correct, rollout.response) for rollout, verdict in own if rollout.selected]
    right, response = max(
        selected, key=lambda pair: pair[0], default=(False, "")
    )  # the first right one, else the first
    return Outcome(None if unjudged and not right else right, group.num_tokens, response)


def _classes(rollouts: Rollouts, representatives: Mapping[str, str]) -> tuple[Classes, int]:
    """`classes` and `distinct` of an Answer; `representatives` names the class of each answer."""
    sizes: Counter[tuple[int | str, bool]] = Counter()
    distinct = set()
    for index, (rollout, verdict) in enumerate(rollouts):
        right = _right(rollout, verdict)
        if right is None:
            continue
        alone = verdict.answer is None or rollout.finish_reason == "length"
        sizes[index if alone else representatives[str(verdict.answer)], right] += 1
        if right:
            distinct.add(normalised(rollout.response))
    return sorted(((size, right) for (_, right), size in sizes.items()), reverse=True), len(distinct)
