"""What the files of a run directory say, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from byheart import STAGES
from byheart.errors import InputError, RecipeError, RunError, described
from byheart.evaluation import Measure, RoundMetrics, read_measure
from byheart.evaluation.metrics import GREEDY, Kind
from byheart.files import RESTORE, read_json
from byheart.plugins import registry
from byheart.report.figures import Figure, Table, percent
from byheart.runs.records import CurationStats, Stages
from byheart.runs.run import read_recipe, read_stage_records, read_state
from byheart.runs.stages import read_environments, round_dirs
from byheart.strategies.core.sampling import read_rollouts
from byheart.strategies.core.verifying import read_verdicts
from byheart.tasks.core.splits import read_problems
from byheart.types import Branch, Environment, Problem, Rollout, RolloutGroup, Verdict

T = TypeVar("T")

UNASKED = Verdict("", "", None, None, "not judged yet")

SPLITS = {"train": "trained on", "dev": "development", "held_out": "held out"}
"""Split -> what it is called in text."""

KINDS = (*GREEDY, "slow")
"""Kinds of answers: the two greedy ones, and that of the recipe's own strategy."""


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
        """Raises InputError where another version of byheart measured otherwise, RunError where the file is torn."""
        path = self.folder / "metrics.json"
        raw = read_json(path, None)
        if not isinstance(raw, dict):
            raise RunError(f"{path} is torn: it holds {described(raw)}; {RESTORE}")
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
        final = iter(read_verdicts(self.folder) if verified else [])
        verdict = next(final, None)
        for group in read_rollouts(self.folder):
            asked = {verdict.rollout_id: verdict for verdict in group.verdicts}
            for rollout in group.rollouts:
                if verdict and verdict.rollout_id == rollout.id:
                    yield problems[group.problem_id], rollout, verdict
                    verdict = next(final, None)
                else:
                    yield problems[group.problem_id], rollout, asked.get(rollout.id, UNASKED)

    def trees(self) -> Iterator[tuple[Problem, RolloutGroup]]:
        """The problems for which the strategy searched a tree, with their rollout groups."""
        problems = self.problems()
        return ((problems[group.problem_id], group) for group in read_rollouts(self.folder) if group.tree)

    def found(self, known: Mapping[str, T], problem_id: str) -> T:
        """What is `known` of a problem that metrics.json names. Raises RunError where the files of this round are not
        of one run."""
        if problem_id not in known:
            raise RunError(
                f"{self.folder / 'metrics.json'} names the problem {problem_id}, which other files of this round do "
                f"not have; {RESTORE}"
            )
        return known[problem_id]

    @property
    def seconds(self) -> float:
        """Wall seconds of all stages that are done."""
        return sum(self.stages.records[stage].seconds for stage in self.done)


def cost_table(rounds: Sequence[Round]) -> Table:
    """What each stage cost in `rounds` together, and in the last row all stages; no row where no stage is done."""
    records = [(stage, round_.stages.records[stage]) for round_ in rounds for stage in round_.done]
    stages = {stage: [record for other, record in records if other == stage] for stage, _ in records}
    total = sum(record.seconds for _, record in records)
    rows: list[list[Figure | str]] = []
    for stage, part in (stages | {"all": [record for _, record in records]} if records else {}).items():
        seconds = sum(record.seconds for record in part)
        generating = sum(record.generating_seconds for record in part)
        training = sum(record.training_seconds for record in part)
        start = sum(record.engine_start_seconds for record in part)
        overhead = seconds - generating - training - start
        numbers = [f"{number:.1f}" for number in (seconds, generating, training, start, overhead)]
        rows.append([stage, *numbers, percent((overhead + start) / total if total else None, 1)])
    headings = ("seconds", "generating", "training", "engine start", "own overhead", "start and overhead")
    return Table(("stage", *headings), frozenset(headings), rows)


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
    def first_look(self) -> str:
        """What is said of all its figures where the recipe has a `limit`; "" for other runs."""
        limit = self.recipe.get("limit")
        return f"no result, but a first look at {limit} problems at most (limit)" if limit else ""

    @property
    def ended(self) -> str:
        """Why no round is to follow, as a sentence; "" where none is finished, or one was begun."""
        return read_state(self.folder).ended if len(self.finished) == len(self.rounds) else ""

    @property
    def ends_itself(self) -> bool:
        """Whether the recipe's `rounds` ended it, so that the same command does no further round."""
        return bool(self.ended) and read_state(self.folder).patience is not None

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
            "with bytes that are no text (U+FFFD)": curated.num_garbled,
            "not proved by the answer alone": curated.num_unproved,
            "hinted": curated.num_hinted,
        }
        counts = [f"{curated.num_right} right", *(f"{count} {reason}" for reason, count in dropped.items() if count)]
        left = f"{curated.num_rows} rows are too few to train on (objective.min_rows)"
        return f"{left if curated.num_rows else 'No solution is left to learn from'}: {', '.join(counts)}."

    @property
    def best(self) -> int:
        """The finished round that made the best policy, 0 for that which the run began with."""
        state = read_state(self.folder)
        return state.best(len(state.rounds))

    @property
    def next_starts_from(self) -> int:
        """The round that made the policy that the next round would start from, 0 for that which the run began with."""
        ends = read_state(self.folder).rounds
        return self.best if self.continues_from_best or not ends else ends[-1].made_by

    @property
    def continues_from_best(self) -> bool:
        """Whether the next round starts from the best policy, not from the last that was promoted."""
        return bool(self.recipe["evaluation"]["continue_from"] == "best")

    @property
    def _trains(self) -> bool:
        """Whether the objective trains. One that can't be looked up, as its package is gone, is taken to."""
        try:
            return bool(registry.resolve("objectives", self.recipe["objective"]["name"]).trains)
        except RecipeError:
            return True


def view(folder: Path) -> RunView:
    """Read a run directory. Raises InputError where it is none, RunError where its recipe is torn."""
    if not (folder / "recipe.yaml").is_file():
        raise InputError(f"{folder} is not a run directory: it has no recipe.yaml; runs are made by `byheart run`")
    return RunView(folder, read_recipe(folder), [Round(n, path) for n, path in round_dirs(folder).items()])


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


def clip(text: str, start: int = 700, end: int = 500) -> str:
    """A long text without its middle, since the question or the answer is at an end."""
    return text if len(text) <= start + end else f"{text[:start]} […] {text[-end:]}"
