"""How fast verdicts come: those given in our own process, mathematics against bare math-verify, programs, and hangs;
and how many rows of the corpus of maths answers each of the two gets wrong.

usage: make bench     (this part takes about five minutes; nothing else should run)

Every comparison is made in one run, on the same rows, several times in turn; the median counts. Mathematics is judged
on the rows of tests/verifiers/math_corpus.jsonl, without the huge powers, at which math-verify runs into its timeout.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, TimeoutError
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import math_verify
import psutil
from byheart.contracts import Verifier
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Solver, Verdict, Verify
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService
from pebble import ProcessExpired, ProcessPool

CORPUS = Path(__file__).parents[2] / "tests/verifiers/math_corpus.jsonl"
CORES = len(os.sched_getaffinity(0))
TURNS = 5

Row = tuple[Problem, str]


def main() -> None:
    print(f"{CORES} cores; medians of {TURNS} turns")
    _here()
    _mathematics()
    _mistakes()
    _programs()
    _hangs()


def _here() -> None:
    """The verifiers that are bounded by construction."""
    text = "She has 23 apples and buys 27 more, so she has 23 + 27 = 50 apples in all. The answer is 50."
    for name, answer in (("number", "50"), ("exact", text)):
        judge = VerifierService(Verifier.parse(name), Pool())
        request = Verify(Problem.of("", answer, name), [text + " " * n for n in range(8)])
        rates = [20_000 / _timed(lambda: _here_judged(judge, request, 20_000 // 8)) for _ in range(TURNS)]  # noqa: B023
        print(f"{name}: {statistics.median(rates):,.0f} verdicts/s on one core (wanted: 20,000)")


def _here_judged(judge: VerifierService, request: Verify, times: int) -> None:
    for _ in range(times):
        judge.submit(request)
        [(_, verdicts)] = judge.poll()
        assert all(verdict.correct for verdict in verdicts)


def _mathematics() -> None:
    corpus = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]
    rows = [(Problem.of("", row["gold"], "math"), row["response"]) for row in corpus if row["kind"] != "huge powers"]
    bare, ours, alone = [], [], []
    for _ in range(TURNS):
        bare.append(_timed(lambda: _bare(rows)))
        ours.append(_seconds("math", rows))
        alone.append(_seconds({"name": "math", "workers": 1}, rows))
    rate = [len(rows) / statistics.median(seconds) for seconds in (bare, ours, alone)]
    ratios = [theirs / own / CORES for theirs, own in zip(bare, ours, strict=True)]
    print(
        f"math: {rate[1]:,.0f} verdicts/s with {CORES} workers, {rate[2]:,.0f} with one ({rate[1] / rate[2]:.2f} x); "
        f"bare math-verify in one process {rate[0]:,.0f}; per core / bare {statistics.median(ratios):.2f} (wanted: 1)"
    )


def _bare(rows: Sequence[Row]) -> None:
    """math-verify as its manual calls it, in a loop, without its own timeouts."""
    for problem, response in rows:
        gold = math_verify.parse(f"${problem.answer}$", parsing_timeout=None)
        math_verify.verify(gold, math_verify.parse(response, parsing_timeout=None), timeout_seconds=None)


def _mistakes() -> None:
    """On the whole corpus: wrong answers passed, right ones missed, and rows left unjudged."""
    corpus = [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]
    rows = [(Problem.of("", row["gold"], "math"), row["response"]) for row in corpus]
    with Pool() as pool:
        by_name = {"ours": [verdict.score for verdict in _judge(VerifierService(Verifier.parse("math"), pool), rows)]}
    with ProcessPool(CORES, initializer=_bounded, context=get_context("fork")) as workers:
        futures = [workers.schedule(_bare_score, args=[*row], timeout=5) for row in rows]
        by_name["bare math-verify"] = [_outcome(future) for future in futures]
    right, wrong = sum(row["right"] for row in corpus), sum(not row["right"] for row in corpus)
    for name, scores in by_name.items():
        judged = list(zip(corpus, scores, strict=True))
        passed = sum(score == 1.0 for row, score in judged if not row["right"])
        missed = sum(score != 1.0 for row, score in judged if row["right"])
        unjudged = sum(score is None for score in scores)
        counts = f"{passed} of {wrong} wrong answers passed, {missed} of {right} right ones missed"
        print(f"{name}: {counts}, {unjudged} unjudged")


def _bare_score(problem: Problem, response: str) -> float:
    """math-verify as its README says: gold first, both with LaTeX and plain expressions, the gold's LaTeX in a
    delimiter. A step has 2 s instead of 5; where that is not enough it answers False, as it would after 5."""
    gold = math_verify.parse(rf"\boxed{{{problem.answer}}}", parsing_timeout=2)
    return float(math_verify.verify(gold, math_verify.parse(response, parsing_timeout=2), timeout_seconds=2))


def _outcome(future: Future[float]) -> float | None:
    """None where it took over 5 s, ran out of memory or crashed its process."""
    try:
        return future.result()
    except (TimeoutError, MemoryError, ProcessExpired):
        return None


def _bounded() -> None:
    """At most 2 GiB more than the parent has."""
    limit = psutil.Process().memory_info().vms + 2 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _programs() -> None:
    asserted = {"tests": [{"assert": "assert double(21) == 42"}]}
    printed = {"tests": [{"input": "21\n", "output": "42\n"}]}
    for kind, meta, code in (
        ("with an assert", asserted, "def double(n):\n    return 2 * n"),
        ("with input and output", printed, "print(2 * int(input()))"),
    ):
        rows = [(Problem("", "", None, "code", meta), f"```python\n{code}\n```") for _ in range(500)]
        rates = [len(rows) / _seconds("code", rows) for _ in range(TURNS)]
        print(f"code: {statistics.median(rates):,.0f} trivial programs/s {kind}, on {CORES} cores (wanted: 100 on two)")


def _hangs() -> None:
    """Of 1,000 verifications every twentieth hangs, and is killed after 2 s."""
    by = {"name": "regex", "pattern": "((a+)+$|4)", "time_limit": 2.0}
    hangs = [n % 20 == 0 for n in range(1000)]
    problem = Problem.of("", "4", "regex")
    rest = _seconds(by, [(problem, "4") for hang in hangs if not hang])
    took = _seconds(by, [(problem, "a" * 40 + "!" if hang else "4") for hang in hangs])
    bound = sum(hangs) * 2.0 / CORES
    print(f"hangs: {took:.1f} s for 1,000 with {sum(hangs)} hangs of 2 s; wanted: {1.3 * bound + rest:.1f} s")


def _seconds(by: Any, rows: Sequence[Row]) -> float:
    """Seconds until the verifier `by` has judged all of `rows`; its workers were started before."""
    with Pool() as pool:
        judge = VerifierService(Verifier.parse(by), pool)
        _judge(judge, [*rows[:1]] * 2 * CORES)
        return _timed(lambda: _judge(judge, rows))


def _judge(judge: VerifierService, rows: Sequence[Row]) -> list[Verdict]:
    """The verdicts, in the order of the rows."""
    verdicts: dict[int, Verdict] = {}

    def asks(index: int, problem: Problem, response: str) -> Solver:
        [[verdicts[index]]] = yield [Verify(problem, [response])]
        return []

    for _ in drive(
        ((problem, asks(index, problem, response)) for index, (problem, response) in enumerate(rows)), None, judge
    ):
        pass
    return [verdicts[index] for index in range(len(rows))]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # math-verify says at each call that its timeouts are off
    main()
