"""vLLM as an engine: in this process, driven a step at a time, its batch kept full by whoever submits.

A policy and its scorer each have weights and a prefix cache of their own, so neither waits for the other:

- On a CPU each has a vLLM to itself, with its adapter merged into the weights and these reloaded in place: on two cores
  five times faster than serving the adapter apart, and exact either way. The prefix cache, which holds keys and values
  of the old weights, is emptied with it (vllm issue 42125 is what happens otherwise).
- On a GPU one vLLM serves both as LoRA adapters of the base, in the same batch. It sleeps while something is trained.

What is set for CPUs was measured there: all cores bound (vLLM leaves one idle), cache blocks of 32 tokens (the default
of 128 caches no short prompt: 140 against 213 tokens/s), no compilation (200 s, and no faster). Prompts are read whole:
read in parts, as when many long ones arrive at once, vLLM 0.32 fails on their seeds ("CPU Generator does not use
offset").

Scores come from a head in float32, also where the model is in bfloat16: logits in bfloat16 lie an eighth apart above
16, so most steps of a search had the same few values.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import Field

from byheart import chat, machine, models, recipe, weights
from byheart.errors import EngineError, PromptError, RecipeError
from byheart.recipe import Recipe
from byheart.types import Completion, FinishReason, Generate, Policy, Score


class Options(recipe.Choice):
    """`max_sequences` is how many completions each copy of the model decodes at once: 128 on a CPU and 256 on a GPU, by
    default. Over GPUs a copy is split by `tensor_parallel`, by default the fewest that hold it, and there are
    `data_parallel` copies, by default as many as there are GPUs for; `gpu_memory` is the share of a GPU that vLLM may
    take while nothing is trained, and `max_lora_rank` the largest rank of an adapter that is served there. On a CPU
    there is one copy, and the key-value cache holds every sequence at full length, if a quarter of the free memory is
    enough for it."""

    max_sequences: int | None = Field(default=None, ge=1)
    tensor_parallel: int | None = Field(default=None, ge=1)
    data_parallel: int | None = Field(default=None, ge=1)
    gpu_memory: float = Field(default=0.85, gt=0, le=1)
    max_lora_rank: Literal[8, 16, 32, 64, 128, 256, 512] = 64


def check(recipe: Recipe) -> None:
    """Raises RecipeError where what is trained could not be served, or more GPUs are asked for than there are."""
    options = recipe.engine
    most, rank = options.max_lora_rank, getattr(recipe.objective, "rank", 0)
    if rank > most:
        raise RecipeError(f"objective.rank: {rank} is more than engine.max_lora_rank, {most}: say as much there")
    wanted, found = (options.tensor_parallel or 1) * (options.data_parallel or 1), len(machine.gpus())
    if wanted > max(1, found):
        raise RecipeError(
            f"engine: tensor_parallel x data_parallel asks for {wanted} GPUs, and there are {found}; leave them out to "
            "have what there is"
        )


def at_once(options: Options, gpu: bool) -> int:
    """How many completions each copy of the model decodes at once."""
    return options.max_sequences or (256 if gpu else 128)


def layout(options: Options, weights: int, heads: int, gpus: Sequence[machine.Gpu]) -> tuple[int, int]:
    """Over how many of `gpus` each copy of a model with `weights` bytes in bfloat16 and so many attention `heads` is
    split, and how many copies there are. By itself it is split over the fewest, 1, 2, 4 or 8, where the weights take no
    more than 0.6 of what vLLM may have: the rest is for keys and values. Raises EngineError where they do not fit."""
    tensor, data = options.tensor_parallel, options.data_parallel
    if not gpus:
        return tensor or 1, data or 1
    if not tensor:
        room = 0.6 * options.gpu_memory * min(one.memory for one in gpus)
        fitting = [n for n in (1, 2, 4, 8) if n * (data or 1) <= len(gpus) and heads % n == 0 and weights <= n * room]
        if not fitting:
            raise EngineError(
                f"the weights, {weights / 2**30:.0f} GiB in bfloat16, do not fit {len(gpus)} GPU(s) of which vLLM may "
                f"have {options.gpu_memory:g}; take a smaller model, or say engine.tensor_parallel if you know better"
            )
        tensor = fitting[0]
    return tensor, data or max(1, len(gpus) // tensor)


@dataclass(frozen=True)
class _Scoring:
    """A Score at work: its prompt as tokens, the answers that are still to be scored, by place, and the reply."""

    ticket: int
    prompt: list[int]
    answers: dict[int, list[int]]
    scores: list[float | None]


_ON_CPU = {"block_size": 32, "enforce_eager": True, "enable_chunked_prefill": False}
_LINEAR = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
"""Llama's linear layers, which is all that is trained; the head, were it among them, would fail on prompt_logprobs."""

Role = Literal["policy", "scorer"]


class VLLM:
    _asleep = False

    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        """Start vLLM on the model directory `base`; what vLLM prints goes to the file `log`.

        Raises EngineError where vLLM can't start.
        """
        self._options, self._base, self._model, self._log = options, base, model, log
        self._context = min(model.max_context, models.context_length(base))
        self._policy = Policy(str(base))
        self._signs: tuple[int, int] | None = None  # by which a scorer says what steps are worth
        self._open: dict[str, Generate | tuple[_Scoring, int]] = {}  # what vLLM has
        self._answered: list[tuple[int, Any]] = []
        self._tickets = 0
        self.seconds = 0.0
        _environment(log, options.tensor_parallel or 1)
        self._adapters: dict[Role, Any] = {}
        self._num_adapters = 0
        self._llms: dict[Role, Any] = {"policy": self._started("policy")}
        self._tokenizer = self._llms["policy"].get_tokenizer()

    def load(self, policy: Policy) -> None:
        assert not (self._open or self._answered), "a policy is swapped between stages, never under requests"
        self._wake()
        self._policy, self._signs = policy, weights.signs(policy)
        self._serve("policy", policy.adapter)
        if policy.scorer:
            self._serve("scorer", policy.scorer)

    def submit(self, request: Generate | Score) -> int:
        prefix = request.prefix if isinstance(request, Generate) else ""
        tokens = chat.encode_prompt(self._tokenizer, request.prompt, prefix)
        self._tickets += 1
        self._wake()
        if isinstance(request, Score):
            self._score(self._tickets, request, tokens)
        elif not 0 < len(tokens) < self._context:
            raise PromptError(f"a prompt of {len(tokens)} tokens does not fit a context of {self._context}")
        else:
            self._generate(self._tickets, request, tokens)
        return self._tickets

    def poll(self) -> list[tuple[int, Any]]:
        began = time.monotonic()
        try:
            for llm in dict.fromkeys(self._llms.values()):
                if llm.llm_engine.has_unfinished_requests():
                    for output in llm.llm_engine.step():
                        if output.finished:
                            self._take(output)
        except Exception as error:
            raise EngineError(f"vLLM failed while sampling: {error}\nits log: {self._log}") from error
        self.seconds += time.monotonic() - began
        replies, self._answered = self._answered, []
        return replies

    def rest(self) -> str:
        """On a GPU by vLLM's sleep mode, level 1: its weights go to main memory, keys and values are dropped."""
        if not _can_sleep():
            return ""
        if not self._asleep:
            self._llms["policy"].sleep(level=1)
            self._asleep = True
        return "vLLM sleeps, its weights wait in main memory"

    def close(self) -> None:
        self._llms.clear()

    def _wake(self) -> None:
        if self._asleep:
            self._llms["policy"].wake_up()
            self._asleep = False

    def _started(self, role: Role) -> Any:
        with _quiet(self._log):
            try:
                import vllm
                import vllm.exceptions

                self._refusals = (ValueError, vllm.exceptions.VLLMClientError)
                self._beside = serves_adapters()
                self._params: Any = vllm.SamplingParams
                self._final: Any = vllm.sampling_params.RequestOutputKind.FINAL_ONLY
                context, sequences = self._context, at_once(self._options, self._beside)
                if self._beside:
                    more: dict[str, Any] = {
                        "gpu_memory_utilization": self._options.gpu_memory,
                        "enable_sleep_mode": _can_sleep(),
                        "enable_lora": True,
                        "max_loras": 2,
                        "max_lora_rank": self._options.max_lora_rank,
                        "lora_target_modules": _LINEAR,
                    }
                else:
                    cache = models.cache_bytes(self._base, context * sequences)
                    more = _ON_CPU | {
                        "kv_cache_memory_bytes": min(cache, psutil.virtual_memory().available // 4),
                    }
                if (split := self._options.tensor_parallel or 1) > 1:
                    more |= {"tensor_parallel_size": split, "distributed_executor_backend": "mp"}
                exact = self._beside or role == "scorer"
                automatic = "bfloat16" if self._beside else "float32"
                return vllm.LLM(
                    str(self._base),
                    dtype=automatic if self._model.dtype == "auto" else self._model.dtype,
                    max_model_len=context,
                    max_num_seqs=sequences,
                    enable_prefix_caching=True,
                    scheduling_policy="priority",
                    hf_overrides={"head_dtype": "float32"} if exact else None,
                    disable_log_stats=True,
                    **more,
                )
            except Exception as error:
                raise EngineError(
                    f"vLLM could not start: {error}\nits log: {self._log}; `byheart doctor` may help"
                ) from error

    def _serve(self, role: Role, adapter: Path | None) -> None:
        """From now on the `role` is played by the base with `adapter`."""
        if self._beside:
            self._llms[role] = self._llms["policy"]
            self._num_adapters += 1  # a number never used before, so that nothing of another is taken from the cache
            self._adapters[role] = adapter and _lora(f"{role} {self._num_adapters}", self._num_adapters, adapter)
            return
        llm = self._llms[role] = self._llms.get(role) or self._started(role)
        with _quiet(self._log):
            llm.collective_rpc("reload_weights", kwargs={"weights_path": str(weights.plain(self._base, adapter))})
            if not llm.reset_prefix_cache():
                raise EngineError("vLLM kept the prefix cache of the old policy; its answers could not be trusted")

    def _add(self, role: Role, name: str, tokens: list[int], params: dict[str, Any], turn: int) -> None:
        engine, wanted = self._llms[role].llm_engine, self._params(output_kind=self._final, **params)
        prompt, adapter = {"prompt_token_ids": tokens}, self._adapters.get(role)
        engine.add_request(name, prompt, wanted, lora_request=adapter, priority=turn)

    def _generate(self, ticket: int, request: Generate, tokens: list[int]) -> None:
        params = {
            "n": request.n,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "stop": [*request.stop, *request.until],
            "include_stop_str_in_output": bool(request.until),
            "logprobs": 0 if request.logprob else None,
            "bad_words": list(request.forbid),
            "seed": request.seed if request.temperature else None,
            "stop_token_ids": [chat.end_token(self._tokenizer, request.prompt)],
        }
        try:
            self._add("policy", str(ticket), tokens, params, request.turn)
        except self._refusals as error:
            raise PromptError(f"vLLM refuses a prompt of {len(tokens)} tokens: {error}") from error
        self._open[str(ticket)] = request

    def _score(self, ticket: int, request: Score, prompt: list[int]) -> None:
        """vLLM says the log-probability of each token of its prompt, over the whole vocabulary and at temperature 1
        whatever is sampled from it (its logprobs_mode raw_logprobs), and reads none of them from the prefix cache; that
        of the tokens that would come next, it says with the cache. Where there is no scorer, or an answer does not fit
        the context, there is no score."""
        answers = {}
        if self._policy.scorer:
            for place, text in enumerate(request.responses):
                answer = chat.encode_answer(self._tokenizer, request.prompt, text)
                if self._signs:
                    answer.pop()  # a step may be followed by others
                if len(prompt) + len(answer) < self._context:  # vLLM wants room for one token more
                    answers[place] = answer
        one = _Scoring(ticket, prompt, answers, [None] * len(request.responses))
        asked: dict[str, Any] = {"logprob_token_ids": list(self._signs)} if self._signs else {"prompt_logprobs": 0}
        params = {"max_tokens": 1, "temperature": 0, "detokenize": False} | asked
        for place, answer in answers.items():
            name = f"{ticket}.{place}"
            self._add("scorer", name, prompt + answer, params, request.turn)
            self._open[name] = (one, place)
        if not answers:
            self._answered.append((ticket, one.scores))

    def _take(self, output: Any) -> None:
        """Note what vLLM has finished."""
        asked = self._open.pop(output.request_id)
        if isinstance(asked, Generate):
            self._answered.append((int(output.request_id), self._completions(asked, output)))
            return
        one, place = asked
        tokens = enumerate(one.answers.pop(place), len(one.prompt))
        if self._signs:
            plus, minus = (output.outputs[0].logprobs[0][sign].logprob for sign in self._signs)
            one.scores[place] = 1 / (1 + math.exp(minus - plus))
        else:
            one.scores[place] = sum(output.prompt_logprobs[where][token].logprob for where, token in tokens)
        if not one.answers:
            self._answered.append((one.ticket, one.scores))

    def _completions(self, request: Generate, output: Any) -> list[Completion]:
        return [self._completion(request, one) for one in sorted(output.outputs, key=lambda one: one.index)]

    def _completion(self, request: Generate, one: Any) -> Completion:
        text = one.text
        reason: FinishReason = "length" if one.finish_reason == "length" else "stop"
        if request.until and isinstance(one.stop_reason, str):
            text, reason = (
                self._tokenizer.decode(one.token_ids, skip_special_tokens=True),
                "step",
            )  # vLLM cuts the last token where the stop ends
        return Completion(
            text=text,
            tokens=list(one.token_ids),
            finish_reason=reason,
            policy=self._policy.id,
            seed=request.seed + one.index,  # as vLLM seeds the n completions of one request
            logprob=one.cumulative_logprob,
        )


def serves_adapters() -> bool:
    """Whether adapters are served beside the base, as on a GPU, and not merged into it."""
    from vllm.platforms import current_platform

    return not current_platform.is_cpu()


def _can_sleep() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_sleep_mode_available())


def _lora(name: str, number: int, adapter: Path) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest(name, number, str(adapter))


def _environment(log: Path, split: int) -> None:
    """What vLLM reads from the environment, only at its import, and where its log goes."""
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // split)
    shares = [cores[(n * each) % len(cores) :][:each] for n in range(split)]
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "|".join(",".join(map(str, share)) for share in shares))
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
