"""As model_judge, but another model gives the opinion: one behind an OpenAI-compatible URL (vLLM, SGLang, a provider).

The key is read from the environment by the client (OPENAI_API_KEY) and never written anywhere. The client retries what
may pass; what does not pass in time is unjudged.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from pydantic import Field

from byheart.types import Judgement, Problem
from byheart.verifiers import pool
from byheart.verifiers.model_judge import Asked, caveat, question, tally

__all__ = ["Options", "caveat", "verify"]


class Options(Asked, pool.Options):
    """`model` as the server at `url` knows it, `url` ending in /v1."""

    url: str = Field(pattern="^https?://")
    model: str
    time_limit: float = Field(default=120.0, gt=0)
    workers: int | None = Field(default=16, ge=1)


def verify(problem: Problem, response: str, options: Options) -> Judgement:
    asked = question(problem, response, options)
    shared = {
        "model": options.model,
        "n": options.votes,
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
    }
    client = _client(options.url)
    if isinstance(asked, str):
        texts = client.completions.create(prompt=asked, **shared).choices
        return tally(one.text for one in texts if one.finish_reason == "stop")
    chats = client.chat.completions.create(messages=asked, **shared).choices
    return tally(one.message.content or "" for one in chats if one.finish_reason == "stop")


@cache
def _client(url: str) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=4)
