"""What is measured of a policy. Each measurement asks the subject, and fills in its own fields of the answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from byheart.contracts import Strategy
from byheart.evaluation.measure import Answer, Outcome
from byheart.evaluation.mentions import mentions
from byheart.evaluation.subject import Rollouts, Subject
from byheart.evaluation.values import Valued
from byheart.models.weights import signs
from byheart.strategies.core.driver import drive
from byheart.strategies.core.steps import Kind
from byheart.strategies.core.tree import nodes
from byheart.strategies.core.value_targets import grown, hard
from byheart.text import normalised
from byheart.types import Problem, Rollout, RolloutGroup, Solver, Verdict, replace
from byheart.verifiers.consensus import comparing, grouped
from byheart.verifiers.core.thinking import answer_part

Answers = Mapping[str, Answer]
"""By problem id."""


class Measurement(ABC):
    """One thing that is measured of a policy."""

    @abstractmethod
    def measure(self, subject: Subject, answers: Answers) -> Answers:
        """Those of `answers` that it has asked for, with its own fields filled in."""


@dataclass(frozen=True, slots=True)
class Greedy(Measurement):
    """The one answer to each problem that a greedy strategy gives."""

    field: Literal["fast", "worked", "straight"]
    strategy: Strategy | None

    def measure(self, subject: Subject, answers: Answers) -> Answers:
        """Nothing is asked without a strategy."""
        rollouts = subject.answers(self.field, self.strategy) if self.strategy else {}
        reads_answers, mentioned = subject.verifier.reads_answers, _mentioned(subject, rollouts)
        return {
            name: self._with(answers[name], _outcome(pairs, reads_answers, mentioned.get(name)))
            for name, pairs in rollouts.items()
        }

    def _with(self, answer: Answer, outcome: Outcome) -> Answer:
        match self.field:
            case "fast":
                return replace(answer, fast=outcome)
            case "worked":
                return replace(answer, worked=outcome)
            case "straight":
                return replace(answer, straight=outcome)


@dataclass(frozen=True, slots=True)
class Sampled(Measurement):
    """Several samples of each problem, for pass@k and maj@k: `classes` and `distinct`."""

    strategy: Strategy | None

    def rollouts(self, subject: Subject) -> dict[str, Rollouts]:
        """The samples by problem id; there are none without a strategy."""
        return subject.answers("sampled", self.strategy) if self.strategy else {}

    def measure(self, subject: Subject, answers: Answers) -> Answers:
        """Answers that the verifier calls equal are one class."""
        samples = self.rollouts(subject)
        representatives = equal_answers(subject, samples)
        return {
            name: replace(
                answers[name], classes=_classes(rollouts, representatives[name]), distinct=_num_distinct(rollouts)
            )
            for name, rollouts in samples.items()
        }


@dataclass(frozen=True, slots=True)
class StepValues(Measurement):
    """`valued`: the complete ones of `samples`, with what the policy's scorer says after each step of kind `step`, and
    what the scorer `before` it says, if there was one that values steps."""

    samples: Sampled
    before: Path | None
    step: Kind

    def measure(self, subject: Subject, answers: Answers) -> Answers:
        """Nothing is asked where the policy's scorer values no steps."""
        samples = self.samples.rollouts(subject) if signs(subject.policy) else {}
        if not samples:
            return {}
        complete = {
            name: [pair for pair in rollouts if pair[1].score is not None and pair[0].finish_reason == "stop"]
            for name, rollouts in samples.items()
        }
        trees = {name: grown(rollouts, self.step) for name, rollouts in complete.items()}
        texts = {name: [node.text for node in nodes(root)][1:] for name, (root, _) in trees.items()}
        now = subject.values(subject.policy.scorer, texts)
        then = subject.values(self.before, texts)
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
        return {name: replace(answers[name], valued=solutions) for name, solutions in valued.items()}


@dataclass(frozen=True, slots=True)
class Slow(Measurement):
    """What the recipe's strategy comes to on the first `num_problems` of dev, and as many held-out ones."""

    strategy: Strategy
    num_problems: int

    def measure(self, subject: Subject, answers: Answers) -> Answers:
        """All tokens are counted that were spent on a problem."""
        problems = [problem for name in ("dev", "held_out") for problem in subject.splits[name][: self.num_problems]]
        attempts = subject.attempts("slow", problems, self.strategy)
        return {
            group.problem_id: replace(answers[group.problem_id], slow=_slow_outcome(group, rollouts))
            for group, rollouts in attempts
        }


def equal_answers(subject: Subject, samples: Mapping[str, Rollouts]) -> dict[str, dict[str, str]]:
    """By problem id, each answer that was read in its `samples`, with the one that names its class: answers that the
    verifier calls equal are one class."""
    by_id = {problem.id: problem for problem in subject.problems}
    equal = comparing(subject.verifier.verifier)
    representatives: dict[str, dict[str, str]] = {}

    def group(problem: Problem) -> Solver:
        read = (verdict.answer for _, verdict in samples[problem.id] if verdict.answer is not None)
        classes = yield from grouped(problem, read, equal)
        representatives[problem.id] = {answer: members[0] for members in classes for answer in members}
        return []

    for _ in drive(((by_id[name], group(by_id[name])) for name in samples), None, subject.verifier):
        pass
    return representatives


def right_or_not(rollout: Rollout, verdict: Verdict) -> bool | None:
    """None where it could not be judged; what was cut off is never right, and wrong where that was within a thought."""
    if rollout.finish_reason == "length" and answer_part(rollout.response) is None:
        return False
    return None if verdict.score is None else verdict.correct and rollout.finish_reason == "stop"


def _mentioned(subject: Subject, answers: Mapping[str, Rollouts]) -> dict[str, bool]:
    """By id of the held-out problems whose greedy answer is not right, whether the right one stands in it."""
    held_out = ((problem, answers.get(problem.id, ())) for problem in subject.splits.get("held_out", ()))
    wrong = [(problem, *pairs[0]) for problem, pairs in held_out if pairs]
    return mentions(
        ((problem, rollout) for problem, rollout, verdict in wrong if right_or_not(rollout, verdict) is False),
        subject.verifier,
    )


def _outcome(rollouts: Rollouts, reads_answers: bool, mentioned: bool | None) -> Outcome:
    if not rollouts:
        return Outcome(None, 0, "(the engine refused the prompt)")
    [(rollout, verdict)] = rollouts
    return Outcome(
        right_or_not(rollout, verdict),
        rollout.num_tokens,
        rollout.response,
        cut_off=rollout.finish_reason == "length",
        unread=reads_answers and verdict.answer is None,
        mentioned=mentioned,
    )


def _slow_outcome(group: RolloutGroup, rollouts: Rollouts) -> Outcome:
    """Right where the strategy selected a complete right solution that was found without the answer; unjudged where it
    did not, and one of its complete solutions found without the answer, selected or not, is unjudged."""
    if group.failure:
        return Outcome(None, group.num_tokens, "(the engine refused the prompt)")
    own = [pair for pair in rollouts if pair[0].finish_reason == "stop" and not pair[0].hinted]
    unjudged = any(verdict.score is None or rollout.note == "unjudged" for rollout, verdict in own)
    selected = [(verdict.correct, rollout.response) for rollout, verdict in own if rollout.selected]
    right, response = max(
        selected, key=lambda pair: pair[0], default=(False, "")
    )  # the first right one, else the first
    return Outcome(None if unjudged and not right else right, group.num_tokens, response)


def _classes(rollouts: Rollouts, representatives: Mapping[str, str]) -> list[tuple[int, bool]]:
    """`classes` of an Answer; `representatives` names the class of each answer."""
    sizes: Counter[tuple[int | str, bool]] = Counter()
    for index, (rollout, verdict) in enumerate(rollouts):
        right = right_or_not(rollout, verdict)
        if right is not None:
            alone = verdict.answer is None or rollout.finish_reason == "length"
            sizes[index if alone else representatives[str(verdict.answer)], right] += 1
    return sorted(((size, right) for (_, right), size in sizes.items()), reverse=True)


def _num_distinct(rollouts: Rollouts) -> int:
    """`distinct` of an Answer."""
    return len({normalised(rollout.response) for rollout, verdict in rollouts if right_or_not(rollout, verdict)})
