"""Verifiers as a service, and the verify stage.

The verifiers so far are bounded by construction (one pass over the text), so they run right here; one that could hang
does not belong in this process.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import registry
from pipeline.files import read_records, write_records
from pipeline.run import Stage, stage
from pipeline.types import Attempts, Problem, Problems, Verdict, Verify, digest, replace


class Judgement(NamedTuple):
    """What a verifier function returns: score (1.0, 0.0 or None for unjudged), the answer it read, and why not."""

    score: float | None
    answer: str | None
    reason: str


class Judge:
    """Answers Verify requests with Verdicts, whatever the problem's verifier.

    `identity` names the code of all verifiers: where it changed, stages that judge are done again, without sampling.
    """

    def __init__(self) -> None:
        self.identity = digest({key: fingerprint(place) for key, place in registry.known("verifiers").items()})
        self._answered: deque[tuple[int, Verdict]] = deque()
        self._tickets = 0

    def submit(self, request: Verify) -> int:
        self._tickets += 1
        self._answered.append((self._tickets, judge(request.problem, request.response)))
        return self._tickets

    def poll(self) -> list[tuple[int, Verdict]]:
        answered = list(self._answered)
        self._answered.clear()
        return answered


def judge(problem: Problem, response: str, rollout_id: str = "") -> Verdict:
    """The verdict of the problem's verifier. Unjudged where the problem has no answer to compare with."""
    function, name = present(problem.verifier)
    if problem.answer is None:
        return Verdict(rollout_id, name, None, None, "the problem has no gold answer")
    return Verdict(rollout_id, name, *function(problem.answer, response))


@cache
def present(key: str) -> tuple[Any, str]:
    """The verifier function and its name: key and fingerprint of its source, so that changed code judges afresh."""
    function = registry.resolve("verifiers", key)
    return function, f"{key}@{fingerprint(registry.known('verifiers')[key])}"


def fingerprint(place: str) -> str:
    """A name for the source of the module in "module:name", which is not imported for it."""
    spec = find_spec(place.partition(":")[0])
    source = Path(spec.origin).read_bytes() if spec and spec.origin else place.encode()
    return hashlib.sha256(source).hexdigest()[:8]


def judged(problems: Iterable[Problem], attempts: Iterable[Attempts], service: Judge) -> list[Verdict]:
    """A verdict of the present verifier for every rollout, in order: the one it was given, or else one asked for now.

    `service` is what answers; every problem that was attempted is among `problems`.
    """
    by_id = {problem.id: problem for problem in problems}
    verdicts: dict[str, Verdict] = {}
    asked: dict[int, str] = {}
    for one in attempts:
        problem = by_id[one.problem_id]
        given = {
            verdict.rollout_id: verdict for verdict in one.verdicts if verdict.verifier == present(problem.verifier)[1]
        }
        for rollout in one.rollouts:
            verdicts[rollout.id] = given.get(rollout.id) or UNASKED
            if rollout.id not in given:
                asked[service.submit(Verify(problem, rollout.response))] = rollout.id
    while asked:
        for ticket, verdict in service.poll():
            rollout_id = asked.pop(ticket)
            verdicts[rollout_id] = replace(verdict, rollout_id=rollout_id)
    return list(verdicts.values())


UNASKED = Verdict("", "", None, None, "not judged yet")


def read_verdicts(folder: Path) -> list[Verdict]:
    return read_records(folder / "verdicts.jsonl", Verdict)


@stage(read_verdicts)
def verify(work: Stage, problems: Problems, rollouts: Sequence[Attempts], service: Judge) -> list[Verdict]:
    """A verdict of the present verifier for every rollout: those given while sampling, and the rest judged now."""
    verdicts = judged(problems.train, rollouts, service)
    write_records(work.dir / "verdicts.jsonl", verdicts)
    return verdicts
