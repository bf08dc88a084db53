"""What the files of a run directory say, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from byheart.errors import InputError
from byheart.evaluation import Measure, read_measure
from byheart.evaluation.comparing import GREEDY
from byheart.files import read_json
from byheart.run import STAGES, read_environments
from byheart.strategies.sampling import read_rollouts
from byheart.strategies.verifying import read_verdicts
from byheart.tasks.splits import read_problems
from byheart.types import Attempts, Branch, Environment, Problem, Rollout, Verdict

LEFT_OUT = {
    "num_overlapping": "overlapping with measured problems",
    "num_cut_off": "cut off",
    "num_unproved": "not proved by the answer alone",
    "num_hinted": "hinted",
}
"""Count of right solutions in the curate stage's notes -> why they may not be rows."""

UNASKED = Verdict("", "", None, None, "not judged yet")

SPLITS = {"train": "trained on", "dev": "development", "held_out": "held out"}
"""Split -> what it is called to a person."""

KINDS = (*GREEDY, "slow")
"""Ways to be asked: without chance, for the answer alone or with room to reason; and by the recipe's own strategy."""


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

    @property
    def numbers(self) -> dict[str, Any]:
        """What metrics.json of a finished round says."""
        assert self.metrics, f"round {self.n} is not finished"
        return self.metrics

    @property
    def environments(self) -> list[Environment]:
        """What the round was computed with, in order where that changed on the way; empty in runs of older versions."""
        return read_environments(self.folder)

    @property
    def promoted(self) -> bool:
        return bool(self.numbers["promoted"])

    @property
    def num_tokens(self) -> int:
        """Tokens generated in the sample stage, critiques and opinions included."""
        return int(self.stages["sample"]["num_tokens"])

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

    def trees(self) -> Iterator[tuple[Problem, Attempts]]:
        """The problems for which the strategy searched a tree, and all that it did for them."""
        problems = self.problems()
        return ((problems[one.problem_id], one) for one in read_rollouts(self.folder) if one.tree)

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
    """A run directory as it stands. `rounds` are those that were begun, `finished` those that were measured."""

    folder: Path
    recipe: dict[str, Any]
    rounds: list[Round]

    @property
    def finished(self) -> list[Round]:
        return [one for one in self.rounds if one.metrics]

    @property
    def greedy(self) -> tuple[str, ...]:
        """The ways of GREEDY that differ: `fast` alone where `worked` asks the very same thing."""
        ways = {key: self.recipe["evaluation"].get(key) for key in GREEDY}
        scheduled = any(
            key.startswith(("evaluation.fast", "evaluation.worked")) for key in self.recipe.get("schedule", {})
        )
        return GREEDY if scheduled or ways["fast"] != ways["worked"] else ("fast",)

    def environments(self) -> list[tuple[int, dict[str, str]]]:
        """What the run was computed with: the number of its first round with all facts, then that of each later one in
        which some changed, with these."""
        changes: list[tuple[int, dict[str, str]]] = []
        known: dict[str, str] = {}
        for one in self.rounds:
            for facts in (environment.facts() for environment in one.environments):
                if changed := {name: fact for name, fact in facts.items() if known.get(name) != fact}:
                    changes.append((one.n, changed))
                known = facts
        return changes

    def decided_by(self, one: Round) -> str:
        """Which answers to the development problems decided whether a round was promoted."""
        kind: str = one.numbers["decided_by"]
        return kind if kind in self.greedy else "fast"

    def untrained(self, one: Round) -> str:
        """Why a finished round made no new policy, as a sentence; "" where it made one."""
        if one.numbers["before"] != one.numbers["after"]:
            return ""
        if self.recipe["objective"]["name"] == "none":
            return "Nothing was trained, as the recipe asks: the control."
        noted = one.stages["curate"]
        left_out = [f"{noted[key]} {words}" for key, words in LEFT_OUT.items() if noted.get(key)]
        counts = [f"{noted['num_right']} right", *left_out]
        return f"No solution is left to learn from: {', '.join(counts)}."


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


def measured(folder: Path) -> RunView:
    """As `view`, for who wants the numbers. Raises InputError where an older version measured them in another way."""
    run = view(folder)
    if any("fast" not in one.numbers["splits"]["held_out"]["before"] for one in run.finished):
        raise InputError(
            f"{folder} was made by an older version of byheart, which measured otherwise: its numbers are in "
            "round-*/metrics.json, `byheart show` still reads what it sampled, and a new run is measured in the new way"
        )
    return run


def asked(problem: Problem) -> str:
    """What a problem asks, in words."""
    return problem.prompt if isinstance(problem.prompt, str) else problem.prompt[-1]["content"]


def fits(problem: Problem, asked_for: str) -> bool:
    """Whether `asked_for` is the beginning of its id, or words of what it asks."""
    return problem.id.startswith(asked_for) or asked_for in asked(problem)


def measures(branch: Branch) -> str:
    """What a search knew of a step, and why it went no further there, in short."""
    numbers = {**branch.scores, "value": branch.value, "mean": branch.mean}
    said = [f"{name} {number:.2f}" for name, number in numbers.items() if number is not None]
    said += [f"{branch.visits} visits"] if branch.visits else []
    said += [f"written {branch.count} times"] if branch.count > 1 else []
    said += [branch.closed] if branch.closed else ["whole"] if branch.ended else []
    return ", ".join(said)


def believed(row: dict[str, Any]) -> str:
    """How far the values of steps can be believed, as a sentence."""
    auc = "unknown" if row["auc"] is None else f"{row['auc']:.2f}"
    found = row["first_error"]
    said = (
        f"Brier {row['brier']:.3f} ({row['low']:.2f}–{row['high']:.2f}), calibration error {row['ece']:.3f}, AUC {auc}"
    )
    if found["wrong"]:
        said += f"; the first wrong step is found in {found['found']:.2f} of {found['wrong']} wrong solutions"
    if found["right"]:
        said += f", none is seen in {found['unseen']:.2f} of {found['right']} right ones"
    return f"{said} ({row['steps']} steps)"


def went_back(row: dict[str, Any]) -> str:
    """What came of going back, as a sentence."""
    straight = row["straight"]
    right = f"{straight['accuracy']:.3f}" if "accuracy" in straight else "not judged"
    mended = f"{row['gone']} of {row['problems']} worked answers go back, of which {row['mended']} come out right"
    return f"{mended}; where that is forbidden, accuracy is {right}"


def gold(problem: Problem) -> str:
    """A problem's right answer, where it has one."""
    return "not known" if problem.answer is None else str(problem.answer)


def word(verdict: Verdict) -> str:
    """What a verdict says, in one word."""
    return "unjudged" if verdict.score is None else "right" if verdict.correct else "wrong"


def sampled(side: dict[str, Any]) -> list[str]:
    """The measures of repeated sampling that tell most: right at once, in the most samples, and by most of them."""
    most = max((row["k"] for key, row in side.items() if key.startswith("pass@")), default=0)
    return list(dict.fromkeys(["pass@1", f"pass@{most}", f"maj@{most}"])) if most else []


def clip(text: str, start: int = 700, end: int = 500) -> str:
    """A long text without its middle: how it begins, and how it ends, where the question or the answer is."""
    return text if len(text) <= start + end else f"{text[:start]} […] {text[-end:]}"


def ratio(row: dict[str, Any]) -> str:
    """A by-heart ratio with its interval, which has no upper end where the slow accuracy may be 0."""
    return f"{row['ratio']:.2f} {_interval(row)}"


def caught_up(row: dict[str, Any]) -> str:
    """What a by-heart ratio means, as a sentence."""
    if row["low"] > 1:
        means = "The fast answer has overtaken the slow one"
    elif row["ratio"] >= 1:
        means = "The fast answer has caught up with the slow one"
    elif row["high"] is None or row["high"] >= 1:
        few = f"{row['problems']} problem{'' if row['problems'] == 1 else 's'}"
        means = f"Whether the fast answer has caught up with the slow one, {few} can't tell"
    else:
        means = "The fast answer has not caught up with the slow one yet"
    return f"{means}: it is right {row['ratio']:.2f} times as often {_interval(row)}."


def _interval(row: dict[str, Any]) -> str:
    high = "" if row["high"] is None else f"{row['high']:.2f}"
    return f"({row['low']:.2f}–{high})"
