"""Problems from any data set of the hub, by its name and the names of its columns."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from typing_extensions import override

from byheart.tasks.core import columns, rows
from byheart.types import Problem


class HubTask(columns.ColumnsTask):
    """Problems of a data set on the hub, or of a local copy."""

    dataset: str = Field(description="the data set's name on the hub, OWNER/NAME")
    revision: str = Field(description="revision of the data set: best a commit, as a branch such as main changes")
    config: str | None = Field(default=None, description="configuration of the data set")
    split: str = Field(
        default="train", description='split to train on ("a+b" for two), and to measure on without held_out_split'
    )
    held_out_split: str | None = Field(
        default=None, description="split that only measures; by default the held-out problems are taken from split"
    )
    path: str | None = Field(
        default=None,
        description="local copy to read instead of the hub: a directory with a file per split, or one file for all",
    )

    @override
    def source(self) -> str:
        return self.dataset

    @override
    def problems(self, seed: int) -> Iterator[Problem]:
        return self._shuffled(self._hub(), self.split, seed)

    @override
    def held_out(self, seed: int) -> Iterator[Problem] | None:
        return None if self.held_out_split is None else self._official(self._hub(), self.held_out_split, seed)

    def _hub(self) -> rows.Hub:
        held_out_split = [self.held_out_split] if self.held_out_split else []
        splits = (*self.split.split("+"), *held_out_split)
        return rows.Hub(self.dataset, self.revision, config=self.config, splits=splits)
