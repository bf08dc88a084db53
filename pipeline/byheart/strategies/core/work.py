"""What is done for many problems, wherever an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from byheart.contracts import Session
from byheart.strategies.core.driver import Retriever, drive
from byheart.types import Problem, RolloutGroup, Solver
from byheart.verifiers.core.service import VerifierService


@dataclass(frozen=True)
class Solving:
    """Runs the solver of each problem to its end: the work that an executor maps over problems. It travels to other
    processes, where the verifier has processes of its own. The rest is as in `drive`."""

    solve: Callable[[Problem], Solver]
    verifier: VerifierService
    seed: str = ""
    retrieve: Retriever | None = None

    def __call__(self, problems: Iterable[Problem | None], engine: Session | None) -> Iterator[RolloutGroup]:
        """The rollout groups in the order in which they finish; a None among `problems` says that there are none just
        now. `engine` is None where neither solver nor verifier asks it."""
        solvers = ((problem, self._started(problem)) if problem else None for problem in problems)
        yield from drive(solvers, engine, self.verifier, self.seed, self.retrieve)

    def _started(self, problem: Problem) -> Solver:
        """The generator of a problem; what is raised before there is one, as where `solve` has no yield, has a note."""
        try:
            return self.solve(problem)
        except Exception as error:
            name = getattr(self.solve, "__qualname__", "solve")
            error.add_note(f"raised where {name} was called (problem {problem.id}): it has to be a generator")
            raise
