"""The ledger in evidence/: the runs that its plan lists, where each stands, and the record of one that is finished."""

from __future__ import annotations

import json
import os
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.config.shipped import read_recipe
from byheart.errors import RecipeError
from byheart.files import load_yaml, read_json, write_text
from byheart.models import machine
from byheart.report.data import Round, cost_table, view
from byheart.runs.run import read_state

INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Instruction sets that decide how fast a processor multiplies, and in which type it is quick."""

UNCOUNTED = frozenset({"status", "digest", "made", "resumed", "caveats"})
"""Keys of a stage's record that are no counts."""


@dataclass(frozen=True)
class Planned:
    """A run that the plan lists: `rounds` of a recipe with a seed, and with `overrides` that may name $DATA. It takes
    about `minutes` on the plan's processor."""

    name: str
    recipe: str
    seed: int
    rounds: int
    overrides: tuple[str, ...]
    minutes: float
    proves: str

    @property
    def key(self) -> str:
        """What its record is called: "addition-0"."""
        return f"{self.name}-{self.seed}"

    @property
    def wants_data(self) -> bool:
        """Whether it reads a folder that DATA names."""
        return any("$DATA" in override for override in self.overrides)

    @property
    def words(self) -> list[str]:
        """The command, without the number of rounds and the run directory."""
        return ["run", self.recipe, *self.overrides, f"seed={self.seed}"]

    @cached_property
    def parsed(self) -> Recipe:
        """Its recipe. Raises RecipeError where it does not fit, or there is none."""
        return read_recipe(self.recipe, [*self.overrides, f"seed={self.seed}"])


def read_plan(path: Path) -> list[Planned]:
    """The runs that a plan lists, in the order in which they are done."""
    return [
        Planned(
            name=run.get("name", run["recipe"].removesuffix(".yaml")),
            recipe=run["recipe"],
            seed=seed,
            rounds=run["rounds"],
            overrides=tuple(run.get("set", ())),
            minutes=run["minutes"],
            proves=question["proves"],
        )
        for question in load_yaml(path.read_text("utf-8"))["questions"]
        for seed in question["seeds"]
        for run in question["runs"]
    ]


class State(NamedTuple):
    """Where a run stands, and what is to be said of it; one that can't be run has no recipe, or no data."""

    word: Literal["recorded", "stale", "under way", "missing", "can't be run"]
    note: str = ""

    @property
    def due(self) -> bool:
        """Whether it is to be run."""
        return self.word in ("stale", "under way", "missing")


@dataclass(frozen=True)
class Ledger:
    """The plan and the records of the checkout in `root`, and the runs in its build/evidence."""

    root: Path

    @cached_property
    def plan(self) -> list[Planned]:
        """What is to be run."""
        return read_plan(self.root / "evidence/plan.yaml")

    def folder(self, run: Planned) -> Path:
        """Its run directory, another one where its recipe decides otherwise."""
        return self.root / "build/evidence" / f"{run.key}-{run.parsed.digest()[:8]}"

    def finished(self, run: Planned) -> int:
        """The rounds of its run directory that are done."""
        return len(read_state(self.folder(run)).rounds)

    def record(self, run: Planned) -> dict[str, Any] | None:
        """Its record, stale or not; None where there is none."""
        raw: dict[str, Any] | None = read_json(self.root / "evidence" / f"{run.key}.json", None)
        return raw

    def state(self, run: Planned) -> State:
        """Where it stands."""
        try:
            done = self.finished(run)
        except RecipeError as error:
            return State("can't be run", str(error).partition(";")[0])
        record = self.record(run)
        changed = _changed(record, run) if record else []
        if record and not changed and len(record["rounds"]) >= run.rounds:
            return State("recorded", f"in {record['seconds'] / 60:.0f} min on {record['machine']['processor']}")
        if run.wants_data and not os.environ.get("DATA"):
            return State("can't be run", "DATA=FOLDER has to name its data")
        if done:
            return State("under way", f"{done} of {run.rounds} rounds")
        return State("stale", ", ".join(changed)) if changed else State("missing")

    @cached_property
    def pace(self) -> float:
        """How many times as long as planned a run takes here: the median of those recorded on this hardware, 1.0 where
        none is."""
        records = [(run, record) for run in self.plan if (record := self.record(run))]
        here = [
            record["seconds"] / (60 * run.minutes * len(record["rounds"]) / run.rounds)
            for run, record in records
            if record["machine"]["processor"] == machine.hardware()
        ]
        return statistics.median(here) if here else 1.0

    def minutes(self, run: Planned) -> float:
        """About how long what is left of it takes here."""
        return run.minutes * self.pace * max(0.0, 1 - self.finished(run) / run.rounds)

    def write(self, run: Planned) -> Path:
        """Record a run that is finished. Raises ValueError where the record would hold a path of this machine."""
        path = self.root / "evidence" / f"{run.key}.json"
        text = json.dumps(_record(run, self.folder(run)), indent=1) + "\n"
        data = os.environ.get("DATA")
        for private in (self.root, Path.home(), *([Path(data).absolute()] if data else [])):
            if re.search(rf"{re.escape(str(private))}(?!\w)", text):
                raise ValueError(f"{path}: it would hold {private}, a path of this machine")
        write_text(path, text)
        return path


def _changed(record: Mapping[str, Any], run: Planned) -> list[str]:
    """What decides the run otherwise than it decided what is recorded; a key added since counts by its default."""
    return recipe.changed(recipe.deciding(recipe.translated(dict(record["resolved"]))), run.parsed.deciding())


def _record(run: Planned, folder: Path) -> dict[str, Any]:
    rounds = view(folder).finished[: run.rounds]
    made_with = [{"round": n, **facts} for n, facts in view(folder).environments()]
    first = made_with[0] if made_with else {}
    commit = re.search(r"\((.+)\)", str(first.get("byheart", "")))
    return {
        "recipe": run.recipe,
        "seed": run.seed,
        "command": " ".join(["byheart", *run.words, "--rounds", str(run.rounds)]),
        "commit": commit[1] if commit else None,
        "machine": {"processor": first.get("hardware"), "instructions": instructions()},
        "made_with": made_with,
        "seconds": round(sum(round_.seconds for round_ in rounds), 1),
        "digest": run.parsed.digest(),
        "resolved": {key: value for key, value in run.parsed.resolved().items() if key not in recipe.UNDECIDING},
        "rounds": {str(round_.n): _measures(round_) for round_ in rounds},
    }


def _measures(round_: Round) -> dict[str, Any]:
    """What a round measured, with the number of ids where metrics.json has the ids, and controls by their words; what
    its stages counted; and their seconds."""
    measures = _counted(round_.metrics.to_dict())
    controls = {re.sub(r"\W+", "_", control.pop("words")): control for control in measures.pop("controls", ())}
    stages = {stage: _counted(round_.stages.records[stage].written()) for stage in round_.done}
    costs = cost_table([round_])
    names = [heading.replace(" ", "_") for heading in costs.headings[1:]]
    return {
        **measures.pop("splits"),
        **measures,
        "controls": controls,
        "counts": {
            stage: {key: count for key, count in row.items() if key not in UNCOUNTED and not key.endswith("seconds")}
            for stage, row in stages.items()
        },
        "costs": {str(stage): dict(zip(names, map(_number, cells), strict=True)) for stage, *cells in costs.rows},
    }


def _counted(value: Any) -> Any:
    """`value` with lists of texts as how many there are, and fractions to six digits."""
    if isinstance(value, Mapping):
        return {key: _counted(item) for key, item in value.items()}
    if isinstance(value, list):
        return len(value) if all(isinstance(item, str) for item in value) else [_counted(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def _number(cell: object) -> float:
    """What a cell of a table of costs says: "6.4 %" is 0.064."""
    text = str(cell)
    return round(float(text.rstrip(" %")) / (100 if text.endswith("%") else 1), 6)


def instructions() -> str:
    """Those of INSTRUCTIONS that this processor has."""
    path = Path("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", path.read_text("utf-8"))) if path.is_file() else set()
    return " ".join(name for name in INSTRUCTIONS if name in flags)
