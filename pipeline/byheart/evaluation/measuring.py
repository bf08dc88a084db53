"""The two stages that measure: the policy that a round starts from, and the one that it made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pydantic import Field

from byheart import recipe
from byheart.errors import TaskError
from byheart.evaluation.values import Valued
from byheart.files import Journal, read_records, write_records
from byheart.run import Stage, stage
from byheart.strategies import backtrack, direct, memory
from byheart.strategies.asking import begin, template
from byheart.strategies.driver import drive
from byheart.strategies.outcomes import grown, hard
from byheart.strategies.sampling import attempt
from byheart.strategies.spreading import carried_out
from byheart.strategies.tree import nodes
from byheart.strategies.verifying import judged
from byheart.types import (
    Attempts,
    Branch,
    Engine,
    Keep,
    Policy,
    Problem,
    Problems,
    Record,
    Rollout,
    Score,
    Solver,
    Verdict,
    digest,
)
from byheart.verifiers.consensus import comparing, grouped
from byheart.verifiers.judge import Judge
from byheart.weights import signs, with_scorer
from byheart.wording import normalised


class Fast(recipe.Options):
    """How the answer alone is asked for, and its budget."""

    prompt: template("problem") = "{problem}"  # type: ignore[valid-type]
    max_tokens: int = Field(default=16, ge=1)


class Worked(Fast):
    """How an answer with room to reason is asked for, and its budget."""

    max_tokens: int = Field(default=64, ge=1)


class Options(recipe.Options):
    """`fast` and `worked` are greedy. Where they ask the very same thing, it is asked once.

    `num_slow` of the development and of the held-out problems, each, are given to the recipe's strategy before
    training. What it asks the verifier on the way is answered there too, so best-of-N is N samples with a verifier to
    choose among them; an attempt that was given the answer never counts. `num_train` of the round's training problems
    are measured fast and worked. Right, in every measure, is only what came to its end: what was cut off is wrong,
    though the answer be in it. With `samples`, each problem is also sampled so often, as `worked` asks it, at
    `temperature`, for pass@k and maj@k. `by` is a key of the problems' meta: each of its values gets accuracies of its
    own.

    A new policy that is worse on the development split by the accuracy that `decides`, with less than `alpha` chance of
    so much bad luck, is not promoted.
    """

    fast: Fast = Fast()
    worked: Worked = Worked()
    num_slow: int = Field(default=100, ge=0)
    num_train: int = Field(default=100, ge=0)
    samples: int = Field(default=0, ge=0, le=512)  # what maj@k counts fits a float
    temperature: float = Field(default=1.0, gt=0)
    by: str | None = None
    decides: Literal["fast", "worked"] = "worked"
    alpha: float = Field(default=0.05, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class Outcome(Record):
    """What one way of answering came to. `right` is None where it could not be judged; `num_tokens` were generated."""

    right: bool | None
    num_tokens: int
    response: str


@dataclass(frozen=True, slots=True)
class Answer(Record):
    """How a policy did on one problem.

    `classes` are the samples that could be judged by the answer that the verifier read in them: (how many, whether it
    is right); answers that it finds equal are one. A sample in which it read none, or that was cut off, is a class of
    its own, as it agrees with nobody. Of the right ones `distinct` are different texts, case and spacing aside. `group`
    is what the problem's meta says of `evaluation.by`. `valued` are those that came to their end, where the policy has
    a scorer that values steps. `straight` is `worked` again, with going back forbidden, where rows taught to go back.
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


@dataclass(frozen=True, slots=True)
class Measure(Record):
    """The answers of one policy to the problems of each split. `base` is for comparison: whether the base model's slow
    thinking in round 1 came to a right answer, by problem id."""

    policy: str
    splits: dict[str, list[Answer]]
    base: dict[str, bool | None] = field(default_factory=dict)


def read_measure(name: str) -> Any:
    return lambda folder: read_records(folder / f"{name}.jsonl", Measure)[0]


@stage(read_measure("baseline"))
def baseline(
    work: Stage, problems: Problems, policy: Policy, options: Options, engine: Engine, judge: Judge
) -> Measure:
    """Measure the policy that the round starts from, and how far the round's strategy gets with it."""
    slow = [*problems.dev[: options.num_slow], *problems.held_out[: options.num_slow]]
    return _measured(_Asking(work, policy, engine, judge), problems, options, slow, {}, None)


@stage(read_measure("evaluate"))
def evaluate(
    work: Stage, problems: Problems, policy: Policy, before: Policy, options: Options, engine: Engine, judge: Judge
) -> Measure:
    """Measure the policy that the round made; its scorer beside that of the policy `before`."""
    first: Measure = read_measure("baseline")(work.round_dir(1))
    base = {one.problem_id: one.slow.right for part in first.splits.values() for one in part if one.slow}
    return _measured(_Asking(work, policy, engine, judge), problems, options, [], base, before)


def _measured(
    asking: _Asking,
    problems: Problems,
    options: Options,
    slow: Sequence[Problem],
    base: dict[str, bool | None],
    before: Policy | None,
) -> Measure:
    splits = problems.splits() | {"train": problems.train[: options.num_train]}
    every = [problem for part in splits.values() for problem in part]
    groups = {problem.id: _group(problem, options.by) for problem in every}
    asking.engine.load(asking.policy)
    fast = asking.greedy("fast", every, options.fast)
    worked = asking.greedy("worked", every, options.worked)
    sampled = asking.sampled(every, options) if options.samples else {}
    valued = asking.valued(every, options, before) if options.samples and before else {}
    straight = asking.straight(every, options.worked) if asking.work.recipe.curation.backtracks else {}
    thought = asking.slow(slow)

    def answer(name: str) -> Answer:
        classes, distinct = sampled.get(name, ([], 0))
        ways = (fast[name], worked[name], thought.get(name))
        return Answer(name, *ways, groups[name], classes, distinct, valued.get(name, []), straight.get(name))

    measure = Measure(asking.policy.id, {name: [answer(one.id) for one in part] for name, part in splits.items()}, base)
    write_records(asking.work.dir / f"{asking.work.name}.jsonl", [measure])
    return measure


Rollouts = list[tuple[Rollout, Verdict]]


@dataclass(frozen=True, slots=True)
class _Asking:
    """Ways to ask one policy. What it was asked in an earlier round, or before an interruption, is not asked again: a
    journal has the name of what is asked."""

    work: Stage
    policy: Policy
    engine: Engine
    judge: Judge

    @property
    def weights(self) -> str:
        """What the policy is called by its answers, which no scorer changes."""
        return with_scorer(self.policy, None).id

    def greedy(self, doing: str, problems: Sequence[Problem], wording: Fast) -> dict[str, Outcome]:
        tried = self._directly(doing, problems, wording, samples=1, max_samples=1, temperature=0)
        return {one.problem_id: _greedy(rollouts) for one, rollouts in tried}

    def straight(self, problems: Sequence[Problem], wording: Fast) -> dict[str, Outcome]:
        asked = backtrack.Options(name="backtrack", **wording.model_dump(), samples=1, temperature=0, slips="forbidden")
        journal = Journal(self.work.run_dir / "measures", f"{self.weights}-{self._name(asked)}", Attempts)
        tried = self._tried("straight", journal, problems, lambda problem: begin(problem, asked))
        return {one.problem_id: _greedy(rollouts) for one, rollouts in tried}

    def samples(self, problems: Sequence[Problem], options: Options) -> dict[str, Rollouts]:
        n, temperature = options.samples, options.temperature
        how = {"samples": n, "enough": n + 1, "max_samples": n, "temperature": temperature}
        return {
            one.problem_id: rollouts for one, rollouts in self._directly("sampled", problems, options.worked, **how)
        }

    def sampled(self, problems: Sequence[Problem], options: Options) -> dict[str, tuple[list[tuple[int, bool]], int]]:
        tried = self.samples(problems, options)
        named = self._named({problem.id: problem for problem in problems}, tried)
        return {name: _classes(rollouts, named[name]) for name, rollouts in tried.items()}

    def valued(self, problems: Sequence[Problem], options: Options, before: Policy) -> dict[str, list[Valued]]:
        """By problem id, the samples that came to their end with what the policy's scorer says after each of their
        steps, and what that of the policy `before` does; nothing where the scorer values no steps."""
        if signs(self.policy) is None:
            return {}
        step = self.work.recipe.curation.step
        tried = {
            name: [(one, said) for one, said in rollouts if said.score is not None and one.finish_reason == "stop"]
            for name, rollouts in self.samples(problems, options).items()
        }
        trees = {name: grown(some, step) for name, some in tried.items()}
        texts = {name: [node.text for node in nodes(root)][1:] for name, (root, _) in trees.items()}
        now = self._values(self.policy, problems, texts)
        then = self._values(with_scorer(self.policy, before.scorer), problems, texts)
        found: dict[str, list[Valued]] = {}
        for name, some in tried.items():
            root, ends = trees[name]
            possible = hard(root)
            paths = [(ends[one.id].path, verdict.correct) for one, verdict in some]
            found[name] = [
                Valued(
                    [now[name][node.text] for node in path],
                    [then[name][node.text] for node in path] if then else None,
                    [bool(possible[node]) for node in path],
                    right,
                )
                for path, right in paths
                if path and all(node.text in now[name] for node in path)
            ]
        return found

    def _values(
        self, policy: Policy, problems: Sequence[Problem], texts: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, float]]:
        """By problem id, what the scorer of `policy` says of each of its texts that fits the context; nothing where it
        values no steps."""
        found: dict[str, dict[str, float]] = {}
        if signs(policy) is None:
            return found

        self.engine.load(policy)
        with self.work.progress(len(problems), f"{self.work.name} (values)", "problems") as bar:
            for one in carried_out(problems, partial(_valuing, texts), self.engine, self.judge):
                found[one.problem_id] = {step.text: step.value for step in one.tree if step.value is not None}
                bar.advance(1)
        self.engine.load(self.policy)
        return found

    def slow(self, problems: Sequence[Problem]) -> dict[str, Outcome]:
        """Its journal is the round's own: what the strategy remembers, and who scores for it, change with the round."""
        strategy = self.work.recipe.strategy
        journal = Journal(self.work.dir, f"slow-{self._name(strategy, self.judge.identity)}", Attempts)
        tried = self._tried("slow", journal, problems, lambda problem: begin(problem, strategy))
        return {one.problem_id: _thought(one, rollouts) for one, rollouts in tried}

    def _named(self, problems: Mapping[str, Problem], tried: Mapping[str, Rollouts]) -> dict[str, dict[str, str]]:
        """By problem id, each answer with the one that stands for its class."""
        named: dict[str, dict[str, str]] = {}
        equal = comparing(self.judge.by)

        def group(problem: Problem) -> Solver:
            answers = (verdict.answer for _, verdict in tried[problem.id] if verdict.answer is not None)
            classes = yield from grouped(problem, answers, equal)
            named[problem.id] = {answer: one[0] for one in classes for answer in one}
            return []

        for _ in drive(((problems[name], group(problems[name])) for name in tried), None, self.judge):
            pass
        return named

    def _directly(
        self, doing: str, problems: Sequence[Problem], wording: Fast, **how: Any
    ) -> Iterator[tuple[Attempts, Rollouts]]:
        asked = direct.Options(name="direct", **wording.model_dump(), **how)
        journal = Journal(self.work.run_dir / "measures", f"{self.weights}-{self._name(asked)}", Attempts)
        return self._tried(doing, journal, problems, lambda problem: begin(problem, asked))

    def _tried(
        self, doing: str, journal: Journal[Attempts], problems: Sequence[Problem], solve: Callable[[Problem], Solver]
    ) -> Iterator[tuple[Attempts, Rollouts]]:
        """What was tried for each of `problems`, and its rollouts with their verdicts."""
        work, engine, judge = self.work, self.engine, self.judge
        seed, recall = f"{work.seed} measure {self.weights}", memory.of_run(work)
        doing = f"{work.name} ({doing})"
        attempts = attempt(work, journal, problems, solve, engine, judge, seed, doing, recall)
        verdicts = iter(judged(work, problems, attempts, engine, judge))
        for one in attempts:
            yield one, [(rollout, next(verdicts)) for rollout in one.rollouts]

    def _name(self, options: recipe.Choice, *rest: str) -> str:
        return digest(self.work.recipe.model.model_dump(), options.model_dump(), *rest)[:6]


def _valuing(texts: Mapping[str, Sequence[str]], problem: Problem) -> Solver:
    """Keeps each of the problem's texts with its value."""
    [values] = yield [Score(problem.prompt, texts[problem.id])]
    pairs = zip(texts[problem.id], values, strict=True)
    yield [Keep([Branch(-1, text, value=value) for text, value in pairs])]
    return []


def _group(problem: Problem, by: str | None) -> str | None:
    """Raises TaskError where the problem's meta says nothing of it."""
    if by is None:
        return None
    if by not in problem.meta:
        known = ", ".join(sorted(problem.meta)) or "nothing"
        raise TaskError(f"evaluation.by: problem {problem.id} has no {by!r} in its meta, which has {known}")
    return str(problem.meta[by])


def _right(rollout: Rollout, verdict: Verdict) -> bool | None:
    """None where nobody could judge it; what was cut off is never right."""
    return None if verdict.score is None else verdict.correct and rollout.finish_reason == "stop"


def _greedy(rollouts: Rollouts) -> Outcome:
    if not rollouts:
        return Outcome(None, 0, "(the engine refused the prompt)")
    [(rollout, verdict)] = rollouts
    return Outcome(_right(rollout, verdict), rollout.num_tokens, rollout.response)


def _thought(attempts: Attempts, rollouts: Rollouts) -> Outcome:
    """Right where the strategy chose a right solution that it ended and found without being given the answer; unjudged
    where it did not, and one that it ended and found so, chosen or not, could not be judged. Its tokens are all that
    were spent on the problem.
    """
    if attempts.failure:
        return Outcome(None, attempts.num_tokens, "(the engine refused the prompt)")
    own = [(one, verdict) for one, verdict in rollouts if one.finish_reason == "stop" and not one.hinted]
    unjudged = any(verdict.score is None or one.note == "unjudged" for one, verdict in own)
    counting = [(one.response, verdict.correct) for one, verdict in own if one.chosen]
    counting.sort(key=lambda one: not one[1])  # a right one first, else the order of the strategy
    response, right = counting[0] if counting else ("", False)
    return Outcome(None if unjudged and not right else right, attempts.num_tokens, response)


def _classes(rollouts: Rollouts, named: Mapping[str, str]) -> tuple[list[tuple[int, bool]], int]:
    """`classes` and `distinct` of an Answer, where each answer is called as it is `named`."""
    sizes: Counter[tuple[int | str, bool]] = Counter()
    distinct = set()
    for place, (rollout, verdict) in enumerate(rollouts):
        right = _right(rollout, verdict)
        if right is None:
            continue
        alone = verdict.answer is None or rollout.finish_reason == "length"
        sizes[place if alone else named[str(verdict.answer)], right] += 1
        if right:
            distinct.add(normalised(rollout.response))
    return sorted(((size, right) for (_, right), size in sizes.items()), reverse=True), len(distinct)
