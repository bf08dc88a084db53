"""What the verifier of a V-STaR run is worth: of 8 answers to a held-out problem, the one that it chooses.

usage: make bench-vstar RUN=runs/vstar [VSTAR_PROBLEMS=200]

The run's last policy answers each problem eight times, without being shown what is right. It prints how often one of
the eight is right on average, the verifier's choice, the commonest one and any of them; the difference between the
verifier's choice and the commonest one, problem by problem; and the share of all pairs of a right and a wrong answer,
over all problems, in which the verifier prefers the right one (AUC).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

import yaml

from pipeline import models, recipe
from pipeline.engines.vllm import VLLM
from pipeline.evaluation.statistics import mean_interval, wilson
from pipeline.report.data import view
from pipeline.run import Run
from pipeline.strategies.asking import begin
from pipeline.strategies.driver import drive
from pipeline.types import Attempts
from pipeline.verifiers.judge import Judge
from pipeline.verifiers.pool import Pool

SAMPLES = 8


def main() -> None:
    if "RUN" not in os.environ:
        sys.exit("name a run whose last policy has a verifier: make bench-vstar RUN=runs/vstar")
    folder, most = Path(os.environ["RUN"]), int(os.environ.get("VSTAR_PROBLEMS", "200"))
    chosen = recipe.parse(yaml.safe_load((folder / "recipe.yaml").read_text("utf-8")))
    last = view(folder).finished[-1]
    run = Run(folder, chosen)
    policy = run.policy(last.n)
    run.close()
    if policy.scorer is None:
        sys.exit(f"{folder}: the policy of round {last.n} has no verifier; train one with objective: vstar")
    problems = [last.problems()[one.problem_id] for one in last.measure("evaluate").splits["held_out"]][:most]
    engine = VLLM(chosen.engine, models.fetch(chosen.model), chosen.model, Path(tempfile.mkdtemp()) / "engine.log")
    engine.load(policy)
    by: dict[str, list[Attempts]] = {}
    with Pool() as pool:
        judge = Judge(chosen.task.verifier, pool)
        for how in ("score", "majority"):
            options = recipe.chosen(
                "strategies",
                {
                    "name": "best_of",
                    "samples": SAMPLES,
                    "temperatures": [0.7],
                    "choose": how,
                    "among": "all",
                    "min_tokens": 1,
                    "max_tokens": chosen.evaluation.worked.max_tokens,
                },
            )
            done = drive(((one, begin(one, options)) for one in problems), engine, judge, "bench")
            by[how] = sorted(done, key=lambda one: one.problem_id)
    _print(by["score"], by["majority"])


def _print(valued: list[Attempts], voted: list[Attempts]) -> None:
    rights = [{verdict.rollout_id: verdict.correct for verdict in one.verdicts} for one in valued]
    by_verifier, commonest = ([float(_chosen(one)) for one in side] for side in (valued, voted))
    for name, right in (
        (f"one of {SAMPLES}, on average", [statistics.mean(one.values()) for one in rights]),
        ("the verifier's choice", by_verifier),
        ("the commonest one", commonest),
        ("any of them", [float(any(one.values())) for one in rights]),
    ):
        low, high = wilson(round(sum(right)), len(right))
        print(f"{name}: {statistics.mean(right):.3f} ({low:.2f}-{high:.2f}) right")
    change = [one - other for one, other in zip(by_verifier, commonest, strict=True)]
    low, high = mean_interval(change, -1.0)
    print(f"the verifier's choice - the commonest one: {statistics.mean(change):+.3f} ({low:+.2f} to {high:+.2f})")
    scored = [
        (rollout.value, one[rollout.id])
        for attempts, one in zip(valued, rights, strict=True)
        for rollout in attempts.rollouts
        if rollout.value is not None
    ]
    good, bad = ([value for value, right in scored if right is wanted] for wanted in (True, False))
    wins = sum((one > other) + 0.5 * (one == other) for one in good for other in bad)
    print(f"AUC: {wins / (len(good) * len(bad)):.2f} ({len(good)} right and {len(bad)} wrong answers)")


def _chosen(attempts: Attempts) -> bool:
    """Whether the answer that was chosen is right; False where none was."""
    right = {verdict.rollout_id for verdict in attempts.verdicts if verdict.correct}
    return any(rollout.chosen and rollout.id in right for rollout in attempts.rollouts)


if __name__ == "__main__":
    main()
