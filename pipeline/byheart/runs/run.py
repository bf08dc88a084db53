"""The run directory: what is done is read, what is not is done, and nothing is lost in between.

    runs/<name>/recipe.yaml            the resolved recipe
    runs/<name>/state.json             rounds finished, the policy each ended with, the round to reach
    runs/<name>/measures/              answers of each policy to the development and held-out problems
    runs/<name>/round-001/stages.json  per stage: status, digest of its inputs, seconds
    runs/<name>/round-001/environments.jsonl  the versions, hardware and weights it was computed with
    runs/<name>/round-001/...          what the stages wrote

A stage whose inputs have the digest on record is read, not redone. Whole files are written beside their place, synced
and renamed; journals are appended a line at a time, and the work of a torn last line is done again. One process holds a
run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from byheart import STAGES, progress
from byheart.config import recipe
from byheart.config.recipe import Recipe
from byheart.config.rounds import Rounds
from byheart.contracts import Objective, Workers
from byheart.errors import RunError, described
from byheart.files import (
    Records,
    dump_yaml,
    load_yaml,
    read_json,
    room,
    sha256,
    write_json,
    write_records,
    write_text,
)
from byheart.models import checkpoint, machine, template, weights
from byheart.runs import store
from byheart.runs.lock import held
from byheart.runs.records import RoundEnd, RunState, StageRecord, Stages, TrainStats
from byheart.runs.stages import (
    ENVIRONMENTS,
    About,
    Earlier,
    Made,
    Stage,
    StageFunction,
    read_environments,
    round_dir,
    round_dirs,
)
from byheart.types import Dataset, Environment, Policy, Problems, Record, RolloutGroup, Undeciding, Verdict, digest
from byheart.verifiers.core.service import VerifierService

if TYPE_CHECKING:
    from byheart.evaluation import Measure
    from byheart.evaluation.metrics import RoundMetrics

T = TypeVar("T")


class Halt(Exception):
    """Raised after the one stage that a command was asked for."""


class Run:
    """One run directory, held by this process until `close`. As a context it sends what is done to its store."""

    def __init__(self, folder: Path, recipe_: Recipe, only: str | None = None, redo_from: int | None = None) -> None:
        """Open or make the run in `folder`.

        `only` names the one stage to do; those before it must be done. `redo_from` sets that round and all after it
        aside first. Raises RunError where another process holds the run, it was made with another recipe, the metrics
        of a finished round are torn, or it is a copy whose store can't be reached or has moved on; nothing is changed
        then.
        """
        self.dir, self.recipe, self.only = folder, recipe_, only
        self._environment: Environment | None = None
        with room(folder):
            folder.mkdir(parents=True, exist_ok=True)
        lock = held(folder)
        if lock is None:
            raise RunError(f"{folder}: another byheart process holds this run; wait for it, or name another")
        self._lock = lock
        try:
            store.send(folder)
            if redo_from:
                self._set_aside(redo_from)
            self._check_recipe()
            for n in range(1, self.finished + 1):  # torn, it would be found when the next round is done
                read_json(self.round_dir(n) / "metrics.json", {})
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the run directory. Closing twice is harmless."""
        self._lock.release()

    def __enter__(self) -> Self:
        """Send the recipe to its store, so that one that refuses does so before anything is computed."""
        store.send(self.dir)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Send what was done to the store, and let go of the run. Raises RunError where the store refuses and nothing
        else went wrong."""
        try:
            self._send(error is None or isinstance(error, Halt))
        finally:
            self.close()

    def _send(self, must: bool) -> None:
        try:
            store.send(self.dir)
        except RunError as refused:
            if must:
                raise
            progress.console.print(f"{refused}")

    # Rounds

    @property
    def finished(self) -> int:
        """Rounds that are done."""
        return len(read_state(self.dir).rounds)

    def target(self, rounds: int | None = None) -> int:
        """The round to reach: `rounds` more than are finished, by default as the recipe says. An interrupted command is
        resumed, unless fewer rounds are asked for now than it had left, or it was to stop once nothing more was gained.
        """
        if self.only:
            return self.finished + 1
        state, wanted = read_state(self.dir), self.recipe.rounds if rounds is None else rounds
        if not state.left or state.patience or (rounds and rounds < state.left):
            until = (wanted.most, wanted.patience) if isinstance(wanted, Rounds) else (self.finished + wanted, None)
            state = state.until(*until)
        elif isinstance(wanted, Rounds) or state.target != self.finished + wanted:
            progress.console.print(f"resuming an interrupted command, up to round {state.target}")
        self._save(state)
        return state.target

    def stalled(self) -> bool:
        """Whether no further round is to come, as the last ones gained nothing: see the recipe's `rounds`."""
        return not self.only and read_state(self.dir).stalled

    def policy(self, n: int) -> Policy:
        """The policy to go on from after round `n`: what the round promoted, or the one it kept; or the best so far,
        where evaluation.continue_from says so. Round 0 is the base model, or with model.adapter that, of which the run
        keeps a copy."""
        state = read_state(self.dir)
        if n and self.recipe.at(n).evaluation.continue_from == "best":
            n = state.best(n)
        if n == 0:
            return self._start()
        end = state.rounds[n - 1]
        adapter, scorer = (self.dir / path if path else None for path in (end.adapter, end.scorer))
        return Policy(self.recipe.model.name, adapter, end.policy, scorer)

    def started_from_best(self, n: int) -> int:
        """The round up to `n` that started from the best policy of all before round `n`, and so measured it; `n` itself
        where that round measured by other options."""
        first = read_state(self.dir).best(n - 1) + 1
        return first if self.recipe.at(first).evaluation == self.recipe.at(n).evaluation else n

    def trained(self, n: int) -> TrainStats | None:
        """How the training of round `n` went, where anything was trained."""
        return Stages(self.records(n)).train

    def _start(self) -> Policy:
        model, adapter = self.recipe.model, self.dir / "start/adapter"
        if not model.adapter:
            return Policy(model.name)
        if not adapter.is_dir():
            source, part = checkpoint.adapter(model), self.dir / "start.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(source, part / "adapter", ignore=shutil.ignore_patterns("scorer"))
            if (source / "scorer").is_dir():
                shutil.copytree(source / "scorer", part / "scorer/adapter")
            part.rename(adapter.parent)
        scorer = adapter.parent / "scorer/adapter"
        own_scorer = scorer if scorer.is_dir() else None
        return Policy(model.name, adapter, weights.name(adapter, own_scorer), own_scorer)

    def round_dir(self, n: int) -> Path:
        """The directory of round `n` (from 1)."""
        return round_dir(self.dir, n)

    def records(self, n: int) -> dict[str, StageRecord]:
        """What stages.json of round `n` says, by stage."""
        return read_stage_records(self.round_dir(n))

    def stage(self, n: int, name: str, function: StageFunction[..., T], *inputs: Any, **checks: Any) -> Made[T]:
        """What `function` makes of `inputs` in round `n`: it is read if it is on record, else done now. What another
        stage made is given to it as the thing itself. It is given `checks` too, by which it may refuse what it is to
        do, and which are no part of its digest."""
        key = stage_digest(name, n, self.recipe.seed, inputs)
        record = self.records(n).get(name)
        if record and record.done and record.digest == key:
            if self.only == name != STAGES[-1]:
                raise Halt(f"round {n}: {name} was done before")
            return self._made(n, function, record)
        if self.only and self.only != name:
            raise RunError(f"{self.dir}: round {n} has not been through {name} yet; run `byheart {name}` first")
        work = Stage(self.dir, self.round_dir(n), n, name, self.recipe.seed, about(self.recipe.at(n)))
        clocks = [_clock(value) for value in inputs if isinstance(value, Workers)]
        began = time.monotonic()
        with room(self.dir):
            work.dir.mkdir(exist_ok=True)
            if name != STAGES[0]:  # which gets the model, and computes nothing with it
                self._note_environment(n, name)
            self._record(n, name, StageRecord("started", key))
            result = function(work, *(value.value if isinstance(value, Made) else value for value in inputs), **checks)
        seconds = time.monotonic() - began
        now = [_clock(value) for value in inputs if isinstance(value, Workers)]
        generating, starting, swapping = (sum(b[i] - a[i] for a, b in zip(clocks, now, strict=True)) for i in range(3))
        done = StageRecord(
            status="done",
            digest=key,
            made=digest(identity(result)),
            resumed=bool(record and not record.done),
            seconds=round(seconds, 3),
            generating_seconds=round(generating, 3),
            training_seconds=round(work.trained_seconds, 3),
            engine_start_seconds=round(starting, 3),
            swap_seconds=round(swapping, 3),
            stats=work.stats,
        )
        self._record(n, name, done)
        if self.only == name != STAGES[-1]:  # after the last stage the round is still to be finished
            raise Halt(f"round {n}: {name} done")
        return self._made(n, function, done)

    def earlier(
        self,
        n: int,
        load: StageFunction[..., Problems],
        baseline: StageFunction[..., Measure],
        sample: StageFunction[..., Sequence[RolloutGroup]],
        verify: StageFunction[..., Sequence[Verdict]],
    ) -> list[Earlier]:
        """The rounds before round `n`, with what these of their stages made."""
        return [
            Earlier(
                before,
                self._recorded(before, "load", load),
                self._recorded(before, "baseline", baseline),
                self._recorded(before, "sample", sample),
                self._recorded(before, "verify", verify),
            )
            for before in range(1, n)
        ]

    def _recorded(self, n: int, name: str, function: StageFunction[..., T]) -> Made[T]:
        record = self.records(n).get(name)
        if record is None or not record.done:
            raise RunError(f"{self.round_dir(n)}: the stage {name} of this finished round is not on record")
        return self._made(n, function, record)

    def _made(self, n: int, function: StageFunction[..., T], record: StageRecord) -> Made[T]:
        def read() -> T:
            with room(self.dir):
                return function.read(self.round_dir(n))

        return Made(record.made or digest(identity(read())), read)  # an older version recorded no digest of it

    def finish(self, n: int, policy: Policy, metrics: RoundMetrics) -> None:
        """Write metrics.json and record `policy` as what round `n` ends with. From here on round `n` is done."""
        curated = self.records(n).get("curate")
        stats = curated.stats.to_dict() if curated and curated.stats else {}
        with room(self.dir):
            write_json(self.round_dir(n) / "metrics.json", {**metrics.to_dict(), "curation": stats})
            state = read_state(self.dir)
            adapter, scorer = (
                str(path.relative_to(self.dir)) if path else None for path in (policy.adapter, policy.scorer)
            )
            best, gained = n if metrics.best else state.best(n - 1), metrics.gained if metrics.measured else None
            end = RoundEnd(policy.id, adapter, scorer, best, gained)
            self._save(replace(state, rounds=[*state.rounds[: n - 1], end]))
        next_ = self.policy(n)
        keep = [path.parent / "merged" for path in (next_.adapter, next_.scorer) if path]
        parts = ("merged", "scorer/merged")
        for merged in (path / part for path in round_dirs(self.dir).values() for part in parts):
            if merged.is_dir() and merged not in keep:  # made again from the adapter if it is ever needed
                part = merged.with_name("merged.part")
                shutil.rmtree(part, ignore_errors=True)
                merged.rename(part)
                shutil.rmtree(part)
        self._send(must=False)  # the next round, or the end, tries again

    def _set_aside(self, n: int) -> None:
        """Move round `n` and all after it, with their recipe, to a directory of their own."""
        check_redo(self.dir, self.recipe, n)
        rounds = [path for number, path in round_dirs(self.dir).items() if number >= n]
        remaining = read_state(self.dir).rounds[: n - 1]
        self._save(RunState(remaining, len(remaining)))
        names = (self.dir / f"replaced-{number}" for number in count(1))
        aside = next(path for path in names if not path.exists())
        aside.mkdir()
        measures = [self.dir / "measures"] if n == 1 else []
        for path in [*reversed(rounds), *measures, self.dir / "recipe.yaml"]:
            if path.exists():
                path.rename(aside / path.name)

    # The files of the run itself

    def _save(self, state: RunState) -> None:
        write_json(self.dir / "state.json", state.to_dict())

    def _record(self, n: int, name: str, record: StageRecord) -> None:
        records = self.records(n) | {name: record}
        write_json(self.round_dir(n) / "stages.json", {key: value.written() for key, value in records.items()})

    def _note_environment(self, n: int, stage: str) -> None:
        """Versions may change within a run, even within a round: that is recorded and shown, and not refused. Raises
        RunError where the weights changed."""
        if self._environment is None or self._environment.weights is None:
            # Found out once a command, but not before the weights are here: a run that goes on on another machine gets
            # the model when it is needed.
            model, began = self.recipe.model, first_weights(self.dir)
            if began and stage in _WITH_MODEL:
                checkpoint.fetch(model)
            facts = machine.versions(), machine.hardware(), checkpoint.hub_name(model)
            self._environment = Environment(*facts, *checkpoint.identity(model))
            check_weights(self.dir, began, self._environment)
        known = read_environments(self.round_dir(n))
        if self._environment not in known:
            write_records(self.round_dir(n) / ENVIRONMENTS, [*known, self._environment])

    def _write_recipe(self) -> None:
        text = dump_yaml(self.recipe.resolved())
        rest = ", ".join(recipe.UNDECIDING)
        head = f"# {self.recipe.digest()} names everything below that decides the result: all but {rest}.\n"
        write_text(self.dir / "recipe.yaml", head + text)

    def _check_recipe(self) -> None:
        if refused := refusal(self.dir, self.recipe):
            raise RunError(refused)
        if changes(self.dir, self.recipe) or not (self.dir / "recipe.yaml").exists():
            self._write_recipe()


def check_redo(folder: Path, new: Recipe, n: int) -> None:
    """Raises RunError where the run in `folder` can't do round `n` and all after it again with the recipe `new`."""
    finished = len(read_state(folder).rounds)
    if n > finished + 1:
        raise RunError(f"{folder}: --redo-from {n}, but only {finished} rounds are finished")
    first = ("model.", "task.", "seed", "evaluation.also")  # what all rounds share
    basic = [change for change in changes(folder, new) if change.startswith(first)]
    if n > 1 and basic:
        raise RunError(f"{folder}: the rounds before {n} would not fit {'; '.join(basic)}: --redo-from 1")


def refusal(folder: Path, new: Recipe) -> str:
    """Why the run in `folder` does not go on with the recipe `new`; "" where it does."""
    changed = changes(folder, new)
    rounds = round_dirs(folder).values() if changed else ()
    if not any(record.done for path in rounds for record in read_stage_records(path).values()):
        return ""
    return (
        f"{folder} was made with another recipe:\n  "
        + "\n  ".join(changed)
        + "\nname a new run with --run-dir, or say from which round to begin anew with --redo-from N"
    )


_WITH_MODEL = ("baseline", "sample", "controls", "train", "evaluate")
"""Stages that work with the model's weights."""


def first_weights(folder: Path) -> Environment | None:
    """What the run in `folder` began with, as far as the weights of its model are on record."""
    rounds = round_dirs(folder).values() if folder.is_dir() else ()
    recorded = (environment for path in rounds for environment in read_environments(path))
    return next((environment for environment in recorded if environment.weights), None)


def check_weights(folder: Path, began: Environment | None, now: Environment) -> None:
    """Raises RunError where the model's weights are not those that the run in `folder` `began` with. A commit of the
    hub or the version of a package names them too: the same weights may be stored in other files."""
    if began is None or now.weights in (None, began.weights):
        return
    if began.revision == now.revision != checkpoint.LOCAL:
        return
    raise RunError(
        f"{folder}: the weights of the model are not those that this run began with (SHA-256 {began.weights}, "
        f"{began.revision}; now {now.weights}, {now.revision}); put them back, name a new run with --run-dir, or begin "
        "anew with --redo-from 1"
    )


def changes(folder: Path, new: Recipe) -> list[str]:
    """Which deciding keys of the run in `folder` differ from those of `new`; none where it is no run yet."""
    if not (folder / "recipe.yaml").exists():
        return []
    old = recipe.deciding(read_recipe(folder))
    if new.model.date is None:
        old.pop("model.date", None)  # which the run was given: see `dated`
    return recipe.changed(old, new.deciding())


def dated(new: Recipe, folder: Path, today: date) -> Recipe:
    """`new` with the date that the chat template of its model writes: that of the run in `folder`, or `today` where
    none has begun. A recipe that says a date, or whose model's template writes none, is returned as it is."""
    model = new.model
    if model.date:
        return new
    old = read_recipe(folder)["model"] if (folder / "recipe.yaml").exists() else {}
    if old.get("name") != model.name:
        written = today if template.tells_date(checkpoint.fetch(model)) else None
    else:
        written = date.fromisoformat(str(old["date"])) if old.get("date") else None
    return new.model_copy(update={"model": model.model_copy(update={"date": written})}) if written else new


class _Named(BaseModel):
    """A section of a recipe that has a name."""

    model_config = ConfigDict(extra="allow")

    name: str


class _Evaluation(BaseModel):
    """The section evaluation of a recipe."""

    model_config = ConfigDict(extra="allow")

    alpha: float


class _Recorded(BaseModel):
    """What is read of a recipe on record by itself, whatever version wrote it, and plugins that are gone."""

    model_config = ConfigDict(extra="allow")

    name: str
    model: _Named
    task: _Named
    objective: _Named
    evaluation: _Evaluation
    curation: dict[str, JsonValue]
    schedule: dict[str, JsonValue] = {}


def read_recipe(folder: Path) -> dict[str, Any]:
    """The resolved recipe of the run in `folder`, in the words of this version. Raises RunError where recipe.yaml is
    torn."""
    path = folder / "recipe.yaml"
    try:
        raw: dict[str, Any] = load_yaml(path.read_text("utf-8"))
        _Recorded.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
    else:
        return recipe.translated(raw)
    raise RunError(f"{path} is no recipe of a run ({why}); put it back from a copy")


def read_state(folder: Path) -> RunState:
    """What state.json of the run in `folder` records; nothing where it is no run yet. Raises RunError where another
    version wrote it otherwise."""
    path = folder / "state.json"
    raw = read_json(path, {})
    try:
        return RunState.from_dict(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(
            f"{path}: not what this version of byheart records ({'.'.join(map(str, first['loc']))}: {first['msg']}); "
            "the version that wrote it can read it"
        ) from None


def read_stage_records(folder: Path) -> dict[str, StageRecord]:
    """What stages.json of the round in `folder` says, by stage. Raises RunError where another version wrote it
    otherwise."""
    path = folder / "stages.json"
    rows = read_json(path, {})
    try:
        if not isinstance(rows, dict):
            raise ValueError(f"it holds {described(rows)}")
        return {name: StageRecord.read(name, row) for name, row in rows.items()}
    except ValueError as error:
        raise RunError(
            f"{path}: not what this version of byheart records ({' '.join(str(error).split())}); the version that "
            "wrote it can read it"
        ) from None


def about(recipe: Recipe) -> About:
    """What the cards of a round say of its recipe."""
    steps = recipe.curation.steps
    return About(
        recipe=recipe.name,
        model=recipe.model.name,
        task=recipe.task.name,
        strategy=recipe.strategy.name,
        step=recipe.curation.step,
        step_target=steps.target if steps else None,
        limit=recipe.limit,
    )


def stage_digest(name: str, n: int, seed: int, inputs: Sequence[Any]) -> str:
    """The digest of a stage of round `n` that is given `inputs`, those apart that are an empty mapping: as if they were
    not given, which older versions did not."""
    return digest(name, n, seed, *(identity(value) for value in inputs if value != {}))


def identity(value: Any) -> Any:
    """What of a stage's argument decides its result, as JSON: the digest of what another stage made, all of a record or
    of options, the identity of a verifier, and the setting of workers. Raises TypeError where it is of a kind of which
    nothing is known."""
    if isinstance(value, Undeciding):
        return None
    if isinstance(value, Workers):
        return value.setting
    if isinstance(value, Made):
        return value.digest
    if isinstance(value, Earlier):
        return [
            value.round,
            *(made.digest for made in (value.problems, value.baseline, value.rollouts, value.verdicts)),
        ]
    if isinstance(value, VerifierService):
        return value.identity
    if isinstance(value, BaseModel):
        read = value.reads() if isinstance(value, Objective) else ()
        return value.model_dump(mode="json") | {str(path): sha256(path) for path in read}
    if isinstance(value, Policy):
        return value.id
    if isinstance(value, Dataset):
        return value.digest
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, list | tuple | Records):
        return [identity(item) for item in value]
    if isinstance(value, dict):
        return {key: identity(item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} can't be given to a stage: nothing says what of it decides the result")


def _clock(workers: Workers) -> tuple[float, float, float]:
    return workers.seconds, workers.start_seconds, workers.swap_seconds
