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
        if recipe.strategy.name != self.name or any(
            other not in (self.name, {"name": self.name}) for other in recipe.schedule.get("strategy", ())
        ):
            raise RecipeError(
                "strategy: gold is the one strategy of a run, neither part of another nor scheduled beside others: "
                "cards say that all solutions are the task's"
            )
        if not recipe.task.has_gold:
            raise RecipeError(f"strategy: gold needs gold answers, and the task {recipe.task.name!r} has none")
        curation, evaluation = recipe.curation, recipe.evaluation
        if curation.min_tokens or curation.max_hinted < 1 or evaluation.num_slow:
            raise RecipeError(
                "strategy: gold samples no tokens, and all its solutions are hinted: curation would drop them, and "
                "there are no slow answers; say curation: {min_tokens: 0, max_hinted: 1}, evaluation: {num_slow: 0}"
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
