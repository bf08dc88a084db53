"""Sampling: tokens a second of plain vLLM, and of the same prompts through strategy, driver and verifier, without and
with a LoRA adapter; and how long it takes to change the adapter, and to sleep and wake up.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from typing import Any

from byheart.engines.vllm import VLLM
from byheart.models import checkpoint, machine, weights
from byheart.strategies.core.driver import drive
from byheart.strategies.direct import Direct
from byheart.types import Generate, Policy
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

from scripts.bench.gpu.workload import Workload

RUNS = 3
"""Timed runs of each kind, after one that warms up; the median counts."""

ON_CPU = {"enforce_eager": True, "enable_chunked_prefill": False, "kv_cache_memory_bytes": 2**26}
"""For a dry run without a GPU: no compilation, prompts read whole (in parts, seeds fail there), a small cache."""


def plain(work: Workload) -> dict[str, Any]:
    """vLLM as its documentation calls it: one `LLM.chat` for all prompts, its own defaults, no LoRA, and then with a
    seed for each prompt, as byheart has them so that a run can be repeated."""
    import vllm

    recipe = work.recipe
    engine, strategy = recipe.engine, recipe.strategy
    assert isinstance(engine, VLLM) and isinstance(strategy, Direct)
    on_gpu = bool(machine.gpus())
    began = time.perf_counter()
    llm = vllm.LLM(
        str(work.base),
        dtype="bfloat16" if on_gpu else "float32",
        max_model_len=recipe.model.max_context,
        max_num_seqs=engine.max_num_seqs,
        gpu_memory_utilization=engine.gpu_memory_utilization,
        **({} if on_gpu else ON_CPU),
    )
    started = time.perf_counter() - began

    def speed(run: int, seeded: bool) -> float:
        chats: list[Any] = [problem.prompt for problem in work.problems(run)]
        params = [
            vllm.SamplingParams(
                n=strategy.samples,
                temperature=strategy.temperature,
                max_tokens=strategy.max_tokens,
                seed=index * strategy.samples if seeded else None,
            )
            for index in range(len(chats))
        ]
        began = time.perf_counter()
        outputs = llm.chat(chats, params, use_tqdm=False)
        took = time.perf_counter() - began
        return sum(len(sample.token_ids) for output in outputs for sample in output.outputs) / took

    speed(0, seeded=False)
    return {
        "start_seconds": started,
        "tokens_per_second": _summary([speed(1 + n, seeded=False) for n in range(RUNS)]),
        "tokens_per_second_seeded": _summary([speed(1 + RUNS + n, seeded=True) for n in range(RUNS)]),
    }


def ours(work: Workload) -> dict[str, Any]:
    """The same prompts, settings and numbers of samples through byheart, as its sample stage does it."""
    recipe = work.recipe
    adapted = Policy(recipe.model.name, work.adapter, weights.name(work.adapter, None))
    folder, log = checkpoint.fetch(recipe.model), work.folder / "engine.log"
    began = time.perf_counter()
    with Pool() as pool, closing(recipe.engine.start(folder, recipe.model, log)) as engine:
        started = time.perf_counter() - began
        verifier = VerifierService(recipe.train_verifier, pool)

        def speed(run: int) -> float:
            problems = work.problems(run)
            began = time.perf_counter()
            solvers = ((problem, recipe.strategy.solve(problem)) for problem in problems)
            ended = drive(solvers, engine, verifier, seed=str(run))
            tokens = sum(rollout.num_tokens for group in ended for rollout in group.rollouts)
            return tokens / (time.perf_counter() - began)

        def first_token(policy: Policy | None = None) -> float:
            """Seconds until a prompt of a few words has its first token, under `policy` if that is to be loaded."""
            began = time.perf_counter()
            if policy:
                engine.load(policy)
            engine.submit(Generate([{"role": "user", "content": "What is 1 + 1?"}], temperature=0.0, max_tokens=1))
            while not engine.poll():
                pass
            return time.perf_counter() - began

        speed(0)
        base = [speed(1 + n) for n in range(RUNS)]
        known = min(first_token() for _ in range(RUNS))
        switched = first_token(adapted)
        speed(0)
        with_adapter = [speed(1 + RUNS + n) for n in range(RUNS)]
        back = first_token(Policy(recipe.model.name))
        began = time.perf_counter()
        can_sleep = bool(engine.sleep())
        slept = time.perf_counter() - began
        woken = first_token()
        return {
            "start_seconds": started,
            "tokens_per_second": _summary(base),
            "tokens_per_second_adapter": _summary(with_adapter),
            "adapter_load_seconds": switched - known,
            "adapter_drop_seconds": back - known,
            "sleep_seconds": slept if can_sleep else None,
            "wake_seconds": woken - known if can_sleep else None,
        }


def _summary(speeds: list[float]) -> dict[str, float]:
    return {"median": statistics.median(speeds), "lowest": min(speeds), "highest": max(speeds)}
