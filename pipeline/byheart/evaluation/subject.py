"""The policy that is measured, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from byheart.contracts import Strategy, Workers
from byheart.files import Journal
from byheart.models.weights import signs, with_scorer
from byheart.runs.stages import Stage
from byheart.strategies.core.driver import Retriever
from byheart.strategies.core.sampling import attempt
from byheart.strategies.core.verifying import judged
from byheart.strategies.core.work import Solving
from byheart.types import (
    Branch,
    Policy,
    Problem,
    RecordTree,
    Rollout,
    RolloutGroup,
    Score,
    Solver,
    Verdict,
    digest,
)
from byheart.verifiers.core.service import VerifierService

Rollouts = Sequence[tuple[Rollout, Verdict]]
"""The rollouts of one problem, judged."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy, and the `splits` that it is measured on. What it was asked in an earlier round, or before an
    interruption, is not asked again: a journal is named after what is asked. `of` names the task that the problems are
    of, where that is not the recipe's own."""

    work: Stage
    policy: Policy
    splits: Mapping[str, Sequence[Problem]]
    workers: Workers
    verifier: VerifierService
    retrieve: Retriever
    asked: dict[str, dict[str, Rollouts]] = field(default_factory=dict)
    of: str = ""

    @property
    def problems(self) -> list[Problem]:
        """The problems of all splits."""
        return [problem for part in self.splits.values() for problem in part]

    @property
    def weights(self) -> str:
        """The id of the weights that write answers, which does not change with the scorer."""
        return with_scorer(self.policy, None).id

    def load(self) -> None:
        """Load the policy."""
        self.workers.load(self.policy)

    def answers(self, doing: str, strategy: Strategy) -> dict[str, Rollouts]:
        """By problem id, what comes of a `strategy` that depends on the weights alone: its journal is the run's. Two
        measurements that ask for the same get the same verdicts."""
        name = f"{self.weights}-{self._name(strategy)}"
        if name not in self.asked:
            journal = Journal(self.work.run_dir / "measures", name, RolloutGroup)
            attempts = self._attempts(doing, self.problems, strategy, journal)
            self.asked[name] = {group.problem_id: rollouts for group, rollouts in attempts}
        return self.asked[name]

    def attempts(
        self, doing: str, problems: Sequence[Problem], strategy: Strategy
    ) -> Iterator[tuple[RolloutGroup, Rollouts]]:
        """What comes of a `strategy` that may retrieve examples and ask the scorer. These change with the round, so the
        journal is the round's own."""
        journal = Journal(self.work.dir, f"{doing}-{self._name(strategy, self.verifier.identity)}", RolloutGroup)
        return self._attempts(doing, problems, strategy, journal)

    def values(self, scorer: Path | None, texts: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
        """By problem id, how the policy's own or another `scorer` values each of its `texts` that fits the context;
        empty where it values no steps."""
        policy = with_scorer(self.policy, scorer)
        values: dict[str, dict[str, float]] = {}
        if signs(policy) is None:
            return values
        self.workers.load(policy)
        with self.work.progress(len(self.problems), f"{self.work.name} (values)", "problems") as bar:
            for group in self.workers.map(self.problems, Solving(partial(_score, texts), self.verifier)):
                values[group.problem_id] = {step.text: step.value for step in group.tree if step.value is not None}
                bar.advance(1)
        self.load()
        return values

    def _attempts(
        self, doing: str, problems: Sequence[Problem], strategy: Strategy, journal: Journal[RolloutGroup]
    ) -> Iterator[tuple[RolloutGroup, Rollouts]]:
        """What the strategy did for each of `problems`, and its rollouts with their verdicts."""
        work, workers, verifier = self.work, self.workers, self.verifier
        seed, doing = f"{work.seed} measure {self.weights}", f"{work.name} ({self.of or doing})"
        groups = attempt(work, journal, problems, strategy.solve, workers, verifier, seed, doing, self.retrieve)
        verdicts = iter(judged(work, problems, groups, workers, verifier))
        for group in groups:
            yield group, [(rollout, next(verdicts)) for rollout in group.rollouts]

    def _name(self, strategy: Strategy, *rest: str) -> str:
        own = [self.of] if self.of else []
        return digest(self.workers.setting, strategy.model_dump(), *rest, *own)[:6]


def _score(texts: Mapping[str, Sequence[str]], problem: Problem) -> Solver:
    """Record each of the problem's `texts` with its value, as a tree without edges."""
    [values] = yield [Score(problem.prompt, texts[problem.id])]
    pairs = zip(texts[problem.id], values, strict=True)
    yield [RecordTree([Branch(-1, text, value=value) for text, value in pairs])]
    return []
