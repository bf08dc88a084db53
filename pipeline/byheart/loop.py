"""READ FIRST. One round: sample, verify, curate, train, measure. Then again, with the better policy.

Each line of `run_round` is a stage: a function from what decides it to what it makes. A stage that is already on record
in the run directory is read, not done again, so a run that was stopped anywhere goes on from there. What a stage does
is in the file its function is imported from."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path

from byheart.config import validation
from byheart.config.recipe import Recipe
from byheart.contracts import Workers
from byheart.curation import curate
from byheart.evaluation import baseline, check_context, compare, controls, evaluate, promoted
from byheart.executors.core.lazy import Lazy
from byheart.models import machine
from byheart.runs.run import Run, dated
from byheart.strategies.core.sampling import sample
from byheart.strategies.core.verifying import verify
from byheart.tasks.core.splits import load
from byheart.trainer.parent import train
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService


def run_round(
    run: Run, n: int, recipe: Recipe, workers: Workers, train_verifier: VerifierService, eval_verifier: VerifierService
) -> None:
    """Round `n` (from 1) of `run`: teach the policy of the round before what it can work out itself.

    `train_verifier` selects what is trained on; `eval_verifier`, the task's own, measures.
    """
    earlier = run.earlier(n, load, baseline, sample, verify)  # the rounds before this one
    policy = run.policy(n - 1)  # the base model, or what was promoted since
    model, strategy, curation, evaluation = recipe.model, recipe.strategy, recipe.curation, recipe.evaluation
    checks = {"verifiers": [recipe.train_verifier], "fits": partial(check_context, recipe)}
    also = {name: eval_verifier.beside(task.verifier) for name, task in evaluation.other_tasks.items()}
    measuring = (curation, evaluation, workers, eval_verifier)
    problems = run.stage(n, "load", load, model, recipe.task, earlier, evaluation.other_tasks, **checks)
    before = run.stage(n, "baseline", baseline, problems, policy, strategy, *measuring, earlier, also)
    rollouts = run.stage(
        n, "sample", sample, problems, policy, strategy, recipe.sample_tokens, workers, train_verifier, earlier
    )
    verdicts = run.stage(n, "verify", verify, problems, rollouts, policy, workers, train_verifier)
    dataset = run.stage(n, "curate", curate, problems, rollouts, verdicts, curation, train_verifier, earlier)
    asks = (evaluation, workers, eval_verifier, earlier)
    peers = run.stage(n, "controls", controls, problems, run.policy(0), rollouts, verdicts, *asks)
    adapter = run.stage(
        n, "train", train, dataset, policy, model, recipe.objective, recipe.arguments, recipe.launcher, workers
    )
    starts = [*(past.baseline for past in earlier), before]  # of the policies that rounds started from
    after = run.stage(n, "evaluate", evaluate, problems, adapter, policy, starts[0], *measuring, also)
    best = starts[run.started_from_best(n) - 1]
    first = starts[0].value
    metrics = compare(before.value, after.value, evaluation, best.value, run.trained(n), peers.value, n, first)
    run.finish(n, promoted(policy, adapter.value, metrics), metrics)


def run(
    recipe: Recipe, folder: Path, rounds: int | None = None, only: str | None = None, redo_from: int | None = None
) -> int:
    """Do `rounds` more rounds of `recipe` (default: as many as it says, or until nothing more is gained) in the run
    directory `folder`, or finish what an interrupted call was to do; the number of the round that was reached.

    `only` names the one stage to do, after which Halt is raised; `redo_from` sets that round and those after it aside
    first. Raises InputError before anything starts where the recipe does not fit together or this machine.
    """
    machine.isolate()
    validation.check(recipe)
    recipe = dated(recipe, folder, date.today())
    validation.check_model(recipe)
    with (
        Run(folder, recipe, only, redo_from) as held,
        Lazy(recipe.executor, recipe.serving, recipe.model, folder / "engine.log", recipe.setting) as workers,
        Pool() as pool,
    ):
        target = held.target(rounds)
        train_verifier = VerifierService(recipe.train_verifier, pool)
        eval_verifier = VerifierService(recipe.task.verifier, pool)
        for n in range(held.finished + 1, target + 1):
            if held.stalled():
                break
            run_round(held, n, recipe.at(n), workers, train_verifier, eval_verifier)
        return held.finished
