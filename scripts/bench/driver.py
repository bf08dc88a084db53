"""Sampling through the driver against one plain `LLM.generate` call: same prompts, engine, settings and limits.

usage: make bench [BENCH_PROBLEMS=32 BENCH_PAIRS=8]

One engine serves both, in turn, A B B A ..., and the median of the paired ratios is what counts (at least 0.97). Prints
tokens a second of each, the ratios, and when the driver's first problem was finished.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from byheart.contracts import Verifier
from byheart.engines.vllm import VLLM, VLLMSession
from byheart.models import chat, checkpoint
from byheart.strategies.core.driver import drive
from byheart.strategies.direct import Direct
from byheart.tasks.arithmetic import Arithmetic
from byheart.types import Problem
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService

SAMPLES, MAX_TOKENS, TEMPERATURE = 8, 20, 0.7


def main() -> None:
    number, pairs = int(os.environ.get("BENCH_PROBLEMS", "32")), int(os.environ.get("BENCH_PAIRS", "8"))
    model = checkpoint.ModelOptions(name="smollm2-135m", max_context=128)
    log = Path(tempfile.mkdtemp()) / "engine.log"
    engine = VLLMSession(VLLM(), checkpoint.fetch(model), model, log)
    stream = Arithmetic().problems(seed=0)
    ratios = []
    for pair in range(-1, pairs):  # the first pair warms up and is not counted
        problems = [next(stream) for _ in range(number)]
        if pair % 2:  # who goes first takes turns, since the machine's speed drifts
            plain = _plain(engine, problems, pair)
            driven, first = _driven(engine, problems, pair)
        else:
            driven, first = _driven(engine, problems, pair)
            plain = _plain(engine, problems, pair)
        if pair >= 0:
            ratios.append(driven / plain)
            print(
                f"pair {pair + 1}: plain {plain:.0f} tokens/s, driver {driven:.0f} tokens/s, ratio {ratios[-1]:.3f}, "
                f"first problem done after {first:.0%} of the time"
            )
    print(f"median ratio {statistics.median(ratios):.3f} ({number} problems x {SAMPLES} samples, {pairs} pairs)")


def _plain(engine: VLLMSession, problems: list[Problem], seed: int) -> float:
    """Tokens a second of one `LLM.generate`, on a cache that holds nothing of these prompts."""
    import vllm

    llm = engine._llms["policy"]
    llm.reset_prefix_cache()
    prompts = [{"prompt_token_ids": chat.encode_prompt(engine._tokenizer, problem.prompt)} for problem in problems]
    end = chat.end_token(engine._tokenizer, problems[0].prompt)
    params = [
        vllm.SamplingParams(
            n=SAMPLES,
            temperature=TEMPERATURE,
            max_tokens=MAX_TOKENS,
            seed=seed * 100_000 + index * 100,
            stop_token_ids=[end],
        )
        for index in range(len(prompts))
    ]
    began = time.perf_counter()
    outputs = llm.generate(prompts, params, use_tqdm=False)
    took = time.perf_counter() - began
    return sum(len(sample.token_ids) for output in outputs for sample in output.outputs) / took


def _driven(engine: VLLMSession, problems: list[Problem], seed: int) -> tuple[float, float]:
    """Tokens a second through strategy, driver and judge, and when the first problem ended, as a share of the whole."""
    engine._llms["policy"].reset_prefix_cache()
    options = Direct(
        samples=SAMPLES,
        enough=SAMPLES + 1,
        max_samples=SAMPLES,
        temperature=TEMPERATURE,
        max_tokens=MAX_TOKENS,
    )
    began = time.perf_counter()
    tokens, first = 0, 0.0
    for done in drive(
        ((problem, options.solve(problem)) for problem in problems),
        engine,
        VerifierService(Verifier.parse("number"), Pool()),
        str(seed),
    ):
        first = first or time.perf_counter() - began
        tokens += sum(rollout.num_tokens for rollout in done.rollouts)
    took = time.perf_counter() - began
    return tokens / took, first / took


if __name__ == "__main__":
    main()
