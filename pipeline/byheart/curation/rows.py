"""Rows: each is one right rollout in trl's prompt-completion format, with its provenance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from byheart.text import text_of
from byheart.types import Prompt, Rollout, Row, Verdict


class Candidates(NamedTuple):
    """The right solutions of a problem that may become rows, and its fail rate (0..1). `first` is the most preferred
    one, before any was dropped as a duplicate or as false."""

    rows: list[Row]
    first: Row
    fail_rate: Fraction


def make_row(rollout: Rollout, verdict: Verdict, n: int) -> Row:
    """The row of a rollout of round `n`."""
    return Row(
        prompt=rollout.prompt,
        completion=completion(rollout.response, rollout.prompt),
        problem_id=rollout.problem_id,
        rollout_id=rollout.id,
        policy=rollout.policy,
        strategy=rollout.strategy,
        verifier=verdict.verifier,
        answer=verdict.answer,
        seed=rollout.seed,
        num_tokens=rollout.num_tokens,
        round=n,
        hinted=rollout.hinted,
        untrained=[],
        value=rollout.value,
        score=verdict.score,
        margin=verdict.margin,
        token_ids=rollout.token_ids,
    )


def completion(response: str, prompt: Prompt) -> Prompt:
    """`response` in the format of `prompt`: plain text, or the assistant's message."""
    return response if isinstance(prompt, str) else [{"role": "assistant", "content": response}]


def text(row: Row) -> str:
    """The completion of `row` as plain text."""
    return text_of(row.completion)


def size(row: Row) -> tuple[int, str]:
    """Sort key for conciseness: the number of tokens, then the rollout's id as a tie-breaker."""
    return row.num_tokens, row.rollout_id


def by_problem(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """`rows` by problem id, in the order in which they come."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.problem_id].append(row)
    return groups
