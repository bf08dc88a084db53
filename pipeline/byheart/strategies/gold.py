"""No sampling: the task's own solution is the one rollout, so that a round is plain supervised fine-tuning, the control
of what a model learns from itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from byheart.contracts import Budget, Strategy
from byheart.errors import RecipeError
from byheart.strategies.core.prompting import spaced
from byheart.types import Completion, Problem, Rollout, Solver, Verify

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class Gold(Strategy):
    """The task's own solution of each problem, else its gold answer. It counts as hinted, so never as what a policy
    solved, and has no tokens, as none were sampled."""

    @override
    def check(self, recipe: Recipe) -> None:
        if not recipe.task.has_gold:
            raise RecipeError(f"strategy: gold needs gold answers, and the task {recipe.task.name!r} has none")
        if recipe.curation.min_tokens or recipe.curation.max_hinted < 1:
            raise RecipeError(
                "strategy: gold samples no tokens, and all its solutions are hinted: curation would drop them; say "
                "curation: {min_tokens: 0, max_hinted: 1}"
            )

    @override
    def budget(self) -> Budget:
        return Budget(1, 1, 0)

    @override
    def solve(self, problem: Problem) -> Solver:
        if problem.solution is None:
            return []
        text = spaced(problem.prompt, problem.solution)
        yield [Verify(problem, [text])]
        return [Rollout.of(problem, Completion(text, [], "stop", "gold", 0), self.name, hinted=True)]
