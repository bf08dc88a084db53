"""What is done for many problems, here or wherever the engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from byheart.contracts import Session, Verifier
from byheart.strategies.core.driver import Retriever, drive
from byheart.types import Problem, RolloutGroup, Solver
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService


@dataclass(frozen=True)
class Work:
    """What is done for each problem, in a form that can travel to another machine: the verifier goes along, and its
    processes run there. The rest is as in `drive`."""

    solve: Callable[[Problem], Solver]
    verifier: Verifier
    seed: str
    retrieve: Retriever | None

    def __call__(self, problems: Iterable[Problem | None], engine: Session) -> Iterator[RolloutGroup]:
        """The rollout groups in the order in which they finish; a None among `problems` says that there are none just
        now."""
        with Pool() as pool:
            solvers = ((problem, _started(self.solve, problem)) if problem else None for problem in problems)
            yield from drive(solvers, engine, VerifierService(self.verifier, pool), self.seed, self.retrieve)


def carried_out(
    problems: Sequence[Problem],
    solve: Callable[[Problem], Solver],
    engine: Session | None,
    verifier: VerifierService,
    seed: str = "",
    retrieve: Retriever | None = None,
) -> Iterator[RolloutGroup]:
    """What `solve` comes to for each of `problems`, in the order in which they finish: driven here, or by each of the
    workers that the engine is spread over."""
    if engine is not None and engine.spread:
        yield from engine.spread(problems, Work(solve, verifier.verifier, seed, retrieve))
    else:
        solvers = ((problem, _started(solve, problem)) for problem in problems)
        yield from drive(solvers, engine, verifier, seed, retrieve)


def _started(solve: Callable[[Problem], Solver], problem: Problem) -> Solver:
    """The generator of a problem; what is raised before there is one, as where `solve` has no yield, has a note."""
    try:
        return solve(problem)
    except Exception as error:
        name = getattr(solve, "__qualname__", "solve")
        error.add_note(f"raised where {name} was called (problem {problem.id}): it has to be a generator")
        raise
