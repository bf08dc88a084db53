"""The regression corpus of maths answers: what our verifier and bare math-verify make of it, side by side.

A row of `math_corpus.jsonl` is a gold answer, a response, whether the response is right, the kind of difficulty, and
where the fact comes from. The labels are mathematics: where a verifier disagrees, the verifier is changed.
"""

import logging
import resource
from collections.abc import Callable
from concurrent.futures import TimeoutError
from multiprocessing import get_context
from pathlib import Path

import math_verify
import pytest
from byheart.types import Problem
from byheart.verifiers import math as ours
from pebble import ProcessExpired, ProcessPool
from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    gold: str
    response: str
    right: bool
    kind: str
    source: str


Scored = list[tuple[Row, float | None]]

LINES = Path(__file__).with_name("math_corpus.jsonl").read_text(encoding="utf-8").splitlines()
ROWS = [Row.model_validate_json(line) for line in LINES]
KINDS = list(dict.fromkeys(row.kind for row in ROWS))


def test_the_corpus_is_well_formed() -> None:
    assert len(ROWS) >= 400
    assert len({(row.gold, row.response) for row in ROWS}) == len(ROWS)
    assert all(row.gold.strip() and row.source for row in ROWS)
    assert 0.45 <= sum(not row.right for row in ROWS) / len(ROWS) <= 0.55
    for kind in KINDS:
        labels = [row.right for row in ROWS if row.kind == kind]
        assert len(labels) >= 20, kind
        assert set(labels) == {True, False}, kind


def test_nothing_wrong_passes_and_nearly_everything_right_does(capsys: pytest.CaptureFixture[str]) -> None:
    our_scores, bare_scores = scores(by_ours), scores(by_math_verify)
    with capsys.disabled():
        print("\n" + table(our_scores, bare_scores))
    passed, missed = false_positives(our_scores), false_negatives(our_scores)
    assert not passed, "\n".join(map(repr, passed))
    assert len(missed) <= 0.02 * sum(row.right for row in ROWS), "\n".join(map(repr, missed))


def by_ours(row: Row) -> float | None:
    return ours.verify(Problem.of("", row.gold, "math"), row.response, ours.Options(name="math")).score


def by_math_verify(row: Row) -> float | None:
    """As its README says: gold first, both with LaTeX and plain expressions, the gold's LaTeX in a delimiter. A step
    has 2 s instead of 5; where that is not enough it answers False, as it would after 5."""
    gold = math_verify.parse(rf"\boxed{{{row.gold}}}", parsing_timeout=2)
    answer = math_verify.parse(row.response, parsing_timeout=2)
    return float(math_verify.verify(gold, answer, timeout_seconds=2))


def scores(verify: Callable[[Row], float | None]) -> Scored:
    """Every row with its score; None also where it took over 5 s, ran out of memory or crashed its process."""
    found: Scored = []
    with ProcessPool(max_workers=2, initializer=bound, context=get_context("fork")) as pool:
        futures = [pool.schedule(verify, args=[row], timeout=5) for row in ROWS]
        for row, future in zip(ROWS, futures, strict=True):
            try:
                found.append((row, future.result()))
            except (TimeoutError, MemoryError, ProcessExpired):
                found.append((row, None))
    return found


def bound() -> None:
    """At most 2 GiB more than the parent has, and no log line for every timeout."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + 2 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    logging.disable(logging.CRITICAL)


def false_positives(scored: Scored) -> list[Row]:
    return [row for row, score in scored if not row.right and score == 1.0]


def false_negatives(scored: Scored) -> list[Row]:
    """Right rows that did not get 1.0, whether scored wrong or left unjudged."""
    return [row for row, score in scored if row.right and score != 1.0]


def table(our_scores: Scored, bare_scores: Scored) -> str:
    """False positives, false negatives and unjudged rows of both verifiers, by kind and in all."""
    counts = f"{'FP':>6}{'FN':>5}{'unj.':>6}"
    lines = [f"{'':54}{'ours':>17}   {'math-verify':>17}", f"{'kind':42}{'right':>6}{'wrong':>6}{counts}   {counts}"]
    for name, kinds in [(kind, [kind]) for kind in KINDS] + [("all", KINDS)]:
        right = sum(row.right for row in ROWS if row.kind in kinds)
        wrong = sum(not row.right for row in ROWS if row.kind in kinds)
        cells = []
        for scored in (our_scores, bare_scores):
            chosen = [(row, score) for row, score in scored if row.kind in kinds]
            unjudged = sum(score is None for _, score in chosen)
            cells.append(f"{len(false_positives(chosen)):6}{len(false_negatives(chosen)):5}{unjudged:6}")
        lines.append(f"{name:42}{right:6}{wrong:6}" + "   ".join(cells))
    return "\n".join(lines)
