"""vLLM as an engine: in this process, advanced step by step, its batch kept full by the caller.

A policy and its scorer have separate weights and prefix caches, so neither waits for the other:

- On a CPU each has a vLLM of its own, with the adapter merged into the weights and the weights reloaded in place. On
  two cores this is five times faster than serving the adapter separately, and exact either way. The prefix cache,
  which holds keys and values of the old weights, is emptied too (see vllm issue 42125).
- On a GPU one vLLM serves both as LoRA adapters of the base, in the same batch. It sleeps during training.

The settings for CPUs were measured: all cores bound (vLLM leaves one idle), cache blocks of 32 tokens (the default of
128 caches no short prompt: 140 against 213 tokens/s), no compilation (200 s, and no faster). Chunked prefill is off:
with it, vLLM 0.32 fails on seeds when many long prompts arrive at once ("CPU Generator does not use offset").

Scores come from a head in float32 even if the model is in bfloat16: above 16, logits in bfloat16 are an eighth apart,
so most steps of a search got the same few values.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr
from typing_extensions import override

from byheart.contracts import Engine, Session
from byheart.errors import EngineError, ModelError, PromptError, RecipeError
from byheart.models import chat, checkpoint, folder, limits, machine, quantization, weights
from byheart.models.lora import Lora
from byheart.types import Completion, FinishReason, Generate, Policy, Score

if TYPE_CHECKING:
    from byheart.config.recipe import Recipe


class VLLM(Engine):
    """Samples with vLLM. On a CPU there is one copy of the model, and the key-value cache holds every sequence at full
    length if a quarter of the free memory suffices."""

    max_num_seqs: int | None = Field(
        default=None,
        ge=1,
        description="completions that a copy decodes at once; by default 128 on a CPU, 256 on a GPU",
    )
    tensor_parallel_size: int | None = Field(
        default=None,
        ge=1,
        description="GPUs that a copy of the model is split over; by default the fewest that hold it",
    )
    data_parallel_size: int | None = Field(
        default=None, ge=1, description="copies of the model; by default as many as the GPUs have room for"
    )
    gpu_memory_utilization: float = Field(
        default=0.85, gt=0, le=1, description="share of a GPU's memory that vLLM takes, except during training"
    )
    max_lora_rank: Literal[8, 16, 32, 64, 128, 256, 512] = Field(
        default=64, description="largest rank of a LoRA adapter that can be served on a GPU"
    )

    takes_args: ClassVar[bool] = True

    _args: dict[str, Any] = PrivateAttr(default_factory=dict)

    @override
    def __eq__(self, other: object) -> bool:
        """Equal are engines with the same options and the same `engine_args`."""
        return isinstance(other, VLLM) and super().__eq__(other) and self._args == other._args

    @override
    def with_args(self, args: Mapping[str, Any]) -> VLLM:
        copy = self.model_copy()
        copy._args = dict(args)
        return copy

    @override
    def start(self, base: Path, model: checkpoint.ModelOptions, log: Path) -> VLLMSession:
        return VLLMSession(self, base, model, log)

    @override
    def check(self, recipe: Recipe) -> None:
        """Raises RecipeError where the trained adapter could not be served."""
        largest, rank = self.max_lora_rank, recipe.objective.adapter_rank()
        if rank > largest:
            raise RecipeError(f"objective.lora_r: {rank} is more than engine.max_lora_rank, {largest}: raise that too")
        first = Lora.read(checkpoint.adapter(recipe.model)).rank if recipe.model.adapter else 0
        if first > largest:
            raise RecipeError(
                f"model.adapter: its rank, {first}, is more than engine.max_lora_rank, {largest}: raise that too"
            )
        targets = recipe.lora_args.get("target_modules")
        unserved = [str(target) for target in targets if target not in _LINEAR] if isinstance(targets, list) else []
        if unserved:
            raise RecipeError(
                f"lora_args.target_modules: an adapter on {', '.join(unserved)} can't be served; the engine vllm "
                f"serves those on {', '.join(_LINEAR)}"
            )
        pattern = recipe.lora_args.get("rank_pattern")
        for module, own_rank in pattern.items() if isinstance(pattern, dict) else ():
            if isinstance(own_rank, int) and own_rank > largest:
                raise RecipeError(
                    f"lora_args.rank_pattern: {own_rank}, of {module}, is more than engine.max_lora_rank, {largest}: "
                    "raise that too"
                )

    @override
    def check_model(self, base: Path) -> None:
        """Raises ModelError where vLLM would load more than the model in `base`, or can't load it."""
        if not folder.indexed(base) and (others := folder.beside(base)):
            raise ModelError(
                f"{base}: the engine vllm would load {folder.few(others)} together with the model's weights; move "
                "others away, or set engine.name=transformers"
            )
        if quantization.method(base) and (why := _refusal(base)):
            raise ModelError(quantization.refusal(base, "vLLM", why))

    @override
    def check_machine(self) -> None:
        wanted, available = self.num_gpus() * (self.data_parallel_size or 1), len(machine.gpus())
        if wanted > max(1, available):
            raise RecipeError(
                f"engine: tensor_parallel_size x data_parallel_size asks for {wanted} GPUs, and there are {available}; "
                "leave them out to use all that there are"
            )

    @override
    def fit(self, base: Path) -> tuple[Engine, int]:
        heads = checkpoint.config(base).get("num_attention_heads", 1)
        tensor, data = layout(self, 2 * checkpoint.num_parameters(base), heads, machine.gpus())
        return self.model_copy(update={"tensor_parallel_size": tensor, "data_parallel_size": 1}), data

    @override
    def single(self) -> VLLM:
        if (self.data_parallel_size or 1) > 1:
            raise RecipeError(
                f"engine.data_parallel_size: {self.data_parallel_size} copies of the model in one worker; give it "
                "one, and let executor.num_workers set their number"
            )
        return self.model_copy(update={"data_parallel_size": 1})

    @override
    def num_gpus(self) -> int:
        return self.tensor_parallel_size or 1

    @override
    def at_once(self, gpu: bool) -> int:
        return self.max_num_seqs or (256 if gpu else 128)


def layout(options: VLLM, weights: int, heads: int, gpus: Sequence[machine.Gpu]) -> tuple[int, int]:
    """(GPUs that each copy is split over, number of copies) on `gpus`, for a model with `weights` bytes in bfloat16 and
    `heads` attention heads. Without options, a copy is split over the fewest GPUs, 1, 2, 4 or 8, on which the weights
    take at most 0.6 of vLLM's memory: the rest is for keys and values. Raises EngineError where they do not fit."""
    tensor, data = options.tensor_parallel_size, options.data_parallel_size
    if not gpus:
        return tensor or 1, data or 1
    if not tensor:
        room = 0.6 * options.gpu_memory_utilization * min(gpu.memory for gpu in gpus)
        fitting = [n for n in (1, 2, 4, 8) if n * (data or 1) <= len(gpus) and heads % n == 0 and weights <= n * room]
        if not fitting:
            raise EngineError(
                f"the weights, {weights / 2**30:.0f} GiB in bfloat16, do not fit {len(gpus)} GPU(s) of which vLLM may "
                f"have {options.gpu_memory_utilization:g}; take a smaller model, or set engine.tensor_parallel_size"
            )
        tensor = fitting[0]
    return tensor, data or max(1, len(gpus) // tensor)


@functools.cache
def _refusal(base: Path) -> str:
    """Why the installed vLLM takes no model like that in `base`; "" where it does. It is asked in a process of its own,
    since it reads the environment when it is imported."""
    asked = [sys.executable, "-P", "-c", _ASK, str(base)]
    done = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.rpartition(_SAYS)[2].strip()


_SAYS = "vLLM says:"
_ASK = f"""
import sys
try:
    from vllm.config import ModelConfig
except ImportError:
    sys.exit()  # which the engine says when it starts
try:
    ModelConfig(model=sys.argv[1], tokenizer=sys.argv[1])
except Exception as error:
    print("{_SAYS}", " ".join(str(error).split()))
"""


@dataclass(frozen=True)
class _Scoring:
    """A Score in progress: the prompt's tokens, the tokens of the answers still to be scored, by index, and the scores
    so far."""

    ticket: int
    prompt: list[int]
    answers: dict[int, list[int]]
    scores: list[float | None]


_FORMAT = {"config_format": "hf", "load_format": "hf", "tokenizer_mode": "hf"}
"""What is trained is what is served: of a model that is stored in Mistral's format too, vLLM would take that one."""
_ON_CPU = {"block_size": 32, "enforce_eager": True, "enable_chunked_prefill": False}
_LINEAR = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
"""Llama's linear layers, which are all that is trained; with an adapter on the head, prompt_logprobs would fail."""

Role = Literal["policy", "scorer"]


class VLLMSession(Session):
    """vLLM started on the model directory `base`; what it prints goes to the file `log`. Raises EngineError where vLLM
    can't start."""

    _asleep = False

    def __init__(self, options: VLLM, base: Path, model: checkpoint.ModelOptions, log: Path) -> None:
        """Start vLLM on the model in `base`; what it prints goes to `log`."""
        self._options, self._base, self._model, self._log = options, base, model, log
        self._context = min(model.max_context, checkpoint.context_length(base))
        self._policy = Policy(str(base))
        self._signs: tuple[int, int] | None = None  # the tokens by which a scorer values steps
        self._open: dict[str, Generate | tuple[_Scoring, int]] = {}  # by vLLM's request id
        self._answered: list[tuple[int, Any]] = []
        self._tickets = 0
        self.seconds = 0.0
        _environment(log, options.tensor_parallel_size or 1)
        self._adapters: dict[Role, Any] = {}
        self._num_adapters = 0
        self._links = tempfile.TemporaryDirectory(prefix="byheart-")  # see _literal
        self._llms: dict[Role, Any] = {"policy": self._started("policy")}
        self._tokenizer = self._llms["policy"].get_tokenizer()

    @override
    def load(self, policy: Policy) -> None:
        assert not (self._open or self._answered), "a policy is swapped between stages, never while requests are open"
        self._wake()
        self._policy, self._signs = policy, weights.signs(policy)
        self._serve("policy", policy.adapter)
        if policy.scorer:
            self._serve("scorer", policy.scorer)

    @override
    def submit(self, request: Generate | Score) -> int:
        prefix = request.prefill if isinstance(request, Generate) else ""
        tokens = chat.encode_prompt(self._tokenizer, request.prompt, prefix, self._model.date)
        self._tickets += 1
        self._wake()
        if isinstance(request, Score):
            self._score(self._tickets, request, tokens)
        elif not 0 < len(tokens) < self._context:
            raise PromptError(f"a prompt of {len(tokens)} tokens does not fit a context of {self._context}")
        else:
            self._generate(self._tickets, request, tokens)
        return self._tickets

    @override
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

    @override
    def sleep(self) -> str:
        """vLLM's sleep mode, level 1: the weights move to main memory, keys and values are dropped."""
        if not _can_sleep():
            return ""
        if not self._asleep:
            self._llms["policy"].sleep(level=1)
            self._asleep = True
        return "vLLM sleeps, its weights are in main memory"

    @override
    def close(self) -> None:
        self._llms.clear()
        self._links.cleanup()

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
                context, sequences = self._context, self._options.at_once(self._beside)
                if self._beside:
                    more: dict[str, Any] = {
                        "gpu_memory_utilization": self._options.gpu_memory_utilization,
                        "enable_sleep_mode": _can_sleep(),
                        "enable_lora": True,
                        "max_loras": 2,
                        "max_lora_rank": self._options.max_lora_rank,
                        "lora_target_modules": _LINEAR,
                    }
                else:
                    cache = checkpoint.cache_bytes(self._base, context * sequences)
                    more = _ON_CPU | {
                        "kv_cache_memory_bytes": min(cache, limits.memory().available // 4),
                    }
                if (split := self._options.tensor_parallel_size or 1) > 1:
                    more |= {"tensor_parallel_size": split, "distributed_executor_backend": "mp"}
                exact = self._beside or role == "scorer"
                automatic = "bfloat16" if self._beside else "float32"
                common = {
                    **_FORMAT,
                    "dtype": automatic if self._model.dtype == "auto" else self._model.dtype,
                    "max_model_len": context,
                    "max_num_seqs": sequences,
                    "enable_prefix_caching": True,
                    "scheduling_policy": "priority",
                    "hf_overrides": {"head_dtype": "float32"} if exact else None,
                    "generation_config": "vllm",  # not the model's own: its penalties, and ends that we name anyway
                    "disable_log_stats": True,
                }
                return vllm.LLM(self._literal(self._base), **common | more | self._options._args)
            except Exception as error:
                raise EngineError(
                    f"vLLM could not start: {error}\nits log: {self._log}; `byheart doctor` may help"
                ) from error

    def _serve(self, role: Role, adapter: Path | None) -> None:
        """Use the base with `adapter` as `role` from now on."""
        if self._beside:
            self._llms[role] = self._llms["policy"]
            self._num_adapters += 1  # a new number, so that no cache entry of another adapter is used
            self._adapters[role] = adapter and _lora(f"{role} {self._num_adapters}", self._num_adapters, adapter)
            return
        llm = self._llms[role] = self._llms.get(role) or self._started(role)
        with _quiet(self._log):
            path = self._literal(weights.plain(self._base, adapter))
            llm.collective_rpc("reload_weights", kwargs={"weights_path": path})
            if not llm.reset_prefix_cache():
                raise EngineError("vLLM kept the prefix cache of the old policy, so its answers can't be trusted")

    def _literal(self, folder: Path) -> str:
        """The path of `folder`, or where vLLM would take it for a pattern, that of a link to it."""
        if glob.escape(str(folder)) == str(folder):
            return str(folder)
        link = Path(tempfile.mkdtemp(dir=self._links.name), "model")
        link.symlink_to(folder.absolute())
        return str(link)

    def _add(self, role: Role, name: str, tokens: list[int], params: dict[str, Any], priority: int) -> None:
        """Raises PromptError where vLLM refuses the request."""
        engine, prompt, adapter = self._llms[role].llm_engine, {"prompt_token_ids": tokens}, self._adapters.get(role)
        try:
            wanted = self._params(output_kind=self._final, **params)
            engine.add_request(name, prompt, wanted, lora_request=adapter, priority=priority)
        except self._refusals as error:
            raise PromptError(f"vLLM refuses a prompt of {len(tokens)} tokens: {error}") from error

    def _generate(self, ticket: int, request: Generate, tokens: list[int]) -> None:
        params = {
            "n": request.n,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "stop": [*request.stop, *request.step_stop],
            "include_stop_str_in_output": bool(request.step_stop),
            "logprobs": 0 if request.logprob else None,
            "bad_words": list(request.bad_words),
            "seed": request.seed if request.temperature else None,
            "stop_token_ids": chat.end_tokens(self._tokenizer, request.prompt, self._base),
            "skip_special_tokens": False,
        }
        self._add("policy", str(ticket), tokens, params, request.priority)
        self._open[str(ticket)] = request

    def _score(self, ticket: int, request: Score, prompt: list[int]) -> None:
        """Submit a Score. An answer without a scorer, or too long for the context, gets no score.

        vLLM gives the log-probability of each token of its prompt, over the whole vocabulary and at temperature 1
        whatever the sampling settings (its logprobs_mode raw_logprobs), without the prefix cache. The log-probabilities
        of a next token use the cache.
        """
        answers = {}
        if self._policy.scorer:
            for index, text in enumerate(request.responses):
                answer = chat.encode_answer(self._tokenizer, request.prompt, text)
                if self._signs:
                    answer.pop()  # another step may follow
                if len(prompt) + len(answer) < self._context:  # vLLM needs room for one token more
                    answers[index] = answer
        scoring = _Scoring(ticket, prompt, answers, [None] * len(request.responses))
        wanted: dict[str, Any] = {"logprob_token_ids": list(self._signs)} if self._signs else {"prompt_logprobs": 0}
        params = {"max_tokens": 1, "temperature": 0, "detokenize": False} | wanted
        for index, answer in answers.items():
            name = f"{ticket}.{index}"
            self._add("scorer", name, prompt + answer, params, request.priority)
            self._open[name] = (scoring, index)
        if not answers:
            self._answered.append((ticket, scoring.scores))

    def _take(self, output: Any) -> None:
        """Record a finished output of vLLM."""
        request = self._open.pop(output.request_id)
        if isinstance(request, Generate):
            self._answered.append((int(output.request_id), self._completions(request, output)))
            return
        scoring, index = request
        tokens = enumerate(scoring.answers.pop(index), len(scoring.prompt))
        if self._signs:
            plus, minus = (output.outputs[0].logprobs[0][sign].logprob for sign in self._signs)
            scoring.scores[index] = 1 / (1 + math.exp(minus - plus))
        else:
            scoring.scores[index] = sum(output.prompt_logprobs[position][token].logprob for position, token in tokens)
        if not scoring.answers:
            self._answered.append((scoring.ticket, scoring.scores))

    def _completions(self, request: Generate, output: Any) -> list[Completion]:
        return [self._completion(request, sample) for sample in sorted(output.outputs, key=lambda sample: sample.index)]

    def _completion(self, request: Generate, sample: Any) -> Completion:
        tokens, ends = list(sample.token_ids), chat.end_tokens(self._tokenizer, request.prompt, self._base)
        written = chat.decode_answer(self._tokenizer, tokens, ends, request.stop)
        reason: FinishReason = "length" if sample.finish_reason == "length" else "stop"
        if request.step_stop and isinstance(sample.stop_reason, str):
            reason = "step"
        return Completion(
            text=written.text,
            tokens=tokens,
            finish_reason=reason,
            policy=self._policy.id,
            seed=request.seed + sample.index,  # as vLLM seeds the n completions of one request
            logprob=sample.cumulative_logprob,
            retokenized=written.retokenized,
        )


def serves_adapters() -> bool:
    """Whether adapters are served beside the base, as on a GPU, and not merged into its weights."""
    from vllm.platforms import current_platform

    return not current_platform.is_cpu()


def _can_sleep() -> bool:
    from vllm.platforms import current_platform

    return bool(current_platform.is_sleep_mode_available())


def _lora(name: str, number: int, adapter: Path) -> Any:
    from vllm.lora.request import LoRARequest

    return LoRARequest(name, number, str(adapter))


def _environment(log: Path, split: int) -> None:
    """Set what vLLM reads from the environment, which it does at import only, and send its log to `log`."""
    cores = sorted(os.sched_getaffinity(0))
    size = max(1, len(cores) // split)
    shares = [cores[(n * size) % len(cores) :][:size] for n in range(split)]
    bound = "|".join(",".join(map(str, share)) for share in shares)
    limited = limits.cores() < len(cores)  # some of the time on all of them: OMP_NUM_THREADS says how many threads
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind" if limited else bound)
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # in this process, so that it dies with it
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_CONFIGURE_LOGGING", "0")
    logger = logging.getLogger("vllm")
    logger.propagate = False
    logger.handlers = [logging.FileHandler(log)]
    logger.setLevel(logging.INFO)


@contextlib.contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Redirect what libraries and compiled code print (file descriptors 1 and 2) to `log`."""
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
