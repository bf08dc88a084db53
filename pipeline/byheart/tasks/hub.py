"""Problems from any data set of the hub, by its name and by what its columns are called."""

from __future__ import annotations

from collections.abc import Iterator

from byheart.tasks import columns, rows
from byheart.types import Problem


class Options(columns.Options):
    """`revision` is best a commit, which stays what it is; a branch such as main does not. Of `split` ("a+b" for two)
    the problems are trained on, and measured with where there is no `held_out_split`. `path` is a local copy to use
    instead of the hub: a directory with a file for each split, or one file for all splits."""

    dataset: str
    revision: str
    config: str | None = None
    split: str = "train"
    held_out_split: str | None = None
    path: str | None = None


def problems(options: Options, seed: int) -> Iterator[Problem]:
    return rows.problems(_hub(options), options.split, options, seed, columns.problem)


def held_out(options: Options, seed: int) -> Iterator[Problem] | None:
    if options.held_out_split is None:
        return None
    return rows.held_out(_hub(options), options.held_out_split, options, seed, columns.problem)


def _hub(options: Options) -> rows.Hub:
    held_out_split = [options.held_out_split] if options.held_out_split else []
    splits = (*options.split.split("+"), *held_out_split)
    return rows.Hub(options.dataset, options.revision, config=options.config, splits=splits)
