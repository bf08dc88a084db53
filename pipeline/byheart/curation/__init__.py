"""From judged rollouts to the rows, pairs and valued steps that are trained on: pure functions, joined in curate.py."""

from byheart.curation.curate import curate
from byheart.curation.dataset import read_dataset, read_pairs, read_rows, read_steps
from byheart.curation.options import CurationOptions, check
from byheart.curation.rows import text

__all__ = [
    "CurationOptions",
    "check",
    "curate",
    "read_dataset",
    "read_pairs",
    "read_rows",
    "read_steps",
    "text",
]
