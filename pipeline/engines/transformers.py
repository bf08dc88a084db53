"""transformers' own `generate` as an engine, where vLLM can't be installed: a batch at a time, so slower.

A scorer's weights are held beside the policy's from its first Score until the next policy.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline import chat, models, recipe, weights
from pipeline.errors import PromptError
from pipeline.types import Completion, Generate, Policy, Score


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
        self._queue: list[tuple[int, Generate | Score, list[int]]] = []
        self._tickets = 0
        self.seconds = 0.0
        self.load(Policy(base=str(base)))

    def load(self, policy: Policy) -> None:
        self._model = self._read(weights.of_policy(policy, self._base))
        self._scorer: Any = None
        self._policy = policy

    def submit(self, request: Generate | Score) -> int:
        tokens = chat.encode_prompt(self._tokenizer, request.prompt)
        if isinstance(request, Generate) and len(tokens) + 1 > self._context:
            raise PromptError(f"a prompt of {len(tokens)} tokens does not fit a context of {self._context}")
        self._tickets += 1
        self._queue.append((self._tickets, request, tokens))
        return self._tickets

    def poll(self) -> list[tuple[int, Any]]:
        """Answer the oldest Score, or as many of the oldest Generates as fit a batch; those with other sampling
        settings wait."""
        if not self._queue:
            return []
        began = time.monotonic()
        replies = self._score() if isinstance(self._queue[0][1], Score) else self._sample()
        self.seconds += time.monotonic() - began
        return replies

    def close(self) -> None:
        self._model = self._scorer = None

    def _read(self, path: Path) -> Any:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=self._dtype, use_safetensors=None if self._pickle else True
        )
        return model.to(self._device).eval()

    def _score(self) -> list[tuple[int, Any]]:
        ticket, request, prompt = self._queue.pop(0)
        assert isinstance(request, Score)
        scores: list[float | None] = [None] * len(request.responses)
        if self._policy.scorer is None:
            return [(ticket, scores)]
        self._scorer = self._scorer or self._read(weights.of_scorer(self._policy, self._base))
        answers = [chat.encode_answer(self._tokenizer, request.prompt, text) for text in request.responses]
        fitting = [place for place, answer in enumerate(answers) if len(prompt) + len(answer) < self._context]
        for first in range(0, len(fitting), self._options.max_sequences):
            places = fitting[first : first + self._options.max_sequences]
            found = self._log_likelihoods(prompt, [answers[place] for place in places])
            for place, score in zip(places, found, strict=True):
                scores[place] = score
        return [(ticket, scores)]

    def _log_likelihoods(self, prompt: list[int], answers: list[list[int]]) -> list[float]:
        """ln p of each of `answers` after `prompt` under the scorer; what pads them on the right can't be seen."""
        torch, width = self._torch, max(map(len, answers))
        padded = torch.tensor([prompt + one + [0] * (width - len(one)) for one in answers], device=self._device)
        with torch.inference_mode():
            logits = self._scorer(input_ids=padded).logits[:, len(prompt) - 1 : -1].float()
        tokens = padded[:, len(prompt) :, None]
        chances = logits.log_softmax(-1).gather(-1, tokens)[..., 0]  # (answers, width)
        return [float(row[: len(one)].sum()) for row, one in zip(chances, answers, strict=True)]

    def _sample(self) -> list[tuple[int, Any]]:
        batch: list[tuple[int, Generate, list[int]]] = []
        rows = 0
        while self._queue and rows < self._options.max_sequences:
            ticket, request, tokens = self._queue[0]
            if isinstance(request, Score) or (batch and _settings(request) != _settings(batch[0][1])):
                break
            batch.append((ticket, request, tokens))
            self._queue.pop(0)
            rows += request.n
        return self._generate(batch, batch[0][1])

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
        return Completion(text, tokens, "stop" if ended else "length", self._policy.id, seed)


def _settings(request: Generate) -> tuple[object, ...]:
    kind = isinstance(request.prompt, str)
    return (request.temperature, request.top_p, request.max_tokens, request.stop, kind)
