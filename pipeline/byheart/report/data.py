"""What the files of a run directory say, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from byheart import STAGES
from byheart.config import recipe
from byheart.errors import InputError, RecipeError
from byheart.evaluation import Measure, RoundMetrics, read_measure
from byheart.evaluation.metrics import GREEDY, Back, ByHeart, Kind, Reliability, SideMetrics
from byheart.files import load_yaml, read_json
from byheart.plugins import registry
from byheart.runs.records import CurationStats, Stages
from byheart.runs.run import read_stage_records
from byheart.runs.stages import read_environments
from byheart.strategies.core.sampling import read_rollouts
from byheart.strategies.core.verifying import read_verdicts
from byheart.tasks.core.splits import read_problems
from byheart.types import Branch, Environment, Problem, Rollout, RolloutGroup, Verdict

UNASKED = Verdict("", "", None, None, "not judged yet")

SPLITS = {"train": "trained on", "dev": "development", "held_out": "held out"}
"""Split -> what it is called in text."""

KINDS = (*GREEDY, "slow")
"""Kinds of answers: the two greedy ones, and that of the recipe's own strategy."""


class Cost(NamedTuple):
    """Wall seconds of a stage, and how many of them the engine was generating, the trainer training and the engine
    starting."""

    stage: str
    seconds: float
    generating: float
    training: float
    start: float

    @property
    def overhead(self) -> float:
        """All other seconds."""
        return self.seconds - self.generating - self.training - self.start

    @classmethod
    def total(cls, stage: str, costs: Iterable[Cost]) -> Cost:
        """The sum of `costs`, called `stage`."""
        return cls(stage, *(sum(seconds) for seconds in zip(*(cost[1:] for cost in costs), strict=True)))


class _Results(NamedTuple):
    """What metrics.json holds."""

    metrics: RoundMetrics
    curation: CurationStats


@dataclass(frozen=True)
class Round:
    """A round that was started."""

    n: int
    folder: Path

    @cached_property
    def stages(self) -> Stages:
        """What the stages recorded. Raises RunError where another version of byheart recorded it otherwise."""
        return Stages(read_stage_records(self.folder))

    @property
    def finished(self) -> bool:
        """Whether it has metrics."""
        return (self.folder / "metrics.json").is_file()

    @property
    def metrics(self) -> RoundMetrics:
        """The metrics of a finished round."""
        return self._results.metrics

    @property
    def curation(self) -> CurationStats:
        """What a finished round curated."""
        return self._results.curation

    @cached_property
    def _results(self) -> _Results:
        """Raises InputError where another version of byheart measured otherwise."""
        raw: dict[str, Any] = read_json(self.folder / "metrics.json", None)
        assert raw is not None, f"round {self.n} is not finished"
        curated = raw.pop("curation", {})
        try:
            return _Results(RoundMetrics.from_dict(raw), CurationStats.from_dict(curated))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise InputError(
                f"{self.folder.parent} was made by another version of byheart, which measured otherwise ({where}): its "
                "numbers are in round-*/metrics.json, `byheart show` still reads what it sampled, and a new run is "
                "measured as this version does"
            ) from None

    @property
    def done(self) -> list[str]:
        """The stages that are done, in order."""
        return [stage for stage in STAGES if self.stages.done(stage)]

    @property
    def sampling(self) -> bool:
        """Whether its sample stage was started, so that there may be rollouts."""
        return "sample" in self.stages.records

    @property
    def environments(self) -> list[Environment]:
        """What the round was computed with, in order where that changed; empty in runs of older versions."""
        return read_environments(self.folder)

    @property
    def promoted(self) -> bool:
        """Whether its new policy was promoted."""
        return self.metrics.promoted

    @property
    def num_tokens(self) -> int:
        """Tokens generated in the sample stage, everything counted."""
        return self.stages.sample.num_tokens if self.stages.sample else 0

    def problems(self) -> dict[str, Problem]:
        """Every problem of the round by id."""
        return {problem.id: problem for part in read_problems(self.folder).splits().values() for problem in part}

    def measure(self, stage: str) -> Measure:
        """The answers that the stage "baseline" (before) or "evaluate" (after) measured."""
        return read_measure(stage)(self.folder)

    def solutions(self) -> Iterator[tuple[Problem, Rollout, Verdict]]:
        """Every rollout so far, with the verdict of the verify stage, or before that the one the strategy asked for."""
        problems = self.problems()
        verified = (self.folder / "verdicts.jsonl").is_file()
        final = {verdict.rollout_id: verdict for verdict in read_verdicts(self.folder)} if verified else {}
        for group in read_rollouts(self.folder):
            verdicts = {verdict.rollout_id: verdict for verdict in group.verdicts} | final
            for rollout in group.rollouts:
                yield problems[group.problem_id], rollout, verdicts.get(rollout.id, UNASKED)

    def trees(self) -> Iterator[tuple[Problem, RolloutGroup]]:
        """The problems for which the strategy searched a tree, with their rollout groups."""
        problems = self.problems()
        return ((problems[group.problem_id], group) for group in read_rollouts(self.folder) if group.tree)

    def costs(self) -> list[Cost]:
        """What each stage that is done cost."""
        records = ((stage, self.stages.records[stage]) for stage in self.done)
        return [
            Cost(
                stage,
                record.seconds,
                record.generating_seconds,
                record.training_seconds,
                record.engine_start_seconds,
            )
            for stage, record in records
        ]


@dataclass(frozen=True)
class RunView:
    """A run directory as it stands. `recipe` is recipe.yaml, resolved; `rounds` are those that were started."""

    folder: Path
    recipe: dict[str, Any]
    rounds: list[Round]

    @property
    def finished(self) -> list[Round]:
        """The rounds that have metrics."""
        return [round_ for round_ in self.rounds if round_.finished]

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.recipe["name"])

    @property
    def model(self) -> str:
        """The base model's name."""
        return str(self.recipe["model"]["name"])

    @property
    def task(self) -> str:
        """The task's key."""
        return str(self.recipe["task"]["name"])

    @property
    def group_by(self) -> str | None:
        """evaluation.group_by."""
        group_by: str | None = self.recipe["evaluation"].get("group_by")
        return group_by

    @property
    def decontaminates(self) -> bool:
        """curation.decontaminate."""
        return bool(self.recipe["curation"].get("decontaminate"))

    @property
    def alpha(self) -> float:
        """evaluation.alpha."""
        return float(self.recipe["evaluation"]["alpha"])

    @property
    def greedy(self) -> tuple[Kind, ...]:
        """The kinds of greedy answers that differ: only `fast` where `worked` asks the very same thing."""
        options = self.recipe["evaluation"]
        scheduled = any(
            key.startswith(("evaluation.fast", "evaluation.worked")) for key in self.recipe.get("schedule", {})
        )
        return GREEDY if scheduled or options.get("fast") != options.get("worked") else ("fast",)

    def environments(self) -> list[tuple[int, dict[str, str]]]:
        """What the run was computed with: (1, all facts), then for each change (its round, what changed)."""
        changes: list[tuple[int, dict[str, str]]] = []
        known: dict[str, str] = {}
        for n, facts in (
            (round_.n, environment.facts()) for round_ in self.rounds for environment in round_.environments
        ):
            if changed := {name: fact for name, fact in facts.items() if known.get(name) != fact}:
                changes.append((n, changed))
            known = facts
        return changes

    def decided_by(self, finished: Round) -> Kind:
        """The kind of greedy answers by which the round was promoted or not."""
        kind = finished.metrics.decided_by
        return kind if kind in self.greedy else "fast"

    def untrained(self, finished: Round) -> str:
        """Why a finished round made no new policy, as a sentence; "" where it made one."""
        if finished.metrics.before != finished.metrics.after:
            return ""
        if not self._trains:
            return "Nothing was trained, as the recipe says: the control."
        curated = finished.curation
        dropped = {
            "overlapping with measured problems": curated.num_overlapping,
            "cut off": curated.num_cut_off,
            "not proved by the answer alone": curated.num_unproved,
            "hinted": curated.num_hinted,
        }
        counts = [f"{curated.num_right} right", *(f"{count} {reason}" for reason, count in dropped.items() if count)]
        return f"No solution is left to learn from: {', '.join(counts)}."

    @property
    def _trains(self) -> bool:
        """Whether the objective trains. One that can't be looked up, as its package is gone, is taken to."""
        try:
            return bool(registry.resolve("objectives", self.recipe["objective"]["name"]).trains)
        except RecipeError:
            return True


def view(folder: Path) -> RunView:
    """Read a run directory. Raises InputError where it is none."""
    if not (folder / "recipe.yaml").is_file():
        raise InputError(f"{folder} is not a run directory: it has no recipe.yaml; runs are made by `byheart run`")
    rounds = [Round(int(path.name.removeprefix("round-")), path) for path in sorted(folder.glob("round-*"))]
    return RunView(folder, recipe.translated(load_yaml((folder / "recipe.yaml").read_text("utf-8"))), rounds)


def measured(folder: Path) -> RunView:
    """As `view`, with all metrics read. Raises InputError where another version of byheart measured otherwise."""
    run = view(folder)
    for round_ in run.finished:
        _ = round_.metrics
    return run


def question(problem: Problem) -> str:
    """What a problem asks, as text."""
    return problem.prompt if isinstance(problem.prompt, str) else problem.prompt[-1]["content"]


def matches(problem: Problem, text: str) -> bool:
    """Whether `text` is the beginning of the problem's id, or part of its question."""
    return problem.id.startswith(text) or text in question(problem)


def gold(problem: Problem) -> str:
    """A problem's right answer."""
    return "not known" if problem.answer is None else str(problem.answer)


def verdict_word(verdict: Verdict) -> str:
    """A verdict in one word."""
    return "unjudged" if verdict.score is None else "right" if verdict.correct else "wrong"


def branch_facts(branch: Branch) -> str:
    """What a search knew of a step, and why it stopped there, in short."""
    numbers = {**branch.scores, "value": branch.value, "mean": branch.mean}
    facts = [f"{name} {number:.2f}" for name, number in numbers.items() if number is not None]
    facts += [f"{branch.visits} visits"] if branch.visits else []
    facts += [f"written {branch.count} times"] if branch.count > 1 else []
    facts += [branch.closed] if branch.closed else ["whole"] if branch.ended else []
    return ", ".join(facts)


def reliability_text(values: Reliability) -> str:
    """How reliable the values of steps are."""
    auc = "unknown" if values.auc is None else f"{values.auc:.2f}"
    first = values.first_error
    text = (
        f"Brier {values.brier:.3f} ({values.low:.2f}–{values.high:.2f}), calibration error {values.ece:.3f}, AUC {auc}"
    )
    if first.found is not None:
        text += f"; the first wrong step is found in {first.found:.2f} of {first.wrong} wrong solutions"
    if first.unseen is not None:
        text += f", none is seen in {first.unseen:.2f} of {first.right} right ones"
    return f"{text} ({values.steps} steps)"


def back_text(back: Back) -> str:
    """What came of going back."""
    accuracy = "not judged" if back.straight.accuracy is None else f"{back.straight.accuracy:.3f}"
    return (
        f"{back.gone} of {back.problems} worked answers go back, of which {back.fixed} come out right; where that is "
        f"forbidden, accuracy is {accuracy}"
    )


def main_rates(side: SideMetrics) -> list[str]:
    """The most telling rates of repeated sampling: pass@1, and pass@k and maj@k for the greatest k."""
    greatest = max((rate.k for rate in side.sampled.values()), default=0)
    return list(dict.fromkeys(["pass@1", f"pass@{greatest}", f"maj@{greatest}"])) if greatest else []


def clip(text: str, start: int = 700, end: int = 500) -> str:
    """A long text without its middle, since the question or the answer is at an end."""
    return text if len(text) <= start + end else f"{text[:start]} […] {text[-end:]}"


def ratio_text(heart: ByHeart) -> str:
    """A by-heart ratio with its interval, which may have no upper end."""
    high = "" if heart.high is None else f"{heart.high:.2f}"
    return f"{heart.ratio:.2f} ({heart.low:.2f}–{high})"


def by_heart_text(heart: ByHeart) -> str:
    """What a by-heart ratio means, as a sentence."""
    if heart.low > 1:
        meaning = "The fast answer has overtaken the slow one"
    elif heart.ratio >= 1:
        meaning = "The fast answer has caught up with the slow one"
    elif heart.high is None or heart.high >= 1:
        problems = f"{heart.problems} problem{'' if heart.problems == 1 else 's'}"
        meaning = f"{problems} can't tell whether the fast answer has caught up with the slow one"
    else:
        meaning = "The fast answer has not caught up with the slow one yet"
    ratio, interval = ratio_text(heart).split(" ")
    return f"{meaning}: it is right {ratio} times as often {interval}."
