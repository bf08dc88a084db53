"""What a round's curation counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from byheart.curation.attempts import Attempt
from byheart.curation.distinct import by_text
from byheart.runs.records import CurationStats
from byheart.types import Dataset, Row

NUM_EXAMPLES = 3


class Tally:
    """Counts for the stats of a round, of streams as they pass; keeps the first rows for the card."""

    def __init__(self, n: int) -> None:
        """Of round `n`."""
        self.round = n
        self.examples: list[Row] = []
        self.num_overlapping = self.num_unproved = 0
        self._num_right = self._num_cut_off = self._num_wrong = self._num_unjudged = 0
        self._num_taught = self._num_unique = self._num_solved = 0  # of right solutions that came to their ends
        self._num_new = self._num_hinted = self._num_backtracking = 0
        self._num_garbled = self._num_retokenized = 0

    def count(self, attempts: Sequence[Attempt]) -> None:
        """Count what was tried on a problem in this round."""
        now = [attempt for attempt in attempts if attempt.round == self.round]
        self._num_right += sum(each.verdict.correct for each in now)
        self._num_cut_off += sum(each.verdict.correct and each.rollout.finish_reason == "length" for each in now)
        self._num_garbled += sum(
            each.verdict.correct and each.garbled and each.rollout.finish_reason == "stop" for each in now
        )
        self._num_retokenized += sum(bool(each.rollout.token_ids) for each in now)
        self._num_unjudged += sum(each.verdict.score is None for each in now)
        self._num_wrong += sum(each.verdict.score is not None and not each.verdict.correct for each in now)
        right = [attempt.row for attempt in now if attempt.right(every=True)]
        self._num_taught += len(right)
        self._num_unique += len(by_text(right))
        self._num_solved += bool(right)

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """`rows`, counted on their way into the dataset."""
        for row in rows:
            if len(self.examples) < NUM_EXAMPLES:
                self.examples.append(row)
            self._num_new += row.round == self.round
            self._num_hinted += row.hinted
            self._num_backtracking += bool(row.untrained)
            yield row

    def stats(self, dataset: Dataset, caveats: list[str]) -> CurationStats:
        """What was counted, when all has passed into `dataset`."""
        return CurationStats(
            num_right=self._num_right,
            num_cut_off=self._num_cut_off,
            num_wrong=self._num_wrong,
            num_unjudged=self._num_unjudged,
            num_solved=self._num_solved,
            num_unique=self._num_unique,
            unique_rate=self._num_unique / self._num_taught if self._num_taught else None,
            num_overlapping=self.num_overlapping,
            num_unproved=self.num_unproved,
            num_rows=dataset.num_rows,
            num_rows_new=self._num_new,
            num_hinted=self._num_hinted,
            hint_share=self._num_hinted / dataset.num_rows if dataset.num_rows else 0.0,
            num_pairs=dataset.num_pairs,
            num_stepwise=dataset.num_stepwise,
            num_backtracking=self._num_backtracking,
            caveats=caveats,
            num_garbled=self._num_garbled,
            num_retokenized=self._num_retokenized,
        )
