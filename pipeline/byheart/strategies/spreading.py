"""What is done for many problems, here or wherever the engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from byheart.recipe import Choice
from byheart.strategies.driver import Remembering, drive
from byheart.types import Attempts, Engine, Problem, Solver
from byheart.verifiers.judge import Judge
from byheart.verifiers.pool import Pool


@dataclass(frozen=True)
class Work:
    """What is done for each problem, so that it can travel to another machine: the options of the verifier go along,
    and its processes run there. The rest is as in `drive`."""

    solve: Callable[[Problem], Solver]
    by: Choice
    seed: str
    recall: Remembering | None

    def __call__(self, problems: Iterable[Problem | None], engine: Engine) -> Iterator[Attempts]:
        with Pool() as pool:
            solvers = ((one, self.solve(one)) if one else None for one in problems)
            yield from drive(solvers, engine, Judge(self.by, pool), self.seed, self.recall)


def carried_out(
    problems: Sequence[Problem],
    solve: Callable[[Problem], Solver],
    engine: Engine | None,
    judge: Judge,
    seed: str = "",
    recall: Remembering | None = None,
) -> Iterator[Attempts]:
    """What `solve` comes to for each of `problems`, in the order in which they finish: driven here, or by each of the
    workers that the engine is spread over."""
    if spread := getattr(engine, "spread", None):
        yield from spread(problems, Work(solve, judge.by, seed, recall))
    else:
        yield from drive(((problem, solve(problem)) for problem in problems), engine, judge, seed, recall)
