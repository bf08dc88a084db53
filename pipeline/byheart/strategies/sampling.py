"""The sample stage, and the journal that it shares with every measure: ask only for what is owed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from byheart.errors import EngineError
from byheart.files import Journal, read_records
from byheart.run import Stage, stage
from byheart.strategies import memory
from byheart.strategies.asking import begin
from byheart.strategies.driver import Remembering
from byheart.strategies.spreading import carried_out
from byheart.strategies.tuning import tuned
from byheart.types import Attempts, Engine, Policy, Problem, Problems, Solver
from byheart.verifiers.judge import Judge

CHUNK = 32
"""Where tokens are limited, so many problems are begun at a time, and done before more are: what they cost may go over
the limit."""


def read_rollouts(folder: Path) -> list[Attempts]:
    """In the order of the problems, whatever the order in which they were finished."""
    done = {one.problem_id: one for one in Journal(folder, "rollouts", Attempts).read()}
    problems = read_records(folder / "problems.jsonl", Problems)[0]
    return [done[problem.id] for problem in problems.train if problem.id in done]


@stage(read_rollouts)
def sample(
    work: Stage, problems: Problems, policy: Policy, options: Any, engine: Engine, judge: Judge
) -> list[Attempts]:
    """Let the strategy work on every problem to train on, or until `sample_tokens` of the recipe are spent, which the
    last 32 problems that were begun may overshoot. Problems that an earlier try finished are not done again. Of a list
    of temperatures the best is found first."""
    engine.load(policy)
    seed, recall = f"{work.seed} round {work.round}", memory.of_run(work)

    def tries(name: str, part: Sequence[Problem], asked: Any, budget: int | None = None) -> list[Attempts]:
        journal, doing = Journal(work.dir, name, Attempts), "sample" if name == "rollouts" else name
        return attempt(
            work, journal, part, lambda one: begin(one, asked), engine, judge, seed, doing, recall=recall, budget=budget
        )

    spent = 0
    if isinstance(getattr(options, "temperature", None), list):
        options, spent = tuned(work, problems.train, options, tries)
    attempts = tries("rollouts", problems.train, options, work.recipe.sample_tokens)
    rollouts = [rollout for one in attempts for rollout in one.rollouts]
    work.notes |= {
        "num_problems": len(attempts),
        "num_rollouts": len(rollouts),
        "num_chosen": sum(one.chosen for one in rollouts),
        "num_hinted": sum(one.hinted for one in rollouts),
        "notes": dict(sorted(Counter(one.note for one in rollouts if one.note).items())),
        "num_tokens": spent + sum(one.num_tokens for one in attempts),
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
    recall: Remembering | None = None,
    budget: int | None = None,
) -> list[Attempts]:
    """What `solve` comes to for each of `problems`, in their order; written to `journal` as each is finished.

    Once `budget` tokens were generated no more problems are begun, and those are not in the result. `recall` answers
    who asks for what the run knows. Raises EngineError where the engine refused every single one.
    """
    known = {one.problem_id: one for one in journal.read()}
    num_owed = sum(problem.id not in known for problem in problems)
    if not num_owed:
        return _some([known[problem.id] for problem in problems])
    tokens, before = 0, engine.seconds
    begun = 0  # tokens, those of an earlier try counted, so that it ends where it would have ended without interruption
    try:
        with work.progress(num_owed, doing, "problems") as bar:
            for part in _parts(problems, len(problems) if budget is None else CHUNK):
                if budget is not None and begun >= budget:
                    break
                owed = [problem for problem in part if problem.id not in known]
                for one in carried_out(owed, solve, engine, judge, seed, recall) if owed else ():
                    journal.append(one)
                    known[one.problem_id] = one
                    tokens += one.num_tokens
                    bar.advance(1, f"{tokens / max(engine.seconds - before, 1e-9):.0f} tokens/s")
                begun += sum(known[problem.id].num_tokens for problem in part)
    finally:
        journal.close()
    return _some([known[problem.id] for problem in problems if problem.id in known])


def _some(attempts: list[Attempts]) -> list[Attempts]:
    if attempts and all(one.failure for one in attempts):
        raise EngineError(f"every problem failed; the first one, {attempts[0].problem_id}: {attempts[0].failure}")
    return attempts


def _parts(problems: Sequence[Problem], size: int) -> Iterator[Sequence[Problem]]:
    return (problems[start : start + size] for start in range(0, len(problems), size))
