"""The verify stage: a verdict of the present verifier for every rollout, asked for only where one is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from byheart.contracts import Workers
from byheart.files import Records, write_records
from byheart.progress import console
from byheart.runs.stages import Stage, stage
from byheart.strategies.core.diagnosis import counted, shares
from byheart.strategies.core.work import Solving
from byheart.types import Policy, Problem, Problems, RolloutGroup, Solver, Verdict, Verify, replace
from byheart.verifiers.core.pool import FAILED
from byheart.verifiers.core.service import VerifierService


def read_verdicts(folder: Path) -> Sequence[Verdict]:
    """In the order of the rollouts, one of each; each is read when it is asked for."""
    return Records(Verdict, [folder / "verdicts.jsonl"])


@stage(read_verdicts)
def verify(
    work: Stage,
    problems: Problems,
    rollouts: Sequence[RolloutGroup],
    policy: Policy,
    workers: Workers,
    verifier: VerifierService,
) -> list[Verdict]:
    """The verdicts given while sampling, and the rest judged now. A verifier that asks a model asks `policy`."""
    if verifier.asks_policy:
        workers.load(policy)
    verdicts = judged(work, problems.train, rollouts, workers, verifier)
    write_records(work.dir / "verdicts.jsonl", verdicts)
    work.stats = stats = counted(rollouts, verdicts, verifier.reads_answers)
    if stats.num_problems:
        console.print(f"round {work.round} verify: {shares(stats)}")
    failures = Counter(verdict.reason for verdict in verdicts if verdict.reason.startswith(FAILED))
    if failures:
        [(reason, _)] = failures.most_common(1)
        console.print(f"{failures.total()} of {len(verdicts)} responses are unjudged: {reason}")
    return verdicts


def judged(
    work: Stage,
    problems: Iterable[Problem],
    groups: Sequence[RolloutGroup],
    workers: Workers,
    verifier: VerifierService,
) -> list[Verdict]:
    """A verdict for every rollout, in order. `problems` holds every problem that was attempted.

    Where the verifier goes by agreement, all rollouts of a problem are judged together, whatever verdict they were
    given while sampling; those that were cut off have no vote."""
    by_id = {problem.id: problem for problem in problems}
    judged_groups = {group.problem_id: group for group in groups}
    missing = [group for group in groups if verifier.by_agreement or _lacks_verdict(group, verifier.identity)]
    ask = partial(_ask_again, {group.problem_id: group for group in missing}, verifier.by_agreement)
    if missing:
        unjudged, seed = [by_id[group.problem_id] for group in missing], f"{work.seed} verify {work.round}"
        solving = Solving(ask, verifier, seed)
        with work.progress(len(missing), "verify", "problems") as bar:
            for group in workers.map(unjudged, solving) if verifier.asks_policy else solving(unjudged, None):
                judged_groups[group.problem_id] = group
                bar.advance(1)
    verdicts = {verdict.rollout_id: verdict for group in judged_groups.values() for verdict in group.verdicts}
    no_vote = Verdict("", verifier.identity, None, None, "it was cut off, so it has no vote")
    rollout_ids = [rollout.id for group in groups for rollout in group.rollouts]
    return [verdicts.get(rollout_id) or replace(no_vote, rollout_id=rollout_id) for rollout_id in rollout_ids]


def _lacks_verdict(group: RolloutGroup, verifier: str) -> bool:
    judged_ids = {verdict.rollout_id for verdict in group.verdicts if verdict.verifier == verifier}
    return any(rollout.id not in judged_ids for rollout in group.rollouts)


def _ask_again(groups: Mapping[str, RolloutGroup], by_agreement: bool, problem: Problem) -> Solver:
    """Has the rollouts of a problem judged, and returns them."""
    rollouts = [
        rollout for rollout in groups[problem.id].rollouts if rollout.finish_reason == "stop" or not by_agreement
    ]
    yield [Verify(problem, [rollout.response for rollout in rollouts])]
    return rollouts
