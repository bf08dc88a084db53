"""transformers' own `generate` as an engine, where vLLM can't be installed: a batch at a time, so slower."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline import chat, models, recipe, weights
from pipeline.errors import PromptError
from pipeline.types import Completion, Generate, Policy


class Options(recipe.Choice):
    """`max_sequences` is how many completions are decoded at once."""

    max_sequences: int = Field(default=64, ge=1)


class Transformers:
    def __init__(self, options: Options, base: Path, model: models.Options, log: Path) -> None:
        """Load the model directory `base`, on the GPU if there is one. `log` is not used: nothing is printed."""
        import torch
        from transformers import AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        automatic = "bfloat16" if self._device == "cuda" else "float32"
        self._dtype = getattr(torch, automatic if model.dtype == "auto" else model.dtype)
        self._base, self._options, self._pickle = base, options, model.allow_pickle
        self._context = min(model.max_context, models.context_length(base))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(base)
        self._queue: list[tuple[int, Generate, list[int]]] = []
        self._tickets = 0
        self.seconds = 0.0
        self.load(Policy(base=str(base)))

    def load(self, policy: Policy) -> None:
        from transformers import AutoModelForCausalLM

        self._model: Any = AutoModelForCausalLM.from_pretrained(
            weights.of_policy(policy, self._base), dtype=self._dtype, use_safetensors=None if self._pickle else True
        )
        self._model.to(self._device).eval()
        self._policy = policy.id

    def submit(self, request: Generate) -> int:
        tokens = chat.encode_prompt(self._tokenizer, request.prompt)
        if len(tokens) + 1 > self._context:
            raise PromptError(f"a prompt of {len(tokens)} tokens does not fit a context of {self._context}")
        self._tickets += 1
        self._queue.append((self._tickets, request, tokens))
        return self._tickets

    def poll(self) -> list[tuple[int, list[Completion]]]:
        """Answer as many of the oldest requests as fit a batch; those with other sampling settings wait."""
        if not self._queue:
            return []
        began = time.monotonic()
        batch, first, rows = [], self._queue[0][1], 0
        while self._queue and _settings(self._queue[0][1]) == _settings(first) and rows < self._options.max_sequences:
            batch.append(self._queue.pop(0))
            rows += batch[-1][1].n
        replies = self._generate(batch, first)
        self.seconds += time.monotonic() - began
        return replies

    def close(self) -> None:
        self._model = None

    def _generate(
        self, batch: list[tuple[int, Generate, list[int]]], settings: Generate
    ) -> list[tuple[int, list[Completion]]]:
        """The whole batch is seeded by its first request: one generator serves all rows."""
        rows = [tokens for _, request, tokens in batch for _ in range(request.n)]
        width = max(map(len, rows))
        end = chat.end_token(self._tokenizer, settings.prompt)
        padded = self._torch.tensor([[end] * (width - len(row)) + row for row in rows], device=self._device)
        mask = self._torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self._device)
        self._torch.manual_seed(settings.seed)
        sampling = {"do_sample": True, "temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
        with self._torch.inference_mode():
            output = self._model.generate(
                input_ids=padded,
                attention_mask=mask,
                max_new_tokens=min(settings.max_tokens, self._context - min(map(len, rows))),
                eos_token_id=end,
                pad_token_id=end,
                **(sampling if settings.temperature else {"do_sample": False}),
                **({"stop_strings": list(settings.stop), "tokenizer": self._tokenizer} if settings.stop else {}),
            )[:, width:].tolist()
        replies = []
        for ticket, request, prompt in batch:
            room = self._context - len(prompt)
            mine, output = [row[:room] for row in output[: request.n]], output[request.n :]
            seeds = range(request.seed, request.seed + request.n)  # a name for each row; the batch has one generator
            replies.append(
                (ticket, [self._completion(row, end, request, seed) for row, seed in zip(mine, seeds, strict=True)])
            )
        return replies

    def _completion(self, row: list[int], end: int, request: Generate, seed: int) -> Completion:
        ended = end in row
        tokens = row[: row.index(end) + 1] if ended else row
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        for stop in request.stop:
            before, found, _ = text.partition(stop)
            text, ended = before, ended or bool(found)
        return Completion(text, tokens, "stop" if ended else "length", self._policy, seed)


def _settings(request: Generate) -> tuple[object, ...]:
    kind = isinstance(request.prompt, str)
    return (request.temperature, request.top_p, request.max_tokens, request.stop, kind)
