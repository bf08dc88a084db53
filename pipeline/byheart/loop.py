"""READ FIRST. One round: sample, verify, curate, train, measure. Then again, with the better policy.

Each line of `run_round` is a stage. A stage that is already on record in the run directory is read, not done again, so
a run that was stopped anywhere goes on from there. What a stage does is in the file its function is imported from.
"""

from __future__ import annotations

from byheart.curation import curate
from byheart.evaluation import baseline, compare, evaluate, promoted
from byheart.objectives.training import train
from byheart.recipe import Recipe
from byheart.run import Run
from byheart.strategies.sampling import sample
from byheart.strategies.verifying import verify
from byheart.tasks.splits import load
from byheart.types import Engine
from byheart.verifiers.judge import Judge


def run_round(run: Run, n: int, recipe: Recipe, engine: Engine, judge: Judge, examiner: Judge) -> None:
    """Round `n` (from 1) of `run`: teach the policy of the round before what it can work out itself.

    The judge lets in what is trained on; the examiner, the task's own verifier, says what the measures are.
    """
    policy = run.policy(n - 1)  # the base model, or what the last round promoted
    problems = run.stage(n, "load", load, recipe.task, recipe.seed)
    before = run.stage(n, "baseline", baseline, problems, policy, recipe.evaluation, engine, examiner)
    rollouts = run.stage(n, "sample", sample, problems, policy, recipe.strategy, engine, judge)
    verdicts = run.stage(n, "verify", verify, problems, rollouts, policy, engine, judge)
    dataset = run.stage(n, "curate", curate, problems, rollouts, verdicts, recipe.curation, judge)
    adapter = run.stage(n, "train", train, dataset, policy, recipe.objective, engine)
    after = run.stage(n, "evaluate", evaluate, problems, adapter, policy, recipe.evaluation, engine, examiner)
    metrics = compare(before, after, recipe.evaluation)
    run.finish(n, promoted(policy, adapter, metrics), metrics)


def run_rounds(run: Run, recipe: Recipe, target: int, engine: Engine, judge: Judge, examiner: Judge) -> None:
    """Rounds until `target` are finished."""
    for n in range(run.finished + 1, target + 1):
        run_round(run, n, recipe.at(n), engine, judge, examiner)
