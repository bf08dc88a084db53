"""vLLM as an engine: in this process, driven a step at a time, its batch kept full by whoever submits.

A new policy is served by merging its adapter into the base weights beside it and reloading them in place: on two CPU
cores five times faster than serving the adapter apart, and exact either way. The prefix cache, which holds keys and
values of the old weights, is emptied with it (vllm issue 42125 is what happens otherwise).

A scorer is served in the same way, in waves: a Score is held back until no completion is under way; then the scorer's
weights are swapped in and all that is held is scored; the policy's come back with the next Generate. A swap takes 0.6 s
for SmolLM2-135M on two CPU cores, once a wave; a scorer served as an adapter would slow down every token.

What is set for CPUs was measured there: all cores bound (vLLM leaves one idle), cache blocks of 32 tokens (the default
of 128 caches no short prompt: 140 against 213 tokens/s), no compilation (200 s, and no faster). Prompts are read whole:
read in parts, as when many long ones arrive at once, vLLM 0.32 fails on their seeds ("CPU Generator does not use
offset").
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from pipeline import chat, models, recipe, weights
from pipeline.errors import EngineError, PromptError
from pipeline.types import Completion, Generate, Policy, Score


class Options(recipe.Choice):
    """`max_sequences` is how many completions are decoded at once; `gpu_memory` the share of a GPU that vLLM may take,
    the rest is for training. On a CPU the key-value cache holds every sequence at full length, if a quarter of the
    free memory is enough for it."""

    max_sequences: int = Field(default=128, ge=1)
    gpu_memory: float = Field(default=0.5, gt=0, le=1)


@dataclass(frozen=True)
class _Scoring:
    """A Score at work: its prompt as tokens, the answers that are still to be scored, by place, and the reply."""

    ticket: int
    prompt: list[int]
    answers: dict[int, list[int]]
    scores: list[float | None]


_ON_CPU = {"block_size": 32, "enforce_eager": True, "enable_chunked_prefill": False}


class VLLM:
    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        """Start vLLM on the model directory `base`; what vLLM prints goes to the file `log`.

        Raises EngineError where vLLM can't start.
        """
        self._base, self._log, self._policy = base, log, Policy(str(base))
        self._scoring = False  # whether the weights are the scorer's
        self._open: dict[str, Generate | tuple[_Scoring, int]] = {}  # what vLLM has
        self._waiting: deque[tuple[int, Generate, list[int]]] = deque()  # for the policy's weights
        self._held: deque[_Scoring] = deque()  # for the scorer's weights
        self._answered: list[tuple[int, Any]] = []
        self._tickets = 0
        self.seconds = 0.0
        _environment(log)
        with _quiet(log):
            try:
                import vllm
                from vllm.platforms import current_platform

                on_cpu = current_platform.is_cpu()
                self._context = min(model.max_context, models.context_length(base))
                cache = models.cache_bytes(base, self._context * options.max_sequences)
                cache = min(cache, psutil.virtual_memory().available // 4)
                self._llm = vllm.LLM(
                    str(base),
                    dtype="float32" if model.dtype == "auto" and on_cpu else model.dtype,
                    max_model_len=self._context,
                    max_num_seqs=options.max_sequences,
                    gpu_memory_utilization=options.gpu_memory,
                    enable_prefix_caching=True,
                    disable_log_stats=True,
                    **(_ON_CPU | {"kv_cache_memory_bytes": cache} if on_cpu else {}),
                )
            except Exception as error:
                raise EngineError(
                    f"vLLM could not start: {error}\nits log: {log}; `byheart doctor` may help"
                ) from error
        self._params: Any = vllm.SamplingParams
        self._final: Any = vllm.sampling_params.RequestOutputKind.FINAL_ONLY
        self._tokenizer = self._llm.get_tokenizer()

    def load(self, policy: Policy) -> None:
        under_way = self._open or self._waiting or self._held or self._answered
        assert not under_way, "a policy is swapped between stages, never under requests"
        self._policy = policy
        self._swap(scoring=False)

    def submit(self, request: Generate | Score) -> int:
        tokens = chat.encode_prompt(self._tokenizer, request.prompt)
        self._tickets += 1
        if isinstance(request, Score):
            self._hold(self._tickets, request, tokens)
        elif not 0 < len(tokens) < self._context:
            raise PromptError(f"a prompt of {len(tokens)} tokens does not fit a context of {self._context}")
        elif self._scoring:
            self._waiting.append((self._tickets, request, tokens))
        else:
            self._generate(self._tickets, request, tokens)
        return self._tickets

    def poll(self) -> list[tuple[int, Any]]:
        """Beside completions and scores, a PromptError is the reply to what had to wait and was then refused."""
        began = time.monotonic()
        try:
            if not self._open:
                self._next_wave()
            outputs = self._llm.llm_engine.step() if self._open else []
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"vLLM failed while sampling: {error}\nits log: {self._log}") from error
        self.seconds += time.monotonic() - began
        for output in outputs:
            if output.finished:
                self._take(output)
        replies, self._answered = self._answered, []
        return replies

    def close(self) -> None:
        with contextlib.suppress(AttributeError):
            del self._llm

    def _swap(self, scoring: bool) -> None:
        """Put in the weights of the policy, or of its scorer."""
        path = (weights.of_scorer if scoring else weights.of_policy)(self._policy, self._base)
        with _quiet(self._log):
            self._llm.collective_rpc("reload_weights", kwargs={"weights_path": str(path)})
            if not self._llm.reset_prefix_cache():
                raise EngineError("vLLM kept the prefix cache of the old policy; its answers could not be trusted")
        self._scoring = scoring

    def _next_wave(self) -> None:
        """vLLM has nothing to do: hand it all completions that wait, or else all scores that are held."""
        if self._waiting:
            self._swap(scoring=False)
            while self._waiting:
                ticket, request, tokens = self._waiting.popleft()
                try:
                    self._generate(ticket, request, tokens)
                except PromptError as refused:  # submit, which would have raised it, is long over
                    self._answered.append((ticket, refused))
        elif self._held:
            if not self._scoring:
                self._swap(scoring=True)
            while self._held:
                self._score(self._held.popleft())

    def _generate(self, ticket: int, request: Generate, tokens: list[int]) -> None:
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
        try:
            self._llm.llm_engine.add_request(str(ticket), {"prompt_token_ids": tokens}, params)
        except ValueError as error:
            raise PromptError(f"vLLM refuses a prompt of {len(tokens)} tokens: {error}") from error
        self._open[str(ticket)] = request

    def _hold(self, ticket: int, request: Score, prompt: list[int]) -> None:
        """Keep a Score for the next wave; where there is no scorer, or nothing fits the context, it is answered."""
        answers = {}
        if self._policy.scorer:
            for place, text in enumerate(request.responses):
                answer = chat.encode_answer(self._tokenizer, request.prompt, text)
                if len(prompt) + len(answer) < self._context:  # vLLM wants room for one token more
                    answers[place] = answer
        scores: list[float | None] = [None] * len(request.responses)
        if answers:
            self._held.append(_Scoring(ticket, prompt, answers, scores))
        else:
            self._answered.append((ticket, scores))

    def _score(self, one: _Scoring) -> None:
        """vLLM says the log-probability of each token of its prompt, over the whole vocabulary and at temperature 1
        whatever is sampled from it (its logprobs_mode raw_logprobs), and reads none of them from the prefix cache."""
        params = self._params(max_tokens=1, prompt_logprobs=0, detokenize=False, output_kind=self._final)
        for place, answer in one.answers.items():
            name = f"{one.ticket}.{place}"
            self._llm.llm_engine.add_request(name, {"prompt_token_ids": one.prompt + answer}, params)
            self._open[name] = (one, place)

    def _take(self, output: Any) -> None:
        """Note what vLLM has finished."""
        asked = self._open.pop(output.request_id)
        if isinstance(asked, Generate):
            self._answered.append((int(output.request_id), self._completions(asked, output)))
            return
        one, place = asked
        tokens = enumerate(one.answers.pop(place), len(one.prompt))
        one.scores[place] = sum(output.prompt_logprobs[where][token].logprob for where, token in tokens)
        if not one.answers:
            self._answered.append((one.ticket, one.scores))

    def _completions(self, request: Generate, output: Any) -> list[Completion]:
        return [
            Completion(
                text=one.text,
                tokens=list(one.token_ids),
                finish_reason="length" if one.finish_reason == "length" else "stop",
                policy=self._policy.id,
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
