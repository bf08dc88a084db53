"""The sample stage, and the journal that it shares with every measure: ask only for what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from byheart.contracts import Strategy, Workers
from byheart.errors import AllFailedError
from byheart.files import Journal, read_record
from byheart.runs.records import SampleStats
from byheart.runs.stages import Earlier, Stage, stage
from byheart.strategies.core.diagnosis import FirstSamples, num_out_of_context
from byheart.strategies.core.driver import Retriever
from byheart.strategies.core.example_store import verified_examples
from byheart.strategies.core.tuning import tuned
from byheart.strategies.core.work import Solving
from byheart.types import Policy, Problem, Problems, RolloutGroup, Solver
from byheart.verifiers.core.service import VerifierService

CHUNK = 32
"""Under a token budget problems start in chunks of so many; the last chunk may exceed the budget."""


def read_rollouts(folder: Path) -> Sequence[RolloutGroup]:
    """In the order of the problems, whatever the order in which they finished; each is read when it is asked for."""
    groups = Journal(folder, "rollouts", RolloutGroup).records()
    indices = {group.problem_id: index for index, group in enumerate(groups)}
    problems = read_record(folder / "problems.jsonl", Problems)
    return groups.at(indices[problem.id] for problem in problems.train if problem.id in indices)


@stage(read_rollouts)
def sample(
    work: Stage,
    problems: Problems,
    policy: Policy,
    strategy: Strategy,
    sample_tokens: int | None,
    workers: Workers,
    verifier: VerifierService,
    earlier: Sequence[Earlier],
) -> list[RolloutGroup]:
    """Let the strategy work on every problem to train on, or until `sample_tokens` were generated. Problems that an
    interrupted try finished are not sampled again. Of a list of temperatures the best is found first."""
    workers.load(policy)
    seed, retrieve = f"{work.seed} round {work.round}", verified_examples(earlier)

    def attempts(name: str, part: Sequence[Problem], solver: Strategy, budget: int | None = None) -> list[RolloutGroup]:
        journal, doing = Journal(work.dir, name, RolloutGroup), "sample" if name == "rollouts" else name
        first = FirstSamples(work, solver, verifier.reads_answers) if name == "rollouts" else None
        return attempt(work, journal, part, solver.solve, workers, verifier, seed, doing, retrieve, budget, first)

    tuning = strategy.tuning()
    best = tuned(work.dir, problems.train, tuning, attempts) if tuning else None
    groups = attempts("rollouts", problems.train, best.strategy if best else strategy, sample_tokens)
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    work.stats = SampleStats(
        num_problems=len(groups),
        num_rollouts=len(rollouts),
        num_selected=sum(rollout.selected for rollout in rollouts),
        num_hinted=sum(rollout.hinted for rollout in rollouts),
        notes=dict(sorted(Counter(rollout.note for rollout in rollouts if rollout.note).items())),
        num_tokens=(best.num_tokens if best else 0) + sum(group.num_tokens for group in groups),
        num_failed=sum(group.failure is not None for group in groups),
        temperature=best.temperature if best else None,
        balance=best.balance if best else None,
        num_out_of_context=num_out_of_context(groups, strategy),
    )
    return groups


def attempt(
    work: Stage,
    journal: Journal[RolloutGroup],
    problems: Sequence[Problem],
    solve: Callable[[Problem], Solver],
    workers: Workers,
    verifier: VerifierService,
    seed: str,
    doing: str,
    retrieve: Retriever | None = None,
    budget: int | None = None,
    first: FirstSamples | None = None,
) -> list[RolloutGroup]:
    """What `solve` comes to for each of `problems`, in their order; written to `journal` as each is finished.

    Once `budget` tokens were generated no more problems are started, and those are not in the result. `retrieve`
    answers requests for worked examples; `first` sees each finished problem. Raises AllFailedError where the engine
    refused every single problem."""
    known = {group.problem_id: group for group in journal.read()}
    num_missing = sum(problem.id not in known for problem in problems)
    if not num_missing:
        return _any_solved([known[problem.id] for problem in problems])
    if first:
        for group in known.values():
            first.add(group)
    solving = Solving(solve, verifier, seed, retrieve)
    tokens, before = 0, workers.seconds
    spent = 0  # those of an interrupted try counted, so that it ends where it would have ended without interruption
    try:
        with work.progress(num_missing, doing, "problems") as bar:
            for chunk in _chunks(problems, len(problems) if budget is None else CHUNK):
                if budget is not None and spent >= budget:
                    break
                missing = [problem for problem in chunk if problem.id not in known]
                for group in workers.map(missing, solving) if missing else ():
                    journal.append(group)
                    known[group.problem_id] = group
                    tokens += group.num_tokens
                    if first:
                        first.add(group)
                    bar.advance(1, f"{tokens / max(workers.seconds - before, 1e-9):.0f} tokens/s")
                spent += sum(known[problem.id].num_tokens for problem in chunk)
    finally:
        journal.close()
    return _any_solved([known[problem.id] for problem in problems if problem.id in known])


def _any_solved(groups: list[RolloutGroup]) -> list[RolloutGroup]:
    if groups and all(group.failure for group in groups):
        raise AllFailedError(f"every problem failed; the first one, {groups[0].problem_id}: {groups[0].failure}")
    return groups


def _chunks(problems: Sequence[Problem], size: int) -> Iterator[Sequence[Problem]]:
    return (problems[start : start + size] for start in range(0, len(problems), size))
