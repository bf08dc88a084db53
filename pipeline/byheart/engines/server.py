"""Any OpenAI-compatible server as an engine: vLLM or SGLang, on this machine or another.

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve MODEL --enable-lora --max-loras 2 --max-lora-rank 64
        --lora-target-modules q_proj k_proj v_proj o_proj gate_proj up_proj down_proj
        --hf-overrides '{"head_dtype": "float32"}'
    python -m sglang.launch_server --model-path MODEL --enable-lora --max-lora-rank 64 --lora-target-modules all

MODEL is the recipe's: prompts are sent as token ids, and answers come back as such, so they are those of the engine
`vllm`, seed by seed. Every completion is a request of its own, since SGLang gives the `n` of one request the same seed.
Adapters are loaded by the server, which must see the same path as we do.

Scores and forbidden words are beyond OpenAI's protocol and SGLang's: only vLLM has them. For scores it wants the last
two options of its line: a head without an adapter, and in float32 (engines/vllm.py says why).
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
from typing import Any

from pydantic import Field

from byheart import chat, models, recipe, weights
from byheart.errors import EngineError, PromptError
from byheart.types import Completion, FinishReason, Generate, Policy, Score


class Options(recipe.Choice):
    """`url` is where the server is, up to and with /v1; `model` what it calls the base, by default the first model that
    it lists. `max_sequences` is how many completions it is asked for at once, `timeout` how many seconds each may take,
    those in the server's queue included. What may pass, such as a busy server or a lost connection, is tried again up
    to `retries` times, later and later. A key, where the server wants one, is read from OPENAI_API_KEY only."""

    url: str = Field(pattern=r"^https?://.+/v1$")
    model: str | None = None
    max_sequences: int = Field(default=128, ge=1)
    timeout: float = Field(default=600.0, gt=0)
    retries: int = Field(default=5, ge=0)


@dataclass
class _Asked:
    """A request at work: its prompt as tokens, the reply as far as it has come, and how much of it is missing."""

    request: Generate | Score
    prompt: list[int]
    reply: list[Any]
    missing: int


_Part = tuple[int, int, int, dict[str, Any]]
"""A turn, a ticket, a place in its reply, and what is asked for it. They are sent in this order."""


class Server:
    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        """Ask the server what it serves. `base` gives the tokenizer; `log` is not used, the server has its own.

        Raises EngineError where it can't be reached, refuses the key, or does not serve what is wanted.
        """
        import openai

        self._openai: Any = openai
        self._options, self._url = options, options.url
        self._context = min(model.max_context, models.context_length(base))
        self._tokenizer = models.tokenizer(base)
        self._policy = Policy(str(base))
        self._signs: tuple[int, int] | None = None  # by which a scorer says what steps are worth
        self._tickets = 0
        self._asked: dict[int, _Asked] = {}
        self._queue: list[_Part] = []
        self._sent: dict[Future[Any], _Part] = {}
        self._answered: list[tuple[int, Any]] = []
        self._adapters: list[tuple[str, str]] = []  # what the server has loaded: where it was told, and the name
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

    def load(self, policy: Policy) -> None:
        assert not (self._asked or self._answered), "a policy is swapped between stages, never under requests"
        self._result(self._begin(self._unload()))
        self._policy, self._signs = policy, weights.signs(policy)
        self._names = {"policy": self._loaded(policy.adapter) if policy.adapter else self._base}
        if policy.scorer:
            self._names["scorer"] = self._loaded(policy.scorer)

    def submit(self, request: Generate | Score) -> int:
        prefix = request.prefix if isinstance(request, Generate) else ""
        prompt = chat.encode_prompt(self._tokenizer, request.prompt, prefix)
        if not self._is_vllm and (request.forbid if isinstance(request, Generate) else self._policy.scorer):
            raise EngineError(f"{self._url} is not vLLM, and only that can score or forbid a word, as is asked here")
        if isinstance(request, Score):
            size, parts = len(request.responses), self._scores(request, prompt)
        elif not 0 < len(prompt) < self._context:
            raise PromptError(f"a prompt of {len(prompt)} tokens does not fit a context of {self._context}")
        else:
            size, parts = request.n, self._samples(request, prompt)
        self._tickets += 1
        self._asked[self._tickets] = _Asked(request, prompt, [None] * size, len(parts))
        for place, body in parts.items():
            heapq.heappush(self._queue, (request.turn, self._tickets, place, body))
        if not parts:
            self._answer(self._tickets)
        self._send()
        return self._tickets

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

    def rest(self) -> str:
        return ""  # the server's memory is not ours to hand over

    def close(self) -> None:
        if self._thread.is_alive():
            self._result(self._begin(self._end()))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        """Break off what is under way, which the server sees, and leave nothing there."""
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._unload()
        await self._client.close()

    def _begin(self, what: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(what, self._loop)

    def _result(self, future: Future[Any]) -> Any:
        """What came of it. Raises PromptError where the server refuses what is asked, EngineError where it fails."""
        try:
            return future.result()
        except self._openai.BadRequestError as error:
            raise PromptError(f"{self._url} refuses a prompt: {self._said(error)}") from None
        except self._openai.OpenAIError as error:
            raise EngineError(f"{self._url} fails: {self._said(error)}; {self._hint(error)}") from None

    def _said(self, error: Exception) -> str:
        """What the error says: never the key, even where the server repeats it."""
        text = " ".join(f"{error} {error.__cause__ or ''}".split())
        return (text.replace(self._key, "(the key)") if self._key else text)[:500]

    def _hint(self, error: Exception) -> str:
        status, times = getattr(error, "status_code", None), f"it was tried {self._options.retries + 1} times"
        if status in (401, 403):
            return "say the right key in OPENAI_API_KEY"
        if status == 404:
            return "it may have been started anew: run again, nothing that is done is lost"
        if status == 429:
            return f"{times}: lower engine.max_sequences or raise engine.retries"
        if status:
            return f"{times}, and its log may say why"
        if isinstance(error, self._openai.APITimeoutError):
            return f"{times}: raise engine.timeout, {self._options.timeout:g} s, or lower engine.max_sequences"
        return f"{times}: is it running, and is this engine.url?"

    async def _post(self, url: str, **body: Any) -> Any:
        return await self._client.post(url, cast_to=object, body=body)

    def _serves(self) -> tuple[str, bool]:
        """What the server calls the base, and whether it is vLLM."""
        said, wanted = self._result(self._begin(self._client.get("/models", cast_to=object))), self._options.model
        known = {one["id"]: one for one in said["data"]} if isinstance(said, dict) and "data" in said else {}
        name = wanted or next(iter(known), "model")
        if name not in known:
            raise EngineError(f"{self._url} serves no {name}, only: {', '.join(known) or 'nothing that it lists'}")
        length = known[name].get("max_model_len") or self._context
        if length < self._context:
            raise EngineError(
                f"{self._url} serves {name} with a context of {length} tokens and {self._context} are wanted: start it "
                f"with --max-model-len {self._context}, or say model.max_context={length}"
            )
        return name, known[name].get("owned_by") == "vllm"

    def _loaded(self, adapter: Path) -> str:
        """Have the server load `adapter`, and what its model is called then: vLLM says the adapter's name, SGLang that
        of the base before it. The name was never used before, so nothing of another is taken from a cache."""
        name, path, said = f"{self._policy.id}-{uuid.uuid4().hex[:8]}", str(adapter.absolute()), []
        for root, called in ((self._url, name), (self._url.removesuffix("/v1"), f"{self._base}:{name}")):
            try:
                self._begin(self._post(f"{root}/load_lora_adapter", lora_name=name, lora_path=path)).result()
            except self._openai.OpenAIError as error:
                said.append(self._said(error))
                if not isinstance(error, self._openai.NotFoundError):
                    break
            else:
                self._adapters.append((root, name))
                return called
        raise EngineError(
            f"{self._url} does not load the adapter {path} ({'; '.join(said)}): it must see this path; vLLM must run "
            "with --enable-lora, a --max-lora-rank that is enough, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its "
            "environment, SGLang with --enable-lora, --max-lora-rank and --lora-target-modules"
        )

    async def _unload(self) -> None:
        """An adapter that the server keeps all the same is only in its way."""
        while self._adapters:
            root, name = self._adapters.pop()
            with contextlib.suppress(self._openai.OpenAIError, TimeoutError):
                async with asyncio.timeout(10):
                    await self._post(f"{root}/unload_lora_adapter", lora_name=name)

    def _send(self) -> None:
        if not self._sent:
            self._clock = time.monotonic()
        while self._queue and len(self._sent) < self._options.max_sequences:
            part = heapq.heappop(self._queue)
            self._sent[self._begin(self._post("/completions", **part[-1]))] = part

    def _samples(self, request: Generate, prompt: list[int]) -> dict[int, dict[str, Any]]:
        """What is asked for each completion: all that a model's own generation_config.json might say otherwise."""
        asked = {
            "model": self._names["policy"],
            "prompt": prompt,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "max_tokens": min(request.max_tokens, self._context - len(prompt)),
            "stop": [*request.stop, *request.until],
            "stop_token_ids": [chat.end_token(self._tokenizer, request.prompt)],
            "include_stop_str_in_output": bool(request.until),
            "no_stop_trim": bool(request.until),  # the same for SGLang
            "bad_words": list(request.forbid),
            "logprobs": 0 if request.logprob else None,
            "return_token_ids": True,
        }
        seeds = range(request.seed, request.seed + request.n)  # as vLLM seeds the n completions of one request
        return {place: asked | {"seed": seed if request.temperature else None} for place, seed in enumerate(seeds)}

    def _scores(self, request: Score, prompt: list[int]) -> dict[int, dict[str, Any]]:
        """What is asked for each response, as engines/vllm.py asks and explains it. Where there is no scorer, or an
        answer does not fit the context, there is no score."""
        if not self._policy.scorer:
            return {}
        signs = {"logprobs": 0, "logprob_token_ids": self._signs, "return_tokens_as_token_ids": True}
        asked = {"model": self._names["scorer"], "max_tokens": 1, "temperature": 0}
        asked |= signs if self._signs else {"prompt_logprobs": 0}
        parts = {}
        for place, text in enumerate(request.responses):
            answer = chat.encode_answer(self._tokenizer, request.prompt, text)
            if self._signs:
                answer.pop()  # a step may be followed by others
            if len(prompt) + len(answer) < self._context:  # vLLM wants room for one token more
                parts[place] = asked | {"prompt": prompt + answer}
        return parts

    def _take(self, future: Future[Any]) -> None:
        """Note what the server has answered."""
        _, ticket, place, _ = self._sent.pop(future)
        one = self._asked[ticket]
        try:
            answer = self._result(future)["choices"][0]
        except PromptError as refused:
            one.reply[place] = refused
        else:
            if isinstance(one.request, Generate):
                one.reply[place] = self._completion(one.request, answer, one.request.seed + place)
            else:
                one.reply[place] = self._score(one.prompt, answer)
        one.missing -= 1
        if not one.missing:
            self._answer(ticket)

    def _answer(self, ticket: int) -> None:
        reply = self._asked.pop(ticket).reply
        self._answered.append((ticket, next((one for one in reply if isinstance(one, PromptError)), reply)))

    def _completion(self, request: Generate, answer: dict[str, Any], seed: int) -> Completion:
        text, tokens = answer["text"], answer.get("token_ids")
        reason: FinishReason = "stop" if answer["finish_reason"] == "stop" else "length"
        if request.until and isinstance(answer.get("stop_reason", answer.get("matched_stop")), str):
            reason = "step"
            if tokens:  # vLLM cuts the last one where the stop ends
                text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        logprob = sum(answer["logprobs"]["token_logprobs"]) if request.logprob else None
        tokens = tokens or self._tokenizer(text, add_special_tokens=False).input_ids
        return Completion(text, tokens, reason, self._policy.id, seed, logprob)

    def _score(self, prompt: list[int], answer: dict[str, Any]) -> float:
        if self._signs:
            chances = answer["logprobs"]["top_logprobs"][0]
            plus, minus = (chances[f"token_id:{sign}"] for sign in self._signs)
            return float(1 / (1 + math.exp(minus - plus)))
        rows = answer["prompt_logprobs"][len(prompt) :]
        return float(sum(one["logprob"] for row in rows for one in row.values()))
