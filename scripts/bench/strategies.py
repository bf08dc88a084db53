"""What strategies cost: an adaptive mixture against uniform sampling, and how full the driver keeps the engine's batch.

usage: make bench [BENCH_FACTS=80 BENCH_DEEP=160 BENCH_PAIRS=8]

All parts run in the real vLLM with SmolLM2-135M-Instruct. The first gives the same facts, of tables up to 12, to plain
sampling, 16 answers each, and to a mixture at the same temperature: one answer at a time until two distinct ones are
right, 24 at most; then, for what is still unsolved, four more with worked examples. recipes/times_table.yaml keeps two
solutions of a problem, so up to two of each are counted (wanted: as many with at most half the tokens); it prints all
of them too, tokens generated and seconds.

The second drives a mixture of strategies of different depth and prints how full vLLM's batch was, in its own scheduler,
while there were more unfinished problems than places in it (wanted: at least 90 %).

The third gives 16 problems to a strategy of two branches, of two long turns and of six short ones, and the same turns
as two problems each. How full was the batch, over all steps of the engine (wanted: as full as with two problems, within
5 %)? In lock-step, for comparison, neither branch begins its next turn before the other has its answer.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from byheart.contracts import Strategy, Verifier
from byheart.engines.vllm import VLLM, VLLMSession
from byheart.models import checkpoint
from byheart.strategies.core.driver import drive
from byheart.strategies.core.prompting import answered
from byheart.tasks.times_table import TimesTable
from byheart.text import normalised
from byheart.types import Completion, Generate, Parallel, Part, Problem, Score, Solver
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

PLACES = 32  # sequences at once
KEEP = 2  # solutions of a problem that are trained on: curation.keep of recipes/times_table.yaml

UNIFORM = {"name": "direct", "samples": 16, "enough": 17, "max_samples": 16, "temperature": 0.7, "max_tokens": 20}
FORMS = [
    {"prompt": "What is 13 times 2? Reply with just the number.", "response": "26"},
    {"prompt": "What is 14 times 3? Reply with just the number.", "response": "14 x 3 = 42"},
    {"prompt": "What is 15 times 2? Reply with just the number.", "response": "30."},
    {"prompt": "What is 16 times 2? Reply with just the number.", "response": "It is 32."},
]
ADAPTIVE = {
    "name": "mixture",
    "parts": [
        {"name": "direct", "samples": 1, "enough": KEEP, "max_samples": 24, "temperature": 0.7, "max_tokens": 20},
        {"name": "few_shot", "examples": FORMS, "shots": 4, "samples": 4, "max_samples": 4, "temperature": 0.7,
         "max_tokens": 12},
    ],
}  # fmt: skip
DEEP = {
    "name": "mixture",
    "how": "proportions",
    "weights": [4, 2, 2, 1],
    "parts": [
        {"name": "direct", "samples": 4, "max_samples": 8, "max_tokens": 20},
        {"name": "few_shot", "examples": FORMS, "shots": 4, "samples": 4, "max_samples": 8, "max_tokens": 12},
        {"name": "reflect", "samples": 4, "max_tokens": 20, "critique_tokens": 32},
        {"name": "decompose", "samples": 2, "width": 3, "divide_tokens": 48, "max_tokens": 20},
    ],
}


class Work(NamedTuple):
    """What a strategy did: distinct right solutions up to `KEEP` a problem, and all of them; problems it solved."""

    counted: int
    distinct: int
    solved: int
    tokens: int
    seconds: float


class Watched:
    """An engine, and how full its batch was: seconds of each step and the sequences that vLLM had running in it."""

    def __init__(self, engine: VLLMSession) -> None:
        self._engine = engine
        self.steps: list[tuple[float, int]] = []

    def submit(self, request: Generate | Score) -> int:
        return self._engine.submit(request)

    def poll(self) -> list[tuple[int, list[Completion]]]:
        began = time.perf_counter()
        replies = self._engine.poll()
        scheduler = self._engine._llms["policy"].llm_engine.engine_core.engine_core.scheduler
        done = sum(len(reply) for _, reply in replies)  # in this step they still had their places
        self.steps.append((time.perf_counter() - began, min(len(scheduler.running) + done, PLACES)))
        return replies


def main() -> None:
    facts, deep = int(os.environ.get("BENCH_FACTS", "80")), int(os.environ.get("BENCH_DEEP", "160"))
    model = checkpoint.ModelOptions(name="smollm2-135m", max_context=512)
    log = Path(tempfile.mkdtemp()) / "engine.log"
    engine = VLLMSession(VLLM(max_num_seqs=PLACES), checkpoint.fetch(model), model, log)
    problems = list(TimesTable(high=12).problems(seed=0))
    with Pool() as pool:
        verifier = VerifierService(Verifier.parse("number"), pool)
        _work(engine, verifier, problems[-4:], UNIFORM)  # warms up
        uniform, adaptive = (_work(engine, verifier, problems[:facts], strategy) for strategy in (UNIFORM, ADAPTIVE))
        for name, it in (("uniform", uniform), ("adaptive mixture", adaptive)):
            right = f"{it.counted} distinct right solutions up to {KEEP} a fact ({it.distinct} in all)"
            print(f"{name}: {right} to {it.solved} of {facts} facts, {it.tokens} tokens, {it.seconds:.0f} s")
        tokens, solutions = adaptive.tokens / uniform.tokens, adaptive.counted / uniform.counted
        print(f"tokens, adaptive / uniform: {tokens:.2f}; solutions: {solutions:.2f}")
        full = _fullness(engine, verifier, problems[:deep])
        print(f"batch of {PLACES}, full on average: {full:.1%} until the last wave")
        _compare_branches(engine, verifier, problems[: PLACES // 2], int(os.environ.get("BENCH_PAIRS", "8")))


def _work(engine: VLLMSession, verifier: VerifierService, problems: list[Problem], strategy: dict[str, Any]) -> Work:
    engine._llms["policy"].reset_prefix_cache()
    options = Strategy.parse(strategy)
    began = time.perf_counter()
    counted = distinct = solved = tokens = 0
    for group in drive(((problem, options.solve(problem)) for problem in problems), engine, verifier, "0"):
        right = {verdict.rollout_id for verdict in group.verdicts if verdict.correct}
        texts = {normalised(r.response) for r in group.rollouts if r.id in right and r.finish_reason == "stop"}
        counted, distinct, solved = counted + min(len(texts), KEEP), distinct + len(texts), solved + bool(texts)
        tokens += group.num_tokens
    return Work(counted, distinct, solved, tokens, time.perf_counter() - began)


def _fullness(engine: VLLMSession, verifier: VerifierService, problems: list[Problem]) -> float:
    """The share of the batch's places that were taken, over time, while more problems were unfinished than it has."""
    watched = Watched(engine)
    options = Strategy.parse(DEEP)
    left, steps = len(problems), 0
    for _ in drive(((problem, options.solve(problem)) for problem in problems), watched, verifier, "0"):
        left -= 1
        if left >= PLACES:
            steps = len(watched.steps)
    counted = watched.steps[:steps]
    return sum(seconds * taken for seconds, taken in counted) / (PLACES * sum(seconds for seconds, _ in counted))


SHALLOW, DEEP_BRANCH = (2, 40), (6, 8)
"""Turns of a branch, and the most tokens of each."""


def _branch(problem: Problem, turns: int, max_tokens: int) -> Part[Completion]:
    """A conversation of so many turns; greedy, so that it is the same wherever it runs."""
    prompt = problem.prompt
    completion: Completion
    for _ in range(turns):
        [[completion]] = yield [Generate(prompt, temperature=0.0, max_tokens=max_tokens)]
        prompt = answered(prompt, completion.text, "Say it again, in other words.")
    return completion


def _alone(problem: Problem, turns: int, max_tokens: int) -> Solver:
    yield from _branch(problem, turns, max_tokens)
    return []


def _side_by_side(problem: Problem) -> Solver:
    yield [Parallel([_branch(problem, *SHALLOW), _branch(problem, *DEEP_BRANCH)])]
    return []


def _in_lock_step(problem: Problem) -> Solver:
    parts = [_branch(problem, *SHALLOW), _branch(problem, *DEEP_BRANCH)]
    waiting = [(part, next(part)) for part in parts]
    while waiting:
        replies = yield [request for _, [request] in waiting]
        resumed = []
        for (part, _), reply in zip(waiting, replies, strict=True):
            try:
                resumed.append((part, part.send([reply])))
            except StopIteration:
                continue
        waiting = resumed
    return []


def _compare_branches(engine: VLLMSession, verifier: VerifierService, problems: list[Problem], pairs: int) -> None:
    kinds: dict[str, Callable[[Problem], list[Solver]]] = {
        "two problems": lambda problem: [_alone(problem, *SHALLOW), _alone(problem, *DEEP_BRANCH)],
        "two branches": lambda problem: [_side_by_side(problem)],
        "in lock-step": lambda problem: [_in_lock_step(problem)],
    }
    fullness: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for pair in range(pairs):
        for name in list(kinds)[:: 1 if pair % 2 else -1]:
            engine._llms["policy"].reset_prefix_cache()
            watched = Watched(engine)
            solvers = [(problem, solver) for problem in problems for solver in kinds[name](problem)]
            began = time.perf_counter()
            list(drive(solvers, watched, verifier, "0"))
            taken = [taken for _, taken in watched.steps]
            fullness[name].append((sum(taken) / len(taken) / PLACES, time.perf_counter() - began))
    base = fullness["two problems"]
    for name, runs in fullness.items():
        full, took = ([run[index] for run in runs] for index in (0, 1))
        ratios = [[run[index] / control[index] for run, control in zip(runs, base, strict=True)] for index in (0, 1)]
        print(
            f"{name}: the batch was {statistics.median(full):.1%} full, in {statistics.median(took):.1f} s; to two "
            f"problems {statistics.median(ratios[0]):.3f} and {statistics.median(ratios[1]):.3f} ({pairs} runs)"
        )


if __name__ == "__main__":
    main()
