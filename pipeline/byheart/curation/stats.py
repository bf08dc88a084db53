"""What a round's curation counts."""

from __future__ import annotations

from collections.abc import Sequence

from byheart.curation.distinct import by_text
from byheart.curation.rows import JudgedRound, by_problem
from byheart.runs.records import CurationStats
from byheart.types import Pair, Row, StepwiseRow


def count(
    now: JudgedRound,
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    stepwise: Sequence[StepwiseRow],
    num_overlapping: int,
    num_unproved: int,
    caveats: list[str],
) -> CurationStats:
    """The stats of the round `now`, whose dataset has these rows, pairs and stepwise rows."""
    right = now.right(every=True)
    num_unique, num_hinted = len(by_text(right)), sum(row.hinted for row in rows)
    correct = {verdict.rollout_id for verdict in now.verdicts if verdict.correct}
    return CurationStats(
        num_right=len(correct),
        num_cut_off=sum(rollout.id in correct and rollout.finish_reason == "length" for rollout in now.rollouts),
        num_wrong=sum(verdict.score is not None and not verdict.correct for verdict in now.verdicts),
        num_unjudged=sum(verdict.score is None for verdict in now.verdicts),
        num_solved=len(by_problem(right)),
        num_unique=num_unique,
        unique_rate=num_unique / len(right) if right else None,
        num_overlapping=num_overlapping,
        num_unproved=num_unproved,
        num_rows=len(rows),
        num_rows_new=sum(row.round == now.round for row in rows),
        num_hinted=num_hinted,
        hint_share=num_hinted / len(rows) if rows else 0.0,
        num_pairs=len(pairs),
        num_stepwise=len(stepwise),
        num_backtracking=sum(bool(row.untrained) for row in rows),
        caveats=caveats,
    )
