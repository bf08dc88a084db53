"""vLLM as an engine: in this process, driven a step at a time, its batch kept full by whoever submits.

A new policy is served by merging its adapter into the base weights beside it and reloading them in place: on two CPU
cores five times faster than serving the adapter apart, and exact either way. The prefix cache, which holds keys and
values of the old weights, is emptied with it (vllm issue 42125 is what happens otherwise).

What is set for CPUs was measured there: all cores bound (vLLM leaves one idle), cache blocks of 32 tokens (the default
of 128 caches no short prompt: 140 against 213 tokens/s), no compilation (200 s, and no faster).
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from pipeline import chat, models, recipe, weights
from pipeline.errors import EngineError, PromptError
from pipeline.types import Completion, Generate, Policy


class Options(recipe.Choice):
    """`max_sequences` is how many completions are decoded at once; `gpu_memory` the share of a GPU that vLLM may take,
    the rest is for training. On a CPU the key-value cache holds every sequence at full length, if a quarter of the
    free memory is enough for it."""

    max_sequences: int = Field(default=128, ge=1)
    gpu_memory: float = Field(default=0.5, gt=0, le=1)


class VLLM:
    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        """Start vLLM on the model directory `base`; what vLLM prints goes to the file `log`.

        Raises EngineError where vLLM can't start.
        """
        self._base, self._log, self._policy = base, log, "base"
        self._open: dict[str, Generate] = {}
        self._tickets = 0
        self.seconds = 0.0
        _environment(log)
        with _quiet(log):
            try:
                import vllm
                from vllm.platforms import current_platform

                on_cpu = current_platform.is_cpu()
                context = min(model.max_context, models.context_length(base))
                cache = models.cache_bytes(base, context * options.max_sequences)
                cache = min(cache, psutil.virtual_memory().available // 4)
                self._llm = vllm.LLM(
                    str(base),
                    dtype="float32" if model.dtype == "auto" and on_cpu else model.dtype,
                    max_model_len=context,
                    max_num_seqs=options.max_sequences,
                    gpu_memory_utilization=options.gpu_memory,
                    enable_prefix_caching=True,
                    disable_log_stats=True,
                    **({"block_size": 32, "enforce_eager": True, "kv_cache_memory_bytes": cache} if on_cpu else {}),
                )
            except Exception as error:
                raise EngineError(
                    f"vLLM could not start: {error}\nits log: {log}; `byheart doctor` may help"
                ) from error
        self._params: Any = vllm.SamplingParams
        self._final: Any = vllm.sampling_params.RequestOutputKind.FINAL_ONLY
        self._tokenizer = self._llm.get_tokenizer()

    def load(self, policy: Policy) -> None:
        assert not self._open, "a policy is swapped between stages, never under requests"
        with _quiet(self._log):
            self._llm.collective_rpc(
                "reload_weights", kwargs={"weights_path": str(weights.of_policy(policy, self._base))}
            )
            if not self._llm.reset_prefix_cache():
                raise EngineError("vLLM kept the prefix cache of the old policy; its answers could not be trusted")
        self._policy = policy.id

    def submit(self, request: Generate) -> int:
        tokens = chat.encode_prompt(self._tokenizer, request.prompt)
        params = self._params(
            n=request.n,
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            stop=list(request.stop),
            seed=request.seed if request.temperature else None,
            stop_token_ids=[chat.end_token(self._tokenizer, request.prompt)],
            output_kind=self._final,
        )
        self._tickets += 1
        try:
            self._llm.llm_engine.add_request(str(self._tickets), {"prompt_token_ids": tokens}, params)
        except ValueError as error:
            raise PromptError(f"vLLM refuses a prompt of {len(tokens)} tokens: {error}") from error
        self._open[str(self._tickets)] = request
        return self._tickets

    def poll(self) -> list[tuple[int, list[Completion]]]:
        began = time.monotonic()
        try:
            outputs = self._llm.llm_engine.step() if self._open else []
        except Exception as error:
            raise EngineError(f"vLLM failed while sampling: {error}\nits log: {self._log}") from error
        self.seconds += time.monotonic() - began
        return [self._reply(output) for output in outputs if output.finished]

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            del self._llm

    def _reply(self, output: Any) -> tuple[int, list[Completion]]:
        request = self._open.pop(output.request_id)
        return int(output.request_id), [
            Completion(
                text=one.text,
                tokens=list(one.token_ids),
                finish_reason="length" if one.finish_reason == "length" else "stop",
                policy=self._policy,
                seed=request.seed + one.index,  # as vLLM seeds the n completions of one request
            )
            for one in sorted(output.outputs, key=lambda one: one.index)
        ]


def _environment(log: Path) -> None:
    """What vLLM reads from the environment, only at its import, and where its log goes."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", cores)
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # in this process, so that it dies with it
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CONFIGURE_LOGGING", "0")
    logger = logging.getLogger("vllm")
    logger.propagate = False
    logger.handlers = [logging.FileHandler(log)]
    logger.setLevel(logging.INFO)


@contextlib.contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Send what libraries and compiled code print (file descriptors 1 and 2) to `log` for a while."""
    with log.open("ab") as file:
        saved = [os.dup(descriptor) for descriptor in (1, 2)]
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
        try:
            yield
        finally:
            for descriptor, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, descriptor)
                os.close(copy)
