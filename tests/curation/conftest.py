"""Rollouts, verdicts and rows to curate."""

from __future__ import annotations

from typing import Any

from byheart.curation.rows import make_row
from byheart.types import FinishReason, Prompt, Rollout, Row, Verdict
from hypothesis import settings
from hypothesis import strategies as st

from tests.conftest import verifier_by

NUMBER = verifier_by().identity
CHAT: Prompt = [{"role": "user", "content": "2 + 2"}]
PLAIN: Prompt = "2 + 2 ="
settled = settings(deadline=None, max_examples=100)


def rolled(
    name: str,
    response: str = "4",
    num_tokens: int = 5,
    problem: str = "p",
    finish: FinishReason = "stop",
    prompt: Prompt = CHAT,
    **rest: Any,
) -> Rollout:
    return Rollout(name, problem, "direct", prompt, response, finish, num_tokens, 7, "base", **rest)


def judged(rollout: Rollout, score: float | None = 1.0, answer: str | None = "4") -> Verdict:
    return Verdict(rollout.id, NUMBER, score, answer, "")


def row(
    name: str, response: str = "4", num_tokens: int = 5, problem: str = "p", n: int = 1, score: float = 1.0, **rest: Any
) -> Row:
    rollout = rolled(name, response, num_tokens, problem, **rest)
    return make_row(rollout, judged(rollout, score), n)


def ids(rows: list[Row]) -> list[str]:
    return [row.rollout_id for row in rows]


SAID = ["4", "so 4", "So  4", "2 + 2 = 4", "1 + 3 = 4", "First 2+2 = 4", "2 + 2 = 5 so 4", "half of 8", "x"]

drawn_rows = st.lists(
    st.tuples(
        st.sampled_from(SAID),
        st.integers(1, 6),
        st.integers(1, 3),
        st.booleans(),
        st.one_of(st.none(), st.sampled_from([-2.0, -1.0, 0.0])),
    ),
    max_size=25,
).map(
    lambda drawn: [
        row(f"r{index}", response, size, n=n, hinted=hinted, value=value)
        for index, (response, size, n, hinted, value) in enumerate(drawn)
    ]
)
