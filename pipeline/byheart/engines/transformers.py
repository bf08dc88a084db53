"""transformers' own `generate` as an engine, for machines without vLLM: one batch at a time, so slower.

A scorer's weights are loaded beside the policy's at the first Score request and kept until the next policy. They are in
float32 whatever the policy's type: in bfloat16 the logits of a likely and an unlikely step are often equal.
"""

from __future__ import annotations

import time
from bisect import insort
from pathlib import Path
from typing import Any

from pydantic import Field
from typing_extensions import override

from byheart.contracts import Engine, Session
from byheart.errors import EngineError, PromptError
from byheart.models import chat, checkpoint, quantization, weights
from byheart.types import Completion, FinishReason, Generate, Policy, Score


class Transformers(Engine):
    """Samples with transformers, on the GPU if there is one."""

    max_num_seqs: int = Field(default=64, ge=1, description="completions decoded at once")

    @override
    def start(self, base: Path, model: checkpoint.ModelOptions, log: Path) -> TransformersSession:
        return TransformersSession(self, base, model, log)

    @override
    def check_model(self, base: Path) -> None:
        """Raises ModelError where the model is quantized and can't be loaded here."""
        quantization.check(base, trained=False)

    @override
    def at_once(self, gpu: bool) -> int:
        return self.max_num_seqs


class TransformersSession(Session):
    """The model directory `base` loaded in this process. `log` is not used: nothing is printed."""

    def __init__(self, options: Transformers, base: Path, model: checkpoint.ModelOptions, log: Path) -> None:
        """Load the model in `base`; `log` is not used. Raises EngineError where it can't be loaded."""
        import torch
        from transformers import AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        automatic = "bfloat16" if self._device == "cuda" else "float32"
        self._dtype = getattr(torch, automatic if model.dtype == "auto" else model.dtype)
        self._base, self._options, self._pickle, self._today = base, options, model.allow_pickle, model.date
        self._context = min(model.max_context, checkpoint.context_length(base))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
        self._queue: list[tuple[int, Generate | Score, list[int]]] = []
        self._tickets = 0
        self.seconds = 0.0
        self.load(Policy(base=str(base)))

    @override
    def load(self, policy: Policy) -> None:
        self._model = self._read(weights.plain(self._base, policy.adapter), self._dtype)
        self._scorer: Any = None
        self._policy = policy

    @override
    def submit(self, request: Generate | Score) -> int:
        prefix = request.prefill if isinstance(request, Generate) else ""
        tokens = chat.encode_prompt(self._tokenizer, request.prompt, prefix, self._today)
        if isinstance(request, Generate) and len(tokens) + 1 > self._context:
            raise PromptError(f"a prompt of {len(tokens)} tokens does not fit a context of {self._context}")
        self._tickets += 1
        insort(self._queue, (self._tickets, request, tokens), key=lambda queued: queued[1].priority)
        return self._tickets

    @override
    def poll(self) -> list[tuple[int, Any]]:
        """Answer the first request if it is a Score, else as many of the first Generates as fit a batch; those with
        other sampling settings wait."""
        if not self._queue:
            return []
        began = time.monotonic()
        self._model.to(self._device)  # sleep moved it
        replies = self._score() if isinstance(self._queue[0][1], Score) else self._sample()
        self.seconds += time.monotonic() - began
        return replies

    @override
    def sleep(self) -> str:
        if self._device == "cpu":
            return ""
        self._model, self._scorer = self._model.to("cpu"), None
        self._torch.cuda.empty_cache()
        return "its weights are in main memory"

    @override
    def close(self) -> None:
        self._model = self._scorer = None

    def _read(self, path: Path, dtype: Any) -> Any:
        """The model in `path`, without its own settings of sampling: penalties, suppressed tokens and the like."""
        from transformers import AutoModelForCausalLM, GenerationConfig

        safe = None if self._pickle else True
        try:
            model = AutoModelForCausalLM.from_pretrained(
                path,
                dtype=dtype,
                generation_config=GenerationConfig(),
                use_safetensors=safe,
                trust_remote_code=False,
            ).to(self._device)
        except Exception as error:  # of any library that reads weights
            why = " ".join(str(error).split())[:300]
            raise EngineError(f"{path}: transformers can't load the model: {type(error).__name__}: {why}") from error
        return model.eval()

    def _score(self) -> list[tuple[int, Any]]:
        ticket, request, prompt = self._queue.pop(0)
        assert isinstance(request, Score)
        scores: list[float | None] = [None] * len(request.responses)
        if self._policy.scorer is None:
            return [(ticket, scores)]
        self._scorer = self._scorer or self._read(weights.plain(self._base, self._policy.scorer), self._torch.float32)
        signs = weights.signs(self._policy)
        answers = [chat.encode_answer(self._tokenizer, request.prompt, text) for text in request.responses]
        if signs:
            answers = [answer[:-1] for answer in answers]  # a step may be followed by others
        fitting = [index for index, answer in enumerate(answers) if len(prompt) + len(answer) < self._context]
        for first in range(0, len(fitting), self._options.max_num_seqs):
            indices = fitting[first : first + self._options.max_num_seqs]
            rows = [answers[index] for index in indices]
            batch = self._values(prompt, rows, signs) if signs else self._log_likelihoods(prompt, rows)
            for index, score in zip(indices, batch, strict=True):
                scores[index] = score
        return [(ticket, scores)]

    def _log_likelihoods(self, prompt: list[int], answers: list[list[int]]) -> list[float]:
        """ln p of each of `answers` after `prompt` under the scorer."""
        padded, logits = self._scorer_logits(prompt, answers)
        tokens = padded[:, len(prompt) :, None]
        logprobs = logits[:, :-1].log_softmax(-1).gather(-1, tokens)[..., 0]  # (answers, width)
        return [float(row[: len(answer)].sum()) for row, answer in zip(logprobs, answers, strict=True)]

    def _values(self, prompt: list[int], answers: list[list[int]], signs: tuple[int, int]) -> list[float]:
        """p(+) / (p(+) + p(-)) of the next token after each of `answers`."""
        _, logits = self._scorer_logits(prompt, answers)
        rows = (row[len(answer), list(signs)] for row, answer in zip(logits, answers, strict=True))
        return [float(row.softmax(-1)[0]) for row in rows]

    def _scorer_logits(self, prompt: list[int], answers: list[list[int]]) -> tuple[Any, Any]:
        """The tokens of prompt and answers (answers, L), padded on the right, where causal attention can't see it; and
        the scorer's logits after the prompt and after each token of the answers (answers, 1 + width, V)."""
        torch, width = self._torch, max(map(len, answers))
        rows = [prompt + answer + [0] * (width - len(answer)) for answer in answers]
        padded = torch.tensor(rows, device=self._device)
        with torch.inference_mode():
            return padded, self._scorer(input_ids=padded).logits[:, len(prompt) - 1 :].float()

    def _sample(self) -> list[tuple[int, Any]]:
        batch: list[tuple[int, Generate, list[int]]] = []
        rows = 0
        while self._queue and rows < self._options.max_num_seqs:
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
        """The completions of `batch`. One random generator serves all rows, seeded by the first request."""
        rows = [tokens for _, request, tokens in batch for _ in range(request.n)]
        width = max(map(len, rows))
        ends = chat.end_tokens(self._tokenizer, settings.prompt, self._base)
        end = ends[0]
        padded = self._torch.tensor([[end] * (width - len(row)) + row for row in rows], device=self._device)
        mask = self._torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self._device)
        self._torch.manual_seed(settings.seed)
        sampling = {"do_sample": True, "temperature": settings.temperature, "top_p": settings.top_p, "top_k": 0}
        stops = (*settings.stop, *settings.step_stop)
        forbidden = [
            self._tokenizer(text, add_special_tokens=False).input_ids
            for word in settings.bad_words
            for text in (word, f" {word}")
        ]
        with self._torch.inference_mode():
            output = self._model.generate(
                input_ids=padded,
                attention_mask=mask,
                max_new_tokens=min(settings.max_tokens, self._context - min(map(len, rows))),
                eos_token_id=ends,
                pad_token_id=end,
                **(sampling if settings.temperature else {"do_sample": False}),
                bad_words_ids=forbidden or None,
                output_logits=settings.logprob,
                return_dict_in_generate=True,
                stopping_criteria=[self._stopping(width, stops)] if stops else None,
            )
        written = output.sequences[:, width:]
        logprobs: list[Any] = [None] * len(rows)
        if settings.logprob:
            steps = zip(output.logits, written.T, strict=True)
            columns = [logits.float().log_softmax(-1).gather(-1, token[:, None])[:, 0] for logits, token in steps]
            logprobs = self._torch.stack(columns, 1).tolist()
        samples = iter(zip(written.tolist(), logprobs, strict=True))
        return [
            (
                ticket,
                [self._completion(*next(samples), len(prompt), ends, request, index) for index in range(request.n)],
            )
            for ticket, request, prompt in batch
        ]

    def _stopping(self, width: int, stops: tuple[str, ...]) -> Any:
        """A stopping criterion: the rows in which one of `stops` follows their first `width` tokens. transformers' own
        would also match one that begins in the prompt."""

        def stopped(ids: Any, scores: Any, **rest: Any) -> Any:
            texts = self._tokenizer.batch_decode(ids[:, width:], skip_special_tokens=False)
            return self._torch.tensor([any(stop in text for stop in stops) for text in texts], device=ids.device)

        return stopped

    def _completion(
        self,
        row: list[int],
        logprobs: list[float] | None,
        num_prompt: int,
        ends: list[int],
        request: Generate,
        index: int,
    ) -> Completion:
        """The sample number `index` of a request: the tokens `row` after a prompt of `num_prompt` tokens."""
        tokens = row[: self._context - num_prompt]
        length = next((count for count, token in enumerate(tokens, 1) if token in ends), None)
        tokens = tokens[:length]
        written = chat.decode_answer(self._tokenizer, tokens, ends, request.stop)
        reason: FinishReason = "stop" if written.ended else "length"
        if any(stop in written.text for stop in request.step_stop):
            reason, tokens = "step", tokens if length is None else tokens[:-1]  # the end token is padding
        logprob = sum(logprobs[: len(tokens)]) if logprobs else None
        seed = request.seed + index  # a name for each row; the batch has one generator
        other = written.retokenized and reason == "stop"
        return Completion(written.text, tokens, reason, self._policy.id, seed, logprob, other)


def _settings(request: Generate) -> tuple[object, ...]:
    """What the requests of a batch must have in common."""
    kind = isinstance(request.prompt, str)
    sampling = (request.temperature, request.top_p, request.max_tokens)
    return (*sampling, request.stop, request.step_stop, request.bad_words, request.logprob, kind)
