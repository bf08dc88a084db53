"""The sample stage, and the journal that it shares with every measure: ask only for what is owed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline import registry
from pipeline.errors import EngineError
from pipeline.files import Journal, read_records
from pipeline.run import Stage, stage
from pipeline.strategies.driver import drive
from pipeline.types import Attempts, Engine, Policy, Problem, Problems, Solver
from pipeline.verifiers.judge import Judge


def read_rollouts(folder: Path) -> list[Attempts]:
    """In the order of the problems, whatever the order in which they were finished."""
    done = {one.problem_id: one for one in Journal(folder, "rollouts", Attempts).read()}
    problems = read_records(folder / "problems.jsonl", Problems)[0]
    return [done[problem.id] for problem in problems.train if problem.id in done]


@stage(read_rollouts)
def sample(
    work: Stage, problems: Problems, policy: Policy, options: Any, engine: Engine, judge: Judge
) -> list[Attempts]:
    """Let the strategy work on every problem to train on; problems that an earlier try finished are not done again."""
    solve = registry.resolve("strategies", options.name)
    engine.load(policy)
    journal = Journal(work.dir, "rollouts", Attempts)
    seed = f"{work.seed} round {work.round}"
    attempts = attempt(work, journal, problems.train, lambda one: solve(one, options), engine, judge, seed, "sample")
    rollouts = [rollout for one in attempts for rollout in one.rollouts]
    work.notes |= {
        "num_rollouts": len(rollouts),
        "num_tokens": sum(one.num_tokens for one in attempts),
        "num_failed": sum(one.failure is not None for one in attempts),
    }
    return attempts


def attempt(
    work: Stage,
    journal: Journal[Attempts],
    problems: Sequence[Problem],
    solve: Callable[[Problem], Solver],
    engine: Engine,
    judge: Judge,
    seed: str,
    doing: str,
) -> list[Attempts]:
    """What `solve` comes to for each of `problems`, in their order; written to `journal` as each is finished.

    Raises EngineError where the engine refused every single one.
    """
    known = {one.problem_id: one for one in journal.read()}
    owed = [problem for problem in problems if problem.id not in known]
    tokens, before = 0, engine.seconds
    if not owed:
        return [known[problem.id] for problem in problems]
    try:
        with work.progress(len(owed), doing, "problems") as bar:
            for one in drive(((problem, solve(problem)) for problem in owed), engine, judge, seed):
                journal.append(one)
                known[one.problem_id] = one
                tokens += one.num_tokens
                bar.advance(1, f"{tokens / max(engine.seconds - before, 1e-9):.0f} tokens/s")
    finally:
        journal.close()
    attempts = [known[problem.id] for problem in problems]
    if attempts and all(one.failure for one in attempts):
        raise EngineError(f"every problem failed; the first one, {attempts[0].problem_id}: {attempts[0].failure}")
    return attempts
