"""The plainest strategies: the policy answers as it would by itself. By these it is measured."""

from __future__ import annotations

from byheart.contracts import Strategy
from byheart.strategies.backtrack import Backtrack
from byheart.strategies.direct import Direct


def greedy(prompt: str, max_tokens: int) -> Strategy:
    """One greedy answer."""
    return Direct(prompt=prompt, max_tokens=max_tokens, samples=1, max_samples=1, temperature=0)


def sampled(prompt: str, max_tokens: int, n: int, temperature: float) -> Strategy:
    """`n` samples, however many of them are right."""
    return Direct(prompt=prompt, max_tokens=max_tokens, samples=n, enough=n + 1, max_samples=n, temperature=temperature)


def straight(prompt: str, max_tokens: int) -> Strategy:
    """One greedy answer without going back, by a policy that was taught to: it measures what going back is worth."""
    return Backtrack(prompt=prompt, max_tokens=max_tokens, samples=1, temperature=0, slips="forbidden")
