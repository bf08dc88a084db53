"""The run directory: what is done is read, what is not is done, and nothing is lost in between.

    runs/<name>/recipe.yaml            the resolved recipe
    runs/<name>/state.json             rounds finished, the policy each ended with, the round to reach
    runs/<name>/measures/              answers of each policy to the development and held-out problems
    runs/<name>/round-001/stages.json  per stage: status, digest of its inputs, seconds
    runs/<name>/round-001/environments.jsonl  the versions, hardware and weights it was computed with
    runs/<name>/round-001/...          what the stages wrote

A stage whose inputs have the digest on record is read, not redone. Whole files are written beside their place, synced
and renamed; journals are appended a line at a time, and a torn last line is owed again. One process holds a run.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import yaml
from filelock import FileLock, Timeout
from pydantic import BaseModel

from byheart import machine, models, progress, recipe, storage, weights
from byheart.errors import RunError
from byheart.files import read_json, read_records, room, write_json, write_records, write_text
from byheart.recipe import Recipe
from byheart.types import Dataset, Environment, Policy, Record, digest

T = TypeVar("T")

STAGES = ("load", "baseline", "sample", "verify", "curate", "train", "evaluate")

ENVIRONMENTS = "environments.jsonl"

_SAMPLED = ("right", "cut_off", "wrong", "unjudged", "overlapping", "solved", "unique")
_KEPT = ("unproved", "rows", "rows_new", "hinted", "pairs", "stepwise", "backtracking")
CURATED = ("caveats", "hint_share", "unique_rate", *(f"num_{name}" for name in (*_SAMPLED, *_KEPT)))
"""What metrics.json repeats of the curate stage's notes."""


class Halt(Exception):
    """Raised after the one stage that a command was asked for."""


class Stage:
    """What a stage function is given: where to write, how to show progress, where to say what it came to."""

    def __init__(self, run: Run, n: int, name: str) -> None:
        self.run_dir, self.dir, self.round, self.name, self.seed = run.dir, run.round_dir(n), n, name, run.recipe.seed
        self.recipe = run.recipe.at(n)
        self.notes: dict[str, Any] = {}
        self.trained_seconds = 0.0

    def round_dir(self, n: int) -> Path:
        """The directory of a round of the same run."""
        return round_dir(self.run_dir, n)

    @property
    def environments(self) -> list[Environment]:
        """What this round was computed with so far."""
        return read_environments(self.dir)

    def progress(self, total: int, doing: str, unit: str) -> progress.Progress:
        return progress.Progress(total, f"round {self.round} {doing}", unit)


def stage(read: Callable[[Path], T]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Mark a function as a stage and say how what it wrote is read again from its round's directory."""

    def mark(function: Callable[..., T]) -> Callable[..., T]:
        function.read = read  # type: ignore[attr-defined]
        return function

    return mark


class Run:
    """One run directory, held by this process until `close`. As a context it comes to its store as well."""

    def __init__(self, folder: Path, recipe_: Recipe, only: str | None = None, redo_from: int | None = None) -> None:
        """Open or make the run in `folder`.

        `only` names the one stage to do; those before it must be done. `redo_from` sets that round and all after it
        aside first. Raises RunError where another process holds the run, or it was made with another recipe.
        """
        self.dir, self.recipe, self.only = folder, recipe_, only
        self._environment: Environment | None = None
        with room(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"{folder}: another byheart process holds this run; wait for it, or name another") from None
        try:
            if redo_from:
                self._set_aside(redo_from)
            self._check_recipe()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> Self:
        storage.send(self.dir)  # a store that refuses does so before anything is worked out for it
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            self._send(error is None)
        finally:
            self.close()

    def _send(self, must: bool) -> None:
        try:
            storage.send(self.dir)
        except RunError as refused:
            if must:
                raise
            progress.console.print(f"{refused}", markup=False, soft_wrap=True)

    # Rounds

    @property
    def finished(self) -> int:
        """Rounds that are done."""
        return len(self._state()["rounds"])

    def target(self, rounds: int) -> int:
        """The round to reach: `rounds` more than are finished, or what an interrupted command was to reach."""
        if self.only:
            return self.finished + 1
        state = self._state()
        if self.finished >= state["target"]:
            state["target"] = self.finished + rounds
            self._save(state)
        return int(state["target"])

    def policy(self, n: int) -> Policy:
        """The policy that round `n` ended with: what it promoted, or the one it kept. Round 0 is the base model, or
        with model.adapter that, of which the run keeps a copy."""
        if n == 0:
            return self._start()
        row = self._state()["rounds"][n - 1]
        adapter, scorer = (self.dir / row[name] if row.get(name) else None for name in ("adapter", "scorer"))
        return Policy(self.recipe.model.name, adapter, row["policy"], scorer)

    def _start(self) -> Policy:
        model, adapter = self.recipe.model, self.dir / "start/adapter"
        if not model.adapter:
            return Policy(model.name)
        if not adapter.is_dir():
            source, part = models.adapter(model), self.dir / "start.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(source, part / "adapter", ignore=shutil.ignore_patterns("scorer"))
            if (source / "scorer").is_dir():
                shutil.copytree(source / "scorer", part / "scorer/adapter")
            part.rename(adapter.parent)
        scorer = adapter.parent / "scorer/adapter"
        found = scorer if scorer.is_dir() else None
        return Policy(model.name, adapter, weights.name(adapter, found), found)

    def round_dir(self, n: int) -> Path:
        return round_dir(self.dir, n)

    def records(self, n: int) -> dict[str, Any]:
        """What stages.json of round `n` says, stage by stage."""
        return cast(dict[str, Any], read_json(self.round_dir(n) / "stages.json", {}))

    def stage(self, n: int, name: str, function: Callable[..., T], *inputs: Any) -> T:
        """What `function` makes of `inputs` in round `n`: read if it is on record, else done now."""
        mark = digest(name, *(identity(value) for value in inputs))
        record = self.records(n).get(name)
        if record and record["status"] == "done" and record["digest"] == mark:
            if self.only == name != STAGES[-1]:
                raise Halt(f"round {n}: {name} was done before")
            with room(self.dir):
                return function.read(self.round_dir(n))  # type: ignore[attr-defined, no-any-return]
        if self.only and self.only != name:
            raise RunError(f"{self.dir}: round {n} has not been through {name} yet; run `byheart {name}` first")
        engines = [value for value in inputs if hasattr(value, "swap_seconds")]
        work = Stage(self, n, name)
        before = [(one.seconds, one.start_seconds, one.swap_seconds) for one in engines]
        began = time.monotonic()
        with room(self.dir):
            work.dir.mkdir(exist_ok=True)
            if name != STAGES[0]:  # which gets the model, and computes nothing with it
                self._note_environment(n)
            self._note(n, name, {"status": "started", "digest": mark})
            result = function(work, *inputs)
        after = [(one.seconds, one.start_seconds, one.swap_seconds) for one in engines]
        generating, starting, swapping = (
            sum(b[i] - a[i] for a, b in zip(before, after, strict=True)) for i in range(3)
        )
        self._note(
            n,
            name,
            {
                "status": "done",
                "digest": mark,
                "resumed": bool(record and record["status"] == "started"),
                "seconds": round(time.monotonic() - began, 3),
                "generating_seconds": round(generating, 3),
                "training_seconds": round(work.trained_seconds, 3),
                "engine_start_seconds": round(starting, 3),
                "swap_seconds": round(swapping, 3),
                **work.notes,
            },
        )
        if self.only == name != STAGES[-1]:  # after the last stage the round is still to be finished
            raise Halt(f"round {n}: {name} done")
        return result

    def finish(self, n: int, policy: Policy, metrics: dict[str, Any]) -> None:
        """Write metrics.json and record `policy` as what round `n` ends with. From here on round `n` is done."""
        curated = {key: value for key, value in self.records(n).get("curate", {}).items() if key in CURATED}
        with room(self.dir):
            write_json(self.round_dir(n) / "metrics.json", {**metrics, "curation": curated})
            state = self._state()
            adapter, scorer = (
                str(path.relative_to(self.dir)) if path else None for path in (policy.adapter, policy.scorer)
            )
            row = {"policy": policy.id, "adapter": adapter, "scorer": scorer}
            state["rounds"] = [*state["rounds"][: n - 1], row]
            self._save(state)
        keep = [path.parent / "merged" for path in (policy.adapter, policy.scorer) if path]
        for merged in [*self.dir.glob("round-*/merged"), *self.dir.glob("round-*/scorer/merged")]:
            if merged not in keep:  # made again from the adapter if it is ever needed
                part = merged.with_name("merged.part")
                shutil.rmtree(part, ignore_errors=True)
                merged.rename(part)
                shutil.rmtree(part)
        self._send(must=False)  # the next round, or the end, tries again

    def _set_aside(self, n: int) -> None:
        """Move round `n` and all after it, with their recipe, to a directory of their own."""
        if n > self.finished + 1:
            raise RunError(f"{self.dir}: --redo-from {n}, but only {self.finished} rounds are finished")
        basic = [change for change in self._changes() if change.startswith(("model.", "task.", "seed"))]
        if n > 1 and basic:
            raise RunError(f"{self.dir}: the rounds before {n} would not fit {'; '.join(basic)}: --redo-from 1")
        rounds = [path for path in self.dir.glob("round-*") if int(path.name.removeprefix("round-")) >= n]
        kept = self._state()["rounds"][: n - 1]
        self._save({"rounds": kept, "target": len(kept)})
        aside = self.dir / f"replaced-{len(list(self.dir.glob('replaced-*'))) + 1}"
        aside.mkdir()
        measures = [*self.dir.glob("measures")] if n == 1 else []
        for path in [*sorted(rounds, reverse=True), *measures, *self.dir.glob("recipe.yaml")]:
            path.rename(aside / path.name)

    # The files of the run itself

    def _state(self) -> dict[str, Any]:
        return cast(dict[str, Any], read_json(self.dir / "state.json", {"rounds": [], "target": 0}))

    def _save(self, state: dict[str, Any]) -> None:
        write_json(self.dir / "state.json", state)

    def _note(self, n: int, name: str, record: dict[str, Any]) -> None:
        write_json(self.round_dir(n) / "stages.json", self.records(n) | {name: record})

    def _note_environment(self, n: int) -> None:
        """Versions may change within a run, even within a round: that is recorded and shown, and not refused."""
        if self._environment is None or self._environment.weights is None:
            # Found out once a command, since the weights of a large model take long to read, but not before they are
            # here: a run that goes on on another machine gets the model only when the engine starts.
            model = self.recipe.model
            facts = machine.versions(), machine.hardware(), models.hub_name(model)
            self._environment = Environment(*facts, *models.identity(model))
        known = read_environments(self.round_dir(n))
        if self._environment not in known:
            write_records(self.round_dir(n) / ENVIRONMENTS, [*known, self._environment])

    def _write_recipe(self) -> None:
        text = yaml.safe_dump(self.recipe.resolved(), sort_keys=False)
        rest = ", ".join(recipe.UNDECIDING)
        head = f"# {self.recipe.digest()} names everything below that decides the result: all but {rest}.\n"
        write_text(self.dir / "recipe.yaml", head + text)

    def _check_recipe(self) -> None:
        changes = self._changes()
        begun = any(
            record["status"] == "done"
            for path in self.dir.glob("round-*/stages.json")
            for record in read_json(path, {}).values()
        )
        if changes and begun:
            raise RunError(
                f"{self.dir} was made with another recipe:\n  "
                + "\n  ".join(changes)
                + "\nname a new run with --run-dir, or say from which round to begin anew with --redo-from N"
            )
        if changes or not (self.dir / "recipe.yaml").exists():
            self._write_recipe()

    def _changes(self) -> list[str]:
        """Which keys of the recipe on record differ from the one at hand."""
        return changes(self.dir, self.recipe)


def round_dir(folder: Path, n: int) -> Path:
    """The directory of round `n` (from 1) of the run in `folder`."""
    return folder / f"round-{n:03d}"


def read_environments(folder: Path) -> list[Environment]:
    """What the round in `folder` was computed with: several where versions changed on the way, none where it is of an
    older version of byheart."""
    path = folder / ENVIRONMENTS
    return read_records(path, Environment) if path.exists() else []


def changes(folder: Path, new: Recipe) -> list[str]:
    """Which deciding keys of the run in `folder` differ from those of `new`; none where it is no run yet."""
    path = folder / "recipe.yaml"
    if not path.exists():
        return []
    old = yaml.safe_load(path.read_text("utf-8"))
    decided = {key: value for key, value in old.items() if key not in recipe.UNDECIDING}
    return recipe.changed(recipe.flatten(decided), new.deciding())


def identity(value: Any) -> Any:
    """What of a stage's input decides its result, as JSON: all of a record or of options, the code of a judge, and
    nothing of an engine."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Policy):
        return value.id
    if isinstance(value, Dataset):
        return value.digest
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [identity(item) for item in value]
    return getattr(value, "identity", None) if hasattr(value, "poll") else value
