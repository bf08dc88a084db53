"""Like model_judge, but another model gives the opinion, behind an OpenAI-compatible URL (vLLM, SGLang, a provider).

The client reads the key from the environment (OPENAI_API_KEY); it is never written anywhere. The client retries
temporary errors; a response without an opinion in time is unjudged.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from pydantic import Field
from typing_extensions import override

from byheart.contracts import ProcessVerifier
from byheart.types import Judgement, Problem
from byheart.verifiers.model_judge import Asked, question, tally


class RemoteJudge(Asked, ProcessVerifier):
    """Asks a model behind a URL."""

    url: str = Field(pattern="^https?://", description="the server's OpenAI-compatible API, ending in /v1")
    model: str = Field(description="the model's name on the server")
    time_limit: float = Field(default=120.0, gt=0, description="seconds for all votes about one response")
    workers: int | None = Field(default=16, ge=1, description="responses that are asked about at the same time")

    @override
    def verify(self, problem: Problem, response: str) -> Judgement:
        prompt = question(problem, response, self)
        shared = {
            "model": self.model,
            "n": self.votes,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        }
        client = _client(self.url)
        if isinstance(prompt, str):
            texts = client.completions.create(prompt=prompt, **shared).choices
            return tally(choice.text for choice in texts if choice.finish_reason == "stop")
        chats = client.chat.completions.create(messages=prompt, **shared).choices
        return tally(choice.message.content or "" for choice in chats if choice.finish_reason == "stop")


@cache
def _client(url: str) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=4)
