"""What the files of a run directory say, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import InputError
from pipeline.evaluation import Measure, read_measure
from pipeline.files import read_json
from pipeline.run import STAGES
from pipeline.strategies.sampling import read_rollouts
from pipeline.strategies.verifying import read_verdicts
from pipeline.tasks.splits import read_problems
from pipeline.types import Problem, Rollout, Verdict

UNASKED = Verdict("", "", None, None, "not judged yet")

SPLITS = {"train": "trained on", "dev": "development", "held_out": "held out"}
"""Split -> what it is called to a person."""


@dataclass(frozen=True)
class Round:
    """One round that was begun. `metrics` is None until it is finished."""

    n: int
    folder: Path
    stages: dict[str, Any]
    metrics: dict[str, Any] | None

    def problems(self) -> dict[str, Problem]:
        """Every problem of the round by id."""
        return {one.id: one for part in read_problems(self.folder).splits().values() for one in part}

    def measure(self, name: str) -> Measure:
        """`baseline` or `evaluate`: the answers before or after."""
        found: Measure = read_measure(name)(self.folder)
        return found

    def solutions(self) -> Iterator[tuple[Problem, Rollout, Verdict]]:
        """Everything sampled so far, with the verdict of the verify stage, or before it the one given on the way."""
        problems = self.problems()
        done = (self.folder / "verdicts.jsonl").is_file()
        final = {verdict.rollout_id: verdict for verdict in read_verdicts(self.folder)} if done else {}
        for attempts in read_rollouts(self.folder):
            given = {verdict.rollout_id: verdict for verdict in attempts.verdicts} | final
            for rollout in attempts.rollouts:
                yield problems[attempts.problem_id], rollout, given.get(rollout.id, UNASKED)

    def costs(self) -> list[dict[str, Any]]:
        """Seconds a stage, apart: the engine generating, the trainer training, starting the engine, all else."""
        rows = []
        for name in STAGES:
            record = self.stages.get(name, {})
            if record.get("status") == "done":
                working = record["generating_seconds"] + record["training_seconds"]
                rows.append(
                    {
                        "stage": name,
                        "seconds": record["seconds"],
                        "generating": record["generating_seconds"],
                        "training": record["training_seconds"],
                        "start": record["engine_start_seconds"],
                        "overhead": record["seconds"] - working - record["engine_start_seconds"],
                    }
                )
        return rows


@dataclass(frozen=True)
class RunView:
    """A run directory as it stands."""

    folder: Path
    recipe: dict[str, Any]
    rounds: list[Round]

    @property
    def finished(self) -> list[Round]:
        return [one for one in self.rounds if one.metrics]


def view(folder: Path) -> RunView:
    """Read a run directory. Raises InputError where it is none."""
    if not (folder / "recipe.yaml").is_file():
        raise InputError(f"{folder} is not a run directory: it has no recipe.yaml; runs are made by `byheart run`")
    rounds = [
        Round(
            n=int(path.name.removeprefix("round-")),
            folder=path,
            stages=read_json(path / "stages.json", {}),
            metrics=read_json(path / "metrics.json", None),
        )
        for path in sorted(folder.glob("round-*"))
    ]
    return RunView(folder, yaml.safe_load((folder / "recipe.yaml").read_text("utf-8")), rounds)


def asked(problem: Problem) -> str:
    """What a problem asks, in words."""
    return problem.prompt if isinstance(problem.prompt, str) else problem.prompt[-1]["content"]


def word(verdict: Verdict) -> str:
    """What a verdict says, in one word."""
    return "unjudged" if verdict.score is None else "right" if verdict.correct else "wrong"
