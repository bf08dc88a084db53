"""Any OpenAI-compatible server as an engine: vLLM or SGLang, on this machine or another.

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve MODEL --enable-lora --max-loras 2 --max-lora-rank 64
        --lora-target-modules q_proj k_proj v_proj o_proj gate_proj up_proj down_proj
        --hf-overrides '{"head_dtype": "float32"}'
    python -m sglang.launch_server --model-path MODEL --enable-lora --max-lora-rank 64 --lora-target-modules all

MODEL is the recipe's. Prompts and answers are token ids, so the answers are those of the engine `vllm`, seed by seed.
Every completion is a separate request, since SGLang gives the `n` completions of one request the same seed. Adapters
are loaded by the server, which must see them under the same path as this process.

OpenAI's protocol and SGLang have no scores and no forbidden words; only vLLM does. For scores its last two options are
needed: a head without an adapter, and in float32 (engines/vllm.py says why).
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import os
import threading
import time
import uuid
from collections.abc import Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Engine, Session
from byheart.errors import EngineError, PromptError
from byheart.models import chat, checkpoint, weights
from byheart.types import Completion, FinishReason, Generate, Policy, Score


class Server(Engine):
    """An OpenAI-compatible server that runs already. Its key, if it wants one, is read from OPENAI_API_KEY only."""

    remote: ClassVar[bool] = True

    url: str = Field(pattern=r"^https?://.+/v1$", description="address of the server, up to and including /v1")
    model: str | None = Field(
        default=None, description="name of the base model on the server; by default the first that it lists"
    )
    max_num_seqs: int = Field(default=128, ge=1, description="completions requested at once")
    timeout: float = Field(
        default=600.0, gt=0, description="seconds that a completion may take, waiting on the server included"
    )
    retries: int = Field(
        default=5,
        ge=0,
        description="further tries, with growing delays, if the server is busy or out of reach",
    )

    @override
    def start(self, base: Path, model: checkpoint.ModelOptions, log: Path) -> ServerSession:
        return ServerSession(self, base, model, log)

    @override
    def at_once(self, gpu: bool) -> int:
        return self.max_num_seqs


@dataclass
class _Asked:
    """A request in progress: the prompt's tokens, the reply so far, and how many parts of it are missing."""

    request: Generate | Score
    prompt: list[int]
    reply: list[Any]
    missing: int


_Part = tuple[int, int, int, dict[str, Any]]
"""(priority, ticket, index in the reply, body of the HTTP request); sent in this order."""


class ServerSession(Session):
    """A connection to a server. `base` gives the tokenizer; `log` is not used, the server has its own. Raises
    EngineError where the server can't be reached, refuses the key, or does not serve the model."""

    def __init__(self, options: Server, base: Path, model: checkpoint.ModelOptions, log: Path) -> None:
        """Ask the server what it serves; `base` gives the tokenizer, `log` is not used."""
        import openai

        self._openai: Any = openai
        self._options, self._url = options, options.url
        self._context = min(model.max_context, checkpoint.context_length(base))
        self._tokenizer, self._folder, self._today = checkpoint.tokenizer(base), base, model.date
        self._policy = Policy(str(base))
        self._signs: tuple[int, int] | None = None  # the tokens by which a scorer values steps
        self._tickets = 0
        self._asked: dict[int, _Asked] = {}
        self._queue: list[_Part] = []
        self._sent: dict[Future[Any], _Part] = {}
        self._answered: list[tuple[int, Any]] = []
        self._adapters: list[tuple[str, str]] = []  # loaded by the server: (root URL, name)
        self.seconds = self._clock = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._key = os.environ.get("OPENAI_API_KEY")
        times = openai.Timeout(options.timeout, connect=min(options.timeout, 10.0))
        self._client = openai.AsyncOpenAI(
            base_url=self._url, api_key=self._key or "none", max_retries=options.retries, timeout=times
        )
        self._base, self._is_vllm = self._serves()
        self._names = {"policy": self._base}

    @override
    def load(self, policy: Policy) -> None:
        assert not (self._asked or self._answered), "a policy is swapped between stages, never while requests are open"
        self._result(self._begin(self._unload()))
        self._policy, self._signs = policy, weights.signs(policy)
        self._names = {"policy": self._loaded(policy.adapter) if policy.adapter else self._base}
        if policy.scorer:
            self._names["scorer"] = self._loaded(policy.scorer)

    @override
    def submit(self, request: Generate | Score) -> int:
        prefix = request.prefill if isinstance(request, Generate) else ""
        prompt = chat.encode_prompt(self._tokenizer, request.prompt, prefix, self._today)
        if not self._is_vllm and (request.bad_words if isinstance(request, Generate) else self._policy.scorer):
            raise EngineError(f"{self._url} is not vLLM, and only vLLM can score or forbid words, as this recipe needs")
        if isinstance(request, Score):
            size, parts = len(request.responses), self._scores(request, prompt)
        elif not 0 < len(prompt) < self._context:
            raise PromptError(f"a prompt of {len(prompt)} tokens does not fit a context of {self._context}")
        else:
            size, parts = request.n, self._samples(request, prompt)
        self._tickets += 1
        self._asked[self._tickets] = _Asked(request, prompt, [None] * size, len(parts))
        for index, body in parts.items():
            heapq.heappush(self._queue, (request.priority, self._tickets, index, body))
        if not parts:
            self._answer(self._tickets)
        self._send()
        return self._tickets

    @override
    def poll(self) -> list[tuple[int, Any]]:
        done, _ = wait(self._sent, timeout=0 if self._answered else 0.05, return_when=FIRST_COMPLETED)
        now = time.monotonic()
        self.seconds += now - self._clock if self._sent else 0
        self._clock = now
        for future in done:
            self._take(future)
        self._send()
        replies, self._answered = self._answered, []
        return replies

    @override
    def close(self) -> None:
        if self._thread.is_alive():
            self._result(self._begin(self._end()))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        """Cancel open requests, also on the server, and unload adapters."""
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._unload()
        await self._client.close()

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _result(self, future: Future[Any]) -> Any:
        """The result of `future`. Raises PromptError where the server refuses a request, EngineError where it fails."""
        try:
            return future.result()
        except self._openai.BadRequestError as error:
            raise PromptError(f"{self._url} refuses a prompt: {self._message(error)}") from None
        except self._openai.OpenAIError as error:
            raise EngineError(f"{self._url} fails: {self._message(error)}; {self._hint(error)}") from None

    def _message(self, error: Exception) -> str:
        """The text of an error, without the key, which a server may repeat."""
        text = " ".join(f"{error} {error.__cause__ or ''}".split())
        return (text.replace(self._key, "(the key)") if self._key else text)[:500]

    def _hint(self, error: Exception) -> str:
        """What may help against `error`."""
        status, times = getattr(error, "status_code", None), f"it was tried {self._options.retries + 1} times"
        if status in (401, 403):
            return "set OPENAI_API_KEY to the right key"
        if status == 404:
            return "it may have been restarted: run again, nothing that is done is lost"
        if status == 429:
            return f"{times}: lower engine.max_num_seqs or raise engine.retries"
        if status:
            return f"{times}, and its log may say why"
        if isinstance(error, self._openai.APITimeoutError):
            return f"{times}: raise engine.timeout, {self._options.timeout:g} s, or lower engine.max_num_seqs"
        return f"{times}: is it running, and is this engine.url?"

    async def _post(self, url: str, **body: Any) -> Any:
        return await self._client.post(url, cast_to=object, body=body)

    def _serves(self) -> tuple[str, bool]:
        """The name of the base on the server, and whether the server is vLLM."""
        listed, wanted = self._result(self._begin(self._client.get("/models", cast_to=object))), self._options.model
        entries = listed.get("data", []) if isinstance(listed, dict) else []
        known = {entry["id"]: entry for entry in entries}
        name = wanted or next(iter(known), "model")
        if name not in known:
            raise EngineError(f"{self._url} serves no {name}, only: {', '.join(known) or 'nothing that it lists'}")
        length = known[name].get("max_model_len") or self._context
        if length < self._context:
            raise EngineError(
                f"{self._url} serves {name} with a context of {length} tokens and {self._context} are wanted: start it "
                f"with --max-model-len {self._context}, or set model.max_context={length}"
            )
        return name, known[name].get("owned_by") == "vllm"

    def _loaded(self, adapter: Path) -> str:
        """Have the server load `adapter`; the name of its model there: the adapter's name on vLLM, with the base's name
        before it on SGLang. The adapter's name is new, so no cache entry of another is used."""
        name, path, errors = f"{self._policy.id}-{uuid.uuid4().hex[:8]}", str(adapter.absolute()), []
        for root, called in ((self._url, name), (self._url.removesuffix("/v1"), f"{self._base}:{name}")):
            try:
                self._begin(self._post(f"{root}/load_lora_adapter", lora_name=name, lora_path=path)).result()
            except self._openai.OpenAIError as error:
                errors.append(self._message(error))
                if not isinstance(error, self._openai.NotFoundError):
                    break
            else:
                self._adapters.append((root, name))
                return called
        raise EngineError(
            f"{self._url} does not load the adapter {path} ({'; '.join(errors)}): it must see this path; vLLM must run "
            "with --enable-lora, a --max-lora-rank that is enough, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its "
            "environment, SGLang with --enable-lora, --max-lora-rank and --lora-target-modules"
        )

    async def _unload(self) -> None:
        """Unload all adapters. That one stays loaded is harmless, so errors are ignored."""
        while self._adapters:
            root, name = self._adapters.pop()
            with contextlib.suppress(self._openai.OpenAIError, TimeoutError):
                async with asyncio.timeout(10):
                    await self._post(f"{root}/unload_lora_adapter", lora_name=name)

    def _send(self) -> None:
        if not self._sent:
            self._clock = time.monotonic()
        while self._queue and len(self._sent) < self._options.max_num_seqs:
            part = heapq.heappop(self._queue)
            self._sent[self._begin(self._post("/completions", **part[-1]))] = part

    def _samples(self, request: Generate, prompt: list[int]) -> dict[int, dict[str, Any]]:
        """The body of the request for each completion. It sets all that generation_config.json of a model might set."""
        body = {
            "model": self._names["policy"],
            "prompt": prompt,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "min_tokens": 0,
            "max_tokens": min(request.max_tokens, self._context - len(prompt)),
            "stop": [*request.stop, *request.step_stop],
            "stop_token_ids": chat.end_tokens(self._tokenizer, request.prompt, self._folder),
            "skip_special_tokens": False,
            "include_stop_str_in_output": bool(request.step_stop),
            "no_stop_trim": bool(request.step_stop),  # the same for SGLang
            "bad_words": list(request.bad_words),
            "logprobs": 0 if request.logprob else None,
            "return_token_ids": True,
        }
        seeds = range(request.seed, request.seed + request.n)  # as vLLM seeds the n completions of one request
        return {index: body | {"seed": seed if request.temperature else None} for index, seed in enumerate(seeds)}

    def _scores(self, request: Score, prompt: list[int]) -> dict[int, dict[str, Any]]:
        """The body of the request for each response, as in engines/vllm.py, which explains it. An answer without a
        scorer, or too long for the context, has none."""
        if not self._policy.scorer:
            return {}
        signs = {"logprobs": 0, "logprob_token_ids": self._signs, "return_tokens_as_token_ids": True}
        body = {"model": self._names["scorer"], "max_tokens": 1, "temperature": 0}
        body |= signs if self._signs else {"prompt_logprobs": 0}
        parts = {}
        for index, text in enumerate(request.responses):
            answer = chat.encode_answer(self._tokenizer, request.prompt, text)
            if self._signs:
                answer.pop()  # another step may follow
            if len(prompt) + len(answer) < self._context:  # vLLM needs room for one token more
                parts[index] = body | {"prompt": prompt + answer}
        return parts

    def _take(self, future: Future[Any]) -> None:
        """Record an answer of the server."""
        _, ticket, index, _ = self._sent.pop(future)
        asked = self._asked[ticket]
        try:
            answer = self._result(future)["choices"][0]
        except PromptError as refused:
            asked.reply[index] = refused
        else:
            if isinstance(asked.request, Generate):
                asked.reply[index] = self._completion(asked.request, answer, asked.request.seed + index)
            else:
                asked.reply[index] = self._score(asked.prompt, answer)
        asked.missing -= 1
        if not asked.missing:
            self._answer(ticket)

    def _answer(self, ticket: int) -> None:
        reply = self._asked.pop(ticket).reply
        self._answered.append((ticket, next((part for part in reply if isinstance(part, PromptError)), reply)))

    def _completion(self, request: Generate, answer: dict[str, Any], seed: int) -> Completion:
        reason: FinishReason = "stop" if answer["finish_reason"] == "stop" else "length"
        if request.step_stop and isinstance(answer.get("stop_reason", answer.get("matched_stop")), str):
            reason = "step"
        ends = chat.end_tokens(self._tokenizer, request.prompt, self._folder)
        if tokens := answer.get("token_ids"):
            text, _, other = chat.decode_answer(self._tokenizer, tokens, ends, request.stop)
        else:  # only vLLM says which tokens it sampled
            text, other = answer["text"], False
            for end in ends:
                text = text.removesuffix(self._tokenizer.decode([end]))
            tokens = chat.encode_answer(self._tokenizer, request.prompt, text)[:-1]
        logprob = sum(answer["logprobs"]["token_logprobs"]) if request.logprob else None
        return Completion(text, tokens, reason, self._policy.id, seed, logprob, other)

    def _score(self, prompt: list[int], answer: dict[str, Any]) -> float:
        if self._signs:
            logprobs = answer["logprobs"]["top_logprobs"][0]
            plus, minus = (logprobs[f"token_id:{sign}"] for sign in self._signs)
            return float(1 / (1 + math.exp(minus - plus)))
        rows = answer["prompt_logprobs"][len(prompt) :]
        return float(sum(entry["logprob"] for row in rows for entry in row.values()))
