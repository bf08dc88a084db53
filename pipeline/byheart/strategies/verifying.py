"""The verify stage: a verdict of the present verifier for every rollout, asked for only where one is owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from byheart.files import read_records, write_records
from byheart.run import Stage, stage
from byheart.strategies.spreading import carried_out
from byheart.types import Attempts, Engine, Policy, Problem, Problems, Solver, Verdict, Verify, replace
from byheart.verifiers.judge import Judge


def read_verdicts(folder: Path) -> list[Verdict]:
    return read_records(folder / "verdicts.jsonl", Verdict)


@stage(read_verdicts)
def verify(
    work: Stage, problems: Problems, rollouts: Sequence[Attempts], policy: Policy, engine: Engine, judge: Judge
) -> list[Verdict]:
    """Those given while sampling, and the rest judged now. Where the verifier asks a model, it is `policy`."""
    if judge.asks:
        engine.load(policy)
    verdicts = judged(work, problems.train, rollouts, engine, judge)
    write_records(work.dir / "verdicts.jsonl", verdicts)
    return verdicts


def judged(
    work: Stage, problems: Iterable[Problem], attempts: Sequence[Attempts], engine: Engine, judge: Judge
) -> list[Verdict]:
    """A verdict for every rollout, in order. Every problem that was attempted is among `problems`.

    Where the verifier goes by agreement, all rollouts of a problem are judged together, whatever was said on the way;
    those that were cut off have no vote.
    """
    by_id = {problem.id: problem for problem in problems}
    done = {one.problem_id: one for one in attempts}
    owed = [one for one in attempts if judge.together or _owed(one, judge.identity)]
    ask = partial(_asking, {one.problem_id: one for one in owed}, judge.together)
    if owed:
        asked, seed = [by_id[one.problem_id] for one in owed], f"{work.seed} verify {work.round}"
        with work.progress(len(owed), "verify", "problems") as bar:
            for one in carried_out(asked, ask, engine if judge.asks else None, judge, seed):
                done[one.problem_id] = one
                bar.advance(1)
    given = {verdict.rollout_id: verdict for one in done.values() for verdict in one.verdicts}
    unasked = Verdict("", judge.identity, None, None, "it was cut off, so it has no vote")
    every = [rollout.id for one in attempts for rollout in one.rollouts]
    return [given.get(name) or replace(unasked, rollout_id=name) for name in every]


def _owed(one: Attempts, verifier: str) -> bool:
    given = {verdict.rollout_id for verdict in one.verdicts if verdict.verifier == verifier}
    return any(rollout.id not in given for rollout in one.rollouts)


def _asking(done: Mapping[str, Attempts], together: bool, problem: Problem) -> Solver:
    """Asks again about rollouts that there are."""
    rollouts = done[problem.id].rollouts
    asked = [rollout for rollout in rollouts if rollout.finish_reason == "stop" or not together]
    yield [Verify(problem, [rollout.response for rollout in asked])]
    return asked
