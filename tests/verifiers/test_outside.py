"""Rows from outside that the verifiers were worked on with: what people write is read, and next to no wrong one passes.

The other half is a measure alone: see outside/README.md and scripts/bench/outside.py.
"""

import pytest

from scripts.bench.outside import ALLOWED, OPEN, judged, rows_of

pytestmark = [pytest.mark.corpus, pytest.mark.sandbox]

PASSED = {"prose-04"}
"""Ends in a remark, "This took 3 steps.", whose number is the gold answer's: no reader of last numbers can tell."""


def test_right_answers_are_right_and_others_are_not() -> None:
    rows = rows_of(OPEN)
    scores = [verdict.score for verdict in judged(rows)]
    off = {row["id"] for row, score in zip(rows, scores, strict=True) if score not in ALLOWED[row["expected"]]}
    rights = {row["id"] for row in rows if row["expected"] == 1}
    passed = {row["id"] for row, score in zip(rows, scores, strict=True) if row["expected"] != 1 and score == 1.0}
    assert len(off & rights) <= 0.02 * len(rights), off & rights
    assert off - rights <= PASSED, off - rights
    assert passed <= PASSED | {row["id"] for row in rows if row["expected"] == "right_or_null"}, passed
